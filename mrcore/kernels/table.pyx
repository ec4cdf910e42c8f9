"""The combiner table: counts the distinct tokens of text and gives them back sorted.

A map task feeds a split's text in windows, then drains: entries come out grouped by
partition, sorted by key inside each, encoded as blocks of records (``csrc/mr_record.h``).
One table serves task after task, so that its memory is touched once.
"""
from libc.string cimport memset

from mrcore.kernels cimport _c
from mrcore.kernels._c cimport mr_entry, uint8_t, uint16_t, uint32_t, uint64_t
from mrcore.kernels.cpu cimport dispatch
from mrcore.kernels.memory cimport Pages
from mrcore.kernels.tokenize import TOKENIZERS

cdef enum:
    START_BITS = 16           # 1 MiB of short slots: start-up touches little memory
    ARENA_CHUNK = 1 << 20     # the first chunk; each further one doubles, up to
    ARENA_CHUNK_MAX = 64 << 20
    SKIP_STEP = 32 << 20

cdef struct feed_call:
    _c.mr_table *table
    _c.mr_tokenize_fn tokenize
    const uint8_t *text
    size_t size
    int final
    int lower
    size_t consumed


cdef _c.mr_status run_feed(void *context) noexcept nogil:
    cdef feed_call *call = <feed_call *>context
    return _c.mr_table_feed(call.table, call.tokenize, call.text, call.size, call.final, call.lower, &call.consumed)


cdef struct skip_call:
    _c.mr_tokenize_fn tokenize
    _c.mr_tokenizer tokenizer
    const uint8_t *text
    size_t start
    size_t stop
    size_t found


cdef _c.mr_status run_skip(void *context) noexcept nogil:
    cdef skip_call *call = <skip_call *>context
    if call.start and not _c.mr_tokenize_is_token(call.tokenizer, call.text[call.start - 1]):
        call.found = call.start
    else:
        call.found = call.start + _c.mr_tokenize_skip(call.tokenize, call.text + call.start, call.stop - call.start)
        if call.tokenizer == _c.MR_TOKENIZER_LINES and call.found < call.stop:
            call.found += 1  # the next line begins behind the separator, not at it
    return _c.MR_OK


class TruncatedError(Exception):
    """Mapped text vanished while it was read: its file was truncated. The table holds nonsense."""


cdef class CountTable:
    """Counts of distinct tokens, exact, in int64.

    Args:
        tokenizer: one of :data:`mrcore.kernels.tokenize.TOKENIZERS`.
        lower: fold ``A-Z`` to ``a-z``.

    Cost: 4-8 ns a token of ordinary text on one core; 16 bytes a slot for keys up to seven
    bytes and 24 for others, filled to two thirds at most.
    """

    cdef _c.mr_table table
    cdef int tokenizer
    cdef bint lower
    cdef list slots        # Pages of the three parts
    cdef list arena        # Pages of long keys, in the order they were filled
    cdef Pages entries, scratch, partition_of
    cdef list splitter_keys
    cdef size_t generation  # of what was drained: clear() and drain() end the life of older entries

    def __init__(self, str tokenizer="whitespace", bint lower=False):
        if tokenizer not in TOKENIZERS:
            raise ValueError(f"unknown tokenizer {tokenizer!r}: one of {', '.join(TOKENIZERS)}")
        cdef int error = _c.mr_fault_install()
        if error:
            raise OSError(error, "cannot handle SIGBUS")
        self.tokenizer = TOKENIZERS.index(tokenizer)
        self.lower = lower
        self.arena = []
        self.entries, self.scratch, self.partition_of = Pages(), Pages(), Pages()
        memset(&self.table, 0, sizeof(_c.mr_table))
        self.slots = []
        for part in range(3):
            self.slots.append(Pages(_c.mr_table_slot_size(<_c.mr_table_part>part) << START_BITS))
            self.table.part[part].slots = (<Pages>self.slots[part]).address
            self.table.part[part].bits = START_BITS

    @property
    def distinct(self):
        """Distinct tokens counted since the table was cleared."""
        return _c.mr_table_used(&self.table)

    @property
    def tokens(self):
        """Tokens counted since the table was cleared."""
        return self.table.tokens

    @property
    def memory_bytes(self):
        """Bytes of memory that the table and its buffers have mapped."""
        cdef Pages pages
        total = self.entries.size + self.scratch.size + self.partition_of.size
        for pages in self.slots + self.arena:
            total += pages.size
        return total

    def align(self, const uint8_t[::1] data, size_t start):
        """First offset from ``start`` on that no token crosses: where a split really begins or ends.

        Of ``lines``, where a line begins: behind an LF, or the end.
        A split ``[a, b)`` owns ``[align(a), align(b))``, so a token belongs to the split that
        holds its first byte, and to no other.

        Raises:
            TruncatedError: ``data`` is a mapping whose file became shorter.
        """
        cdef skip_call call
        cdef _c.mr_status status
        cdef size_t size = data.shape[0]
        if start == 0 or start >= size:
            return min(start, size)
        call.tokenize = dispatch().tokenize[self.tokenizer]
        call.tokenizer = <_c.mr_tokenizer>self.tokenizer
        call.text = &data[0]
        call.start = start
        while call.start < size:  # in steps, so that signals are seen on the way
            call.stop = min(call.start + SKIP_STEP, size)
            with nogil:
                status = _c.mr_fault_call(run_skip, &call, call.text, size)
            if status == _c.MR_FAULT:
                raise TruncatedError
            if call.found < call.stop:
                return call.found
            call.start = call.stop
        return size

    def feed(self, const uint8_t[::1] data, size_t start, size_t stop, bint final):
        """Counts the tokens of ``data[start:stop]`` that end inside it.

        With ``final``, a token that reaches ``stop`` is counted too. Returns the offset of the
        first byte still to be fed: ``stop``, or the first byte of an unfinished token.

        Raises:
            TruncatedError: ``data`` is a mapping whose file became shorter.
        """
        cdef feed_call call
        cdef _c.mr_status status
        self.generation += 1  # growing moves slots that drained entries refer to
        if start > stop or stop > <size_t>data.shape[0]:
            raise IndexError(f"[{start}, {stop}) of {data.shape[0]} bytes")
        call.table = &self.table
        call.tokenize = dispatch().tokenize[self.tokenizer]
        call.final = final
        call.lower = self.lower
        while start < stop:
            call.text = &data[start]
            call.size = stop - start
            with nogil:
                status = _c.mr_fault_call(run_feed, &call, call.text, call.size)
            if status == _c.MR_FAULT:
                raise TruncatedError
            start += call.consumed
            if status == _c.MR_OK:
                break
            self.grow()
        return start

    cdef void grow(self) except *:
        cdef Pages pages
        cdef int part = self.table.want
        cdef unsigned bits
        cdef size_t chunk
        if part == _c.MR_PART_ARENA:
            chunk = min(ARENA_CHUNK << min(len(self.arena), 16), <size_t>ARENA_CHUNK_MAX)
            # A token longer than the chunks is scanned anew each time, so its room doubles too.
            pages = Pages(max(chunk, 2 * self.table.want_bytes))
            self.arena.append(pages)
            self.table.arena = <uint8_t *>pages.address
            self.table.arena_room = pages.size
            return
        # Four times as large while small, so that few tokens are moved often; then twice.
        bits = self.table.part[part].bits + (2 if self.table.part[part].bits < 20 else 1)
        pages = Pages(_c.mr_table_slot_size(<_c.mr_table_part>part) << bits)
        with nogil:
            _c.mr_table_rehash(&self.table, <_c.mr_table_part>part, pages.address, bits)
        self.slots[part] = pages

    def drain(self, uint32_t partitions=1, list splitters=None):
        """Sorts what was counted. The table must be cleared before it is fed again.

        Args:
            partitions: by ``xxh3_64(key) % partitions``, when no splitters are given.
            splitters: ascending keys; partition ``p`` holds ``splitters[p-1] <= key < splitters[p]``.

        Returns:
            A :class:`SortedEntries` that is valid until :meth:`clear`.
        """
        if splitters is not None:
            partitions = len(splitters) + 1
        if partitions < 1:
            raise ValueError("partitions must be at least 1")
        cdef uint64_t n = _c.mr_table_used(&self.table)
        cdef Pages split = Pages(max(partitions, 1) * sizeof(mr_entry))
        cdef mr_entry *entry = <mr_entry *>split.address
        cdef _c.mr_partitioner by
        cdef const uint8_t[::1] key
        cdef SortedEntries result = SortedEntries.__new__(SortedEntries)
        cdef uint64_t[::1] offset
        self.splitter_keys = []
        self.generation += 1
        by.count = partitions
        by.splitters = entry if splitters is not None else NULL
        for i, splitter in enumerate(splitters or ()):
            # A reference is an address and a length; long ones carry the length before the key.
            kept = len(splitter).to_bytes(8, "little") + splitter
            self.splitter_keys.append(kept)
            key = kept
            entry[i] = _c.mr_entry_of(&key[0] + 8, len(splitter), 0)
        self.entries.reserve(n * sizeof(mr_entry))
        self.partition_of.reserve(n * sizeof(uint32_t))
        result.table = self
        result.generation = self.generation
        result.offsets = bytearray((partitions + 1) * 8)
        result.offset = offset = memoryview(result.offsets).cast("Q")
        with nogil:
            _c.mr_table_drain(&self.table, &by, <mr_entry *>self.entries.address,
                              <uint32_t *>self.partition_of.address, &offset[0])
        largest = max((offset[p + 1] - offset[p] for p in range(partitions)), default=0)
        self.scratch.reserve(largest * sizeof(mr_entry))
        for p in range(partitions):  # one call a partition, so that signals are seen in between
            result.sort(p)
        return result

    def clear(self):
        """Empties the table; its slots and the newest chunk of its arena are kept."""
        cdef Pages pages
        self.generation += 1
        with nogil:
            _c.mr_table_clear(&self.table)
        if self.arena:
            del self.arena[:-1]
            pages = self.arena[0]
            self.table.arena = <uint8_t *>pages.address
            self.table.arena_room = pages.size


cdef class SortedEntries:
    """Keys and counts of a drained table, by partition, each sorted by key bytes."""

    cdef CountTable table
    cdef object offsets
    cdef uint64_t[::1] offset
    cdef size_t generation

    cdef void sort(self, size_t p) except *:
        cdef mr_entry *first = <mr_entry *>self.table.entries.address + self.offset[p]
        cdef size_t n = self.offset[p + 1] - self.offset[p]
        with nogil:
            _c.mr_sort_entries(first, n, <mr_entry *>self.table.scratch.address)

    @property
    def partitions(self):
        """Number of partitions."""
        return self.offset.shape[0] - 1

    def records(self, size_t partition):
        """Number of keys in a partition."""
        return self.offset[partition + 1] - self.offset[partition]

    def blocks(self, size_t partition, size_t block_size):
        """Yields a partition's records as blocks of up to ``block_size`` encoded bytes.

        A record larger than that gets a block of its own. Each block is a view of one buffer
        that the next block overwrites.
        """
        cdef bytearray out = bytearray(block_size)
        cdef uint8_t[::1] view = out
        cdef const mr_entry *first = <const mr_entry *>self.table.entries.address + self.offset[partition]
        cdef size_t n = self.offset[partition + 1] - self.offset[partition]
        cdef size_t at = 0, written = 0, want = 0, room = block_size
        cdef _c.mr_status status
        while at < n:
            if self.generation != self.table.generation:
                raise ValueError("the table was fed, cleared or drained again: its entries are gone")
            with nogil:
                status = _c.mr_record_encode(first, n, &at, &view[0], room, &written, &want)
            if written:
                yield memoryview(out)[:written]
                room = block_size  # also after a record that took more
            elif status == _c.MR_NEED_FLUSH:
                if want > <size_t>len(out):
                    out = bytearray(want)
                    view = out
                room = want
