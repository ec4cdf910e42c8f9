/* Status codes that every kernel returns.
 *
 * A kernel never allocates, prints, exits or raises: it works on memory that the
 * caller owns and says with a status what it needs next. Positive codes are requests
 * ("give me more room, then call again"); negative codes are faults of the input.
 */
#ifndef MR_STATUS_H
#define MR_STATUS_H

typedef enum {
    MR_OK = 0,
    MR_NEED_ROOM = 1,   /* a table or arena is full: grow or spill, then call again */
    MR_NEED_INPUT = 2,  /* a stream ran dry: refill it, then call again             */
    MR_NEED_FLUSH = 3,  /* the output buffer is full: empty it, then call again     */
    MR_CORRUPT = -1,    /* the bytes do not follow their grammar                    */
    MR_OVERFLOW = -2,   /* an integer aggregate left the range of int64             */
    MR_FAULT = -3       /* a mapped page vanished under the kernel (file truncated) */
} mr_status;

#endif
