"""The sort buffer: records scattered into buckets, given back as sorted runs (``csrc/mr_radix.h``).

It stands behind the combiner table, whose keys it takes when the table is full, or takes the
tokens of text themselves where nearly all of them are distinct and a table would only miss the
cache. Life: :meth:`SortBuffer.aim` while it is empty; ``feed`` and ``take`` until it is full;
then, until :meth:`SortBuffer.begin_run` says that nothing is left, the blocks of each
partition in their order; then ``clear``.
"""
from libc.string cimport memset

from mrcore.errors import MrcoreError
from mrcore.kernels cimport _c
from mrcore.kernels._c cimport int64_t, mr_entry, uint8_t, uint16_t, uint32_t, uint64_t
from mrcore.kernels.cpu cimport dispatch
from mrcore.kernels.fault cimport guard_call, guard_install
from mrcore.kernels.memory cimport Pages
from mrcore.kernels.table cimport CountTable

from mrcore.kernels.fault import TruncatedError
from mrcore.kernels.tokenize import TOKENIZERS

cdef enum:
    BUCKET_RECORDS = 8192      # aimed at: with its entries, sorted inside the L2 cache
    SORT_RECORDS_MAX = 1 << 19 # sorted at once, of a bucket that became larger than it should
    SORT_RECORDS_MIN = 1 << 11
    CHUNKS_A_BUCKET = 4        # at least, lest half of the pool be begun chunks
    SAMPLE_WORDS = 8192
    STEP = 64 << 10            # block bytes that a partition's first block has room for
    FIXED_BYTES = 65536 * 2 + SAMPLE_WORDS * 8 + STEP + (16 << 10)  # tables of the ranges, a block, parts of pages

cdef uint32_t ALL = 0xFFFFFFFF  # buckets

KINDS = ("sum", "posting", "values")

cdef struct feed_call:
    _c.mr_radix *radix
    _c.mr_tokenize_fn tokenize
    const uint8_t *text
    size_t size
    int final
    int lower
    size_t consumed


cdef _c.mr_status run_feed(void *context) noexcept nogil:
    cdef feed_call *call = <feed_call *>context
    return _c.mr_radix_feed(call.radix, call.tokenize, call.text, call.size, call.final, call.lower, &call.consumed)


cdef class SortBuffer:
    """Records waiting to be sorted by partition and key.

    Args:
        bytes_max: memory it may hold, all in all; see :func:`bytes_min`.
        partitions: by ``xxh3_64(key) % partitions``, when no splitters are given.
        splitters: ascending keys; partition ``p`` holds ``splitters[p-1] <= key < splitters[p]``.
        tokenizer, lower: of the text that is fed.
        kind: ``"sum"``: counts of equal keys are added; ``"posting"``: one group of (document,
            count) a key (``csrc/mr_postings.h``); ``"values"``: all values of a key, in the order they were added.
        tag: for values: the byte before the counts that are taken from a table.

    Cost: about 15 ns a token to feed, 30 ns to sort and encode; two bytes a record beside its key.
    """

    def __init__(self, size_t bytes_max, uint32_t partitions=1, list splitters=None, *, str tokenizer="whitespace",
                 bint lower=False, str kind="sum", uint8_t tag=0):
        if partitions < 1:
            raise ValueError("partitions must be at least 1")
        least = bytes_min(partitions if splitters is None else 1)
        if bytes_max < least:
            raise ValueError(f"bytes_max must be at least {least}")
        cdef int value_kind = KINDS.index(kind)
        guard_install()
        self.tokenizer = TOKENIZERS.index(tokenizer)
        self.lower = lower
        memset(&self.radix, 0, sizeof(_c.mr_radix))
        self.radix.kind = <_c.mr_value_kind>value_kind
        self.radix.tag = tag
        self.radix.hashed = partitions if splitters is None else 1
        self.by.count = partitions if splitters is None else len(splitters) + 1
        self.by.splitters = NULL
        self.set_splitters(splitters)
        self.divide(bytes_max)
        self.radix.ranges = 1
        self.only = ALL
        _c.mr_radix_clear(&self.radix)
        _c.mr_radix_index(&self.radix)

    cdef void set_splitters(self, list splitters) except *:
        cdef mr_entry *entry
        cdef const uint8_t[::1] key
        self.splitter_keys = []
        if splitters is None:
            return
        self.splitter_entries = Pages(max(len(splitters), 1) * sizeof(mr_entry))
        entry = <mr_entry *>self.splitter_entries.address
        for i, splitter in enumerate(splitters):
            # A reference is an address and a length; long ones carry the length before the key.
            kept = len(splitter).to_bytes(8, "little") + splitter
            self.splitter_keys.append(kept)
            key = kept
            entry[i] = _c.mr_entry_of(&key[0] + 8, len(splitter), 0)
        self.by.splitters = entry

    cdef void divide(self, size_t bytes_max) except *:
        """Gives each part its share: the sort's arrays, the tables of the ranges, the rest to the pool."""
        cdef size_t fixed, chunks
        self.sort_records = min(max(bytes_max // 8 // (2 * sizeof(mr_entry)), SORT_RECORDS_MIN), SORT_RECORDS_MAX)
        fixed = 2 * self.sort_records * sizeof(mr_entry) + FIXED_BYTES
        chunks = (bytes_max - fixed) // (_c.MR_RADIX_CHUNK + (sizeof(_c.mr_bucket) + sizeof(_c.mr_radix_cursor)) // 2)
        chunks = min(chunks, <size_t>0xFFFFFFFE)  # they are counted in 32 bits
        self.buckets_max = max(min(chunks // CHUNKS_A_BUCKET, <size_t>self.radix.hashed * _c.MR_RADIX_RANGES_MAX),
                               <size_t>self.radix.hashed)
        self.pool_bytes = chunks * _c.MR_RADIX_CHUNK
        self.pool = Pages(self.pool_bytes + _c.MR_RADIX_SLACK)
        self.buckets = Pages(self.buckets_max * sizeof(_c.mr_bucket))
        self.cursors = Pages(self.buckets_max * sizeof(_c.mr_radix_cursor))
        self.entries = Pages(self.sort_records * sizeof(mr_entry))
        self.scratch = Pages(self.sort_records * sizeof(mr_entry))
        self.first_range = Pages(65536 * sizeof(uint16_t))
        self.splitter_words = Pages(max(SAMPLE_WORDS, _c.MR_RADIX_RANGES_MAX) * sizeof(uint64_t))
        self.radix.pool = <uint8_t *>self.pool.address
        self.radix.chunks = chunks
        self.radix.buckets = <_c.mr_bucket *>self.buckets.address
        self.radix.first_range = <uint16_t *>self.first_range.address
        self.radix.splitters = <uint64_t *>self.splitter_words.address
        self.out = bytearray(STEP)

    @property
    def partitions(self):
        """Number of partitions."""
        return self.by.count

    @property
    def tokens(self):
        """Tokens that were fed, not taken from a table, since the buffer was cleared."""
        return self.radix.tokens

    @property
    def empty(self):
        """Whether it holds no record."""
        return self.radix.used == self.radix.spares

    @property
    def memory_bytes(self):
        """Bytes that were in use at most since they were released; the rest of the limit was not touched."""
        self.high = max(self.high, self.radix.used)
        fixed = self.buckets.size + self.cursors.size + self.entries.size + self.scratch.size + self.first_range.size
        return fixed + self.splitter_words.size + <size_t>self.high * _c.MR_RADIX_CHUNK + len(self.out)

    def aim(self, CountTable table, uint64_t records):
        """Chooses the key ranges: quantiles of the table's keys, for about so many records. The buffer must be empty."""
        cdef uint64_t *words = <uint64_t *>self.splitter_words.address
        cdef size_t n, i, kept = 0
        cdef uint64_t ranges = min(records // min(BUCKET_RECORDS, self.sort_records) // self.radix.hashed + 1,
                                   self.buckets_max // self.radix.hashed, <uint64_t>_c.MR_RADIX_RANGES_MAX)
        if not self.empty:
            raise ValueError("the buffer holds records: their ranges stand")
        n = _c.mr_table_sample(&table.table, words, SAMPLE_WORDS)
        ordered = sorted([words[i] for i in range(n)]) if ranges > 1 else []
        for i in range(1, ranges if ordered else 0):
            word = ordered[n * i // ranges]
            if not kept or word != words[kept - 1]:
                words[kept] = word
                kept += 1
        self.radix.ranges = kept + 1
        _c.mr_radix_clear(&self.radix)
        _c.mr_radix_index(&self.radix)

    def feed(self, const uint8_t[::1] data, size_t start, size_t stop, bint final):
        """Adds the tokens of ``data[start:stop]``; as :meth:`mrcore.kernels.table.CountTable.feed`.

        Stops early when the buffer is :attr:`full`, or at a token of :attr:`long_size` bytes, if
        that is not 0, which the table is to count instead; of ``lines``, go on behind its LF.

        Raises:
            TruncatedError: ``data`` is a mapping whose file became shorter.
            ValueError: the buffer is not one of sums.
        """
        cdef feed_call call
        cdef _c.mr_status status
        self.full = False
        self.long_size = 0
        if self.radix.kind != _c.MR_VALUE_SUM:
            raise ValueError("text is fed to be counted, and this buffer is for other values")
        if start > stop or stop > <size_t>data.shape[0]:
            raise IndexError(f"[{start}, {stop}) of {data.shape[0]} bytes")
        if start == stop:
            return start
        call = feed_call(&self.radix, dispatch().tokenize[self.tokenizer], &data[start], stop - start, final,
                         self.lower, 0)
        with nogil:
            status = guard_call(run_feed, &call, call.text, call.size)
        if status == _c.MR_FAULT:
            raise TruncatedError
        self.long_size = self.radix.long_size
        self.full = status == _c.MR_NEED_ROOM and not self.long_size
        return start + call.consumed

    def take(self, CountTable table, uint32_t document=0):
        """Adds the table's keys with their counts, for postings under ``document``.

        When the buffer becomes :attr:`full`, the same call after it was cleared goes on where
        this one stopped; until then the table must stay as it is.

        Raises:
            MemoryError: a key is larger than the whole buffer.
            ValueError: a table of more than 2^32 - 1 tokens for postings, whose records hold counts of 32 bits.
        """
        cdef uint32_t want = 0
        cdef _c.mr_status status
        if self.radix.kind == _c.MR_VALUE_POSTING and table.table.tokens > 0xFFFFFFFFu:
            raise ValueError(f"{table.table.tokens} tokens of one document: take the table's keys earlier")
        with nogil:
            status = _c.mr_radix_take(&self.radix, &table.table, document, &self.taken, &want)
        self.full = status == _c.MR_NEED_ROOM
        if not self.full:
            memset(&self.taken, 0, sizeof(_c.mr_table_cursor))
        elif want > self.radix.chunks:
            memset(&self.taken, 0, sizeof(_c.mr_table_cursor))
            raise MemoryError(f"a key needs {<uint64_t>want * _c.MR_RADIX_CHUNK} bytes of a sort buffer of "
                              f"{self.pool_bytes}")

    cdef bint add(self, const uint8_t *key, size_t size, const uint8_t *value, size_t value_size) except -1:
        """Adds a record of values; False when the buffer is full. MR_RADIX_ADD_SLACK bytes are read at ``key``.

        Raises:
            MemoryError: the record is larger than the whole buffer.
        """
        cdef uint32_t want = 0
        if _c.mr_radix_add(&self.radix, key, size, value, value_size, &want) == _c.MR_OK:
            return True
        if want > self.radix.chunks:
            raise MemoryError(f"a record needs {<uint64_t>want * _c.MR_RADIX_CHUNK} bytes of a sort buffer of "
                              f"{self.pool_bytes}")
        return False

    def begin_run(self):
        """Starts the next sorted run of what is in the buffer; False when all was written.

        A bucket with more records than are sorted at once is written in several runs.

        Raises:
            ValueError: blocks of the run before were left.
        """
        cdef uint32_t b
        self.check_taken()
        cdef _c.mr_radix_cursor *cursors = <_c.mr_radix_cursor *>self.cursors.address
        self.bucket = 0
        self.at = self.end = 0
        for b in range(self.radix.hashed * self.radix.ranges):
            if self.only in (b, ALL) and not _c.mr_radix_at_end(&self.radix, b, &cursors[b]):
                return True
        return False

    def choose_largest(self):
        """Lets the runs to come, until :meth:`clear`, be of the one bucket that takes half of the buffer, if one does.

        Then only that one is written and cleared, and the others go on filling.
        """
        cdef uint32_t b, largest = 0
        for b in range(1, self.radix.hashed * self.radix.ranges):
            if _c.mr_radix_size(&self.radix, b) > _c.mr_radix_size(&self.radix, largest):
                largest = b
        held = <size_t>(self.radix.used - self.radix.spares) * _c.MR_RADIX_CHUNK
        if self.radix.hashed * self.radix.ranges > 1 and 2 * _c.mr_radix_size(&self.radix, largest) > held:
            self.only = largest

    cdef void load(self) except *:
        """Loads, sorts and combines the next bucket."""
        cdef _c.mr_radix_cursor *cursor = <_c.mr_radix_cursor *>self.cursors.address + self.bucket
        cdef mr_entry *entries = <mr_entry *>self.entries.address
        cdef _c.mr_status status = _c.MR_OK
        with nogil:
            if self.only == self.bucket or self.only == ALL:
                self.end = _c.mr_radix_load(&self.radix, self.bucket, cursor, entries, self.sort_records)
            else:
                self.end = 0
            _c.mr_sort_entries(entries, self.end, <mr_entry *>self.scratch.address)
            if self.radix.kind == _c.MR_VALUE_SUM:
                status = _c.mr_record_combine(entries, &self.end)
        if status == _c.MR_OVERFLOW:
            raise MrcoreError("an integer sum left the range of int64")
        self.at = 0
        self.bucket += 1

    cdef void check_taken(self) except *:
        if self.writing:
            raise ValueError("not all blocks of a partition were taken: its records are lost until clear()")

    cdef _c.mr_status encode(self, size_t stop, uint8_t *out, size_t room, size_t *written, size_t *want) noexcept:
        """Encodes loaded records before ``stop`` until the room is full."""
        cdef mr_entry *entries = <mr_entry *>self.entries.address
        cdef size_t next = self.at, records = 0
        cdef _c.mr_status status
        with nogil:
            if self.radix.kind == _c.MR_VALUE_SUM:
                status = _c.mr_record_encode(entries, stop, &next, out, room, written, want)
                records = next - self.at
            elif self.radix.kind == _c.MR_VALUE_POSTING:
                status = _c.mr_record_encode_postings(entries, stop, &next, out, room, written, want, &records)
            else:
                status = _c.mr_record_encode_values(entries, stop, &next, out, room, written, want, &records)
        self.records += records
        self.at = next
        return status

    def blocks(self, uint32_t partition, size_t block_size):
        """Yields a partition's records of this run as blocks of up to ``block_size`` encoded bytes.

        Partitions are asked for in their order. A record larger than a block gets one of its own.
        Each block is a view of one buffer that the next block overwrites.

        Raises:
            IndexError: there is no such partition.
            ValueError: blocks of a partition before were left.
        """
        cdef size_t filled = 0, written = 0, want = 0, room = max(block_size, 64), stop
        cdef _c.mr_status status
        cdef uint32_t last = self.radix.ranges
        if partition >= self.by.count:
            raise IndexError(f"partition {partition} of {self.by.count}")
        self.check_taken()
        self.writing = True
        if <size_t>len(self.out) < room:
            self.out = bytearray(room)
        self.records = 0
        if self.radix.hashed > 1:
            last *= partition + 1
            self.bucket = last - self.radix.ranges
            self.at = self.end = 0
        while True:
            if self.at == self.end:
                if self.bucket == last:
                    break
                self.load()
                continue
            stop = self.at + _c.mr_partition_end(&self.by, partition, <mr_entry *>self.entries.address + self.at,
                                                 self.end - self.at)
            if stop == self.at:
                break  # the bucket goes on in the next partition
            status = self.encode(stop, <uint8_t *>self.out + filled, room - filled, &written, &want)
            filled += written
            if status == _c.MR_NEED_FLUSH and filled:
                yield memoryview(self.out)[:filled]
                filled = 0
                room = max(block_size, 64)  # also after a record that took more
            elif status == _c.MR_NEED_FLUSH:
                if want > <size_t>len(self.out):
                    self.out = bytearray(want)
                room = want
        self.writing = False
        if filled:
            yield memoryview(self.out)[:filled]
        if <size_t>len(self.out) > max(block_size, <size_t>STEP):
            self.out = bytearray(max(block_size, <size_t>STEP))

    def clear(self):
        """Empties the buffer, or the bucket that was chosen; memory and ranges are kept."""
        cdef uint32_t n = self.radix.hashed * self.radix.ranges
        self.full = self.writing = False
        self.at = self.end = 0
        self.high = max(self.high, self.radix.used)
        memset(<void *>self.cursors.address, 0, n * sizeof(_c.mr_radix_cursor))
        if self.only == ALL:
            _c.mr_radix_clear(&self.radix)
        else:
            _c.mr_radix_clear_bucket(&self.radix, self.only)
        self.only = ALL

    def release(self):
        """Gives the memory of the records back to the system; the buffer must be empty."""
        if not self.empty:
            raise ValueError("the buffer holds records")
        _c.mr_radix_clear(&self.radix)  # the chain of spare chunks stands in the pool
        self.pool.release()
        self.entries.release()
        self.scratch.release()
        self.high = 0


def bytes_min(size_t hashed):
    """The least ``bytes_max`` of a buffer for so many partitions by hash."""
    cdef size_t chunk = _c.MR_RADIX_CHUNK + sizeof(_c.mr_bucket) + sizeof(_c.mr_radix_cursor)
    return FIXED_BYTES + 2 * SORT_RECORDS_MIN * sizeof(mr_entry) + max(CHUNKS_A_BUCKET * hashed, <size_t>128) * chunk
