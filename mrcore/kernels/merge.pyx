"""Merge of sorted runs, equal keys combined: int64 values added, posting groups one after the other.
Records of bytes are only brought together, those of one key in the order of the runs.

A run is an iterator of blocks (bytes-like) of records in ``csrc/mr_record.h``'s form; the
result comes as chunks of text lines or of records again. Memory: one block a run and one
output buffer.
"""
from cpython.exc cimport PyErr_CheckSignals

from mrcore.errors import CorruptionError, MrcoreError
from mrcore.kernels cimport _c
from mrcore.kernels._c cimport int64_t, mr_loser, mr_run, uint8_t, uint32_t, uint64_t
from mrcore.kernels.memory cimport Pages

cdef enum:
    RECORDS_A_CALL = 200_000  # about 10 ms, then Python may look at signals

EMITS = ("lines", "records", "nothing")
KINDS = ("sum", "posting", "values")


cdef class Merge:
    """Merges ``runs`` and yields the output when iterated, once.

    Args:
        runs: iterators of blocks, each ascending by key bytes.
        emit: ``"lines"`` (key TAB value LF, of sums), ``"records"``, or ``"nothing"``, for the
            number of keys.
        kind: what the values are: ``"sum"``, ``"posting"``, or ``"values"``, which are not combined.
        value_min: keys whose combined value is below are left out; may be raised between chunks.
        names: what each run is called in an error.
        room: size of the output buffer in bytes.

    A chunk is a view of the output buffer and must be used before the next is taken.

    Raises:
        CorruptionError: a record that does not parse, or keys out of order.
        MrcoreError: a sum left the range of int64.
    """

    cdef _c.mr_merge merge
    cdef Pages state
    cdef list runs, views, names
    cdef bytearray out
    cdef bint yielded  # out[0, done) was handed out and not yet flushed

    def __init__(self, runs, str emit="lines", value_min=None, names=None, size_t room=1 << 20, *, str kind="sum"):
        if kind != "sum" and emit == "lines":
            raise ValueError("only sums have lines")
        self.runs = [iter(run) for run in runs]
        self.names = list(names) if names is not None else [f"run {i}" for i in range(len(self.runs))]
        self.views = [None] * len(self.runs)
        cdef size_t k = len(self.runs)
        self.state = Pages(max(k, 1) * (sizeof(mr_run) + sizeof(mr_loser)))
        self.merge.runs = <mr_run *>self.state.address
        self.merge.loser = <mr_loser *>(self.merge.runs + k)
        self.merge.k = k
        cdef int how = EMITS.index(emit)
        cdef int what = KINDS.index(kind)
        self.merge.emit = <_c.mr_emit>how
        self.merge.kind = <_c.mr_value_kind>what
        self.merge.value_min = -(1 << 63) if value_min is None else value_min
        self.out = bytearray(max(room, 128))
        self.merge.out = self.out
        self.merge.room = len(self.out)
        _c.mr_merge_start(&self.merge)

    @property
    def value_min(self):
        """Keys whose combined value is below this are left out."""
        return self.merge.value_min

    @value_min.setter
    def value_min(self, int64_t value):
        self.merge.value_min = value

    @property
    def records_in(self):
        """Records read so far."""
        return self.merge.records_in

    @property
    def records_out(self):
        """Records written so far."""
        return self.merge.records_out

    def __iter__(self):
        cdef _c.mr_status status
        cdef bytearray larger
        if not self.runs:
            return
        if self.yielded:  # by an earlier iteration, which ended or was left there
            _c.mr_merge_flushed(&self.merge, self.merge.out, self.merge.room)
            self.yielded = False
        while True:
            with nogil:
                status = _c.mr_merge_run(&self.merge, RECORDS_A_CALL)
            if status == _c.MR_NEED_ROOM:
                PyErr_CheckSignals()
                continue
            if status == _c.MR_NEED_INPUT:
                self.refill(self.merge.dry)
                continue
            if status == _c.MR_CORRUPT:
                raise CorruptionError(f"{self.names[self.merge.dry]}: a record that does not parse or is out of order")
            if status == _c.MR_OVERFLOW:
                raise MrcoreError("an integer sum left the range of int64")
            if self.merge.done:
                self.yielded = True
                yield memoryview(self.out)[:self.merge.done]
            if status == _c.MR_OK:
                return
            self.yielded = False
            if self.merge.want > <size_t>len(self.out):
                # A list of postings that is being combined asks again and again: twice as large each time.
                larger = bytearray(max(self.merge.want, 2 * _c.mr_merge_pending(&self.merge)))
                _c.mr_merge_flushed(&self.merge, larger, len(larger))
                self.out = larger
            else:
                _c.mr_merge_flushed(&self.merge, self.merge.out, self.merge.room)

    cdef void refill(self, uint32_t run) except *:
        cdef const uint8_t[::1] block
        self.views[run] = None  # the producer may resize its buffer now, and only now
        for item in self.runs[run]:
            if len(item):
                block = item
                self.views[run] = memoryview(item)
                _c.mr_merge_refill(&self.merge, run, &block[0], block.shape[0])
                return
        _c.mr_merge_refill(&self.merge, run, NULL, 0)


def decode(const uint8_t[::1] block not None):
    """The ``(key, value)`` pairs of one block, as a list.

    Raises:
        CorruptionError: the block does not parse.
    """
    cdef const uint8_t *at = &block[0] if block.shape[0] else NULL
    cdef const uint8_t *end = at + block.shape[0]
    cdef const uint8_t *key
    cdef const uint8_t *after
    cdef size_t size
    cdef int64_t value
    pairs = []
    while at < end:
        after = _c.mr_record_decode(at, end, &key, &size, &value)
        if after == NULL:
            raise CorruptionError(f"a record at byte {block.shape[0] - (end - at)} of its block does not parse")
        pairs.append(((<const char *>key)[:size], value))
        at = after
    return pairs


cdef bytes varint(object number):
    head = bytearray()
    while number >= 0x80:
        head.append(number & 0x7F | 0x80)
        number >>= 7
    head.append(number)
    return bytes(head)


def encode_record(bytes key not None, int64_t value):
    """One record with a sum, in ``csrc/mr_record.h``'s form."""
    cdef object number = value  # of any size
    return b"".join([varint(len(key)), key, varint(number * 2 if value >= 0 else -2 * number - 1)])


def encode_bytes_record(bytes key not None, bytes value not None):
    """One record whose value is bytes."""
    return b"".join([varint(len(key)), key, varint(len(value)), value])
