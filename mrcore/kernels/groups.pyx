# cython: language_level=3
"""Groups: the values of one key after the other, out of sorted blocks of value records.

A group may be larger than memory: its values are decoded one at a time, while a block at a time
is held. So they can be read once, in their order; :class:`Values` says so where somebody tries
a second time. What a user leaves unread is skipped.
"""
from libc.string cimport memcmp

from mrcore.errors import CorruptionError
from mrcore.kernels cimport _c
from mrcore.kernels._c cimport uint8_t
from mrcore.kernels.codec cimport ValueCodec, value_end
from mrcore.kernels.memory cimport Scratch


BUSY = "the values of a group were asked for while one of them was being loaded, by that one or in another thread"


class ValuesReadError(RuntimeError):
    """The values of a group were asked for a second time, or after their group."""


cdef class Groups:
    """Walks over groups.

    Args:
        blocks: an iterable of blocks of value records (``csrc/mr_record.h``), ascending by key. A
            block may go as soon as the next one is taken.

    Raises, wherever it steps, what ``blocks`` raises, and :class:`mrcore.errors.CorruptionError`.
    """

    def __init__(self, blocks):
        self.blocks = iter(blocks)
        self.key = Scratch()

    cdef bint step(self) except -1:
        """Steps to the next record: its key is ``next_key``; False at the end."""
        cdef const uint8_t[::1] block
        cdef const uint8_t *after
        cdef size_t size = 0
        while self.at == self.end:
            self.view = None  # the producer may use its memory again now
            item = next(self.blocks, None)
            if item is None:
                self.over = True
                return False
            if len(item):
                block = item
                self.view = block
                self.at = &block[0]
                self.end = self.at + block.shape[0]
        after = _c.mr_record_decode_bytes(self.at, self.end, &self.next_key, &self.next_size, &self.value, &size)
        if after == NULL:
            raise CorruptionError(f"a record at {self.end - self.at} bytes before its block's end does not parse")
        self.last = self.value + size
        self.at = after
        self.records += 1
        return True

    cdef bint next_group(self) except -1:
        """Goes to the next group, whose key's bytes are then in ``key``; False behind the last."""
        cdef const uint8_t *end
        if self.busy:  # in another thread
            raise ValuesReadError(BUSY)
        while self.count and not self.ahead and not self.over:
            self.value = self.last
            self.next_value(&end)
        self.turn += 1
        if self.over or not self.ahead and not self.step():
            return False
        self.ahead = False
        self.key.used = 0
        self.key.put(self.next_key, self.next_size)
        self.count += 1
        return True

    cdef const uint8_t *next_value(self, const uint8_t **end) except? NULL:
        """The group's next value, which ends before ``end[0]``; NULL behind the last."""
        cdef const uint8_t *start
        while not self.ahead and not self.over:
            if self.value < self.last:
                start = self.value
                self.value = value_end(start, self.last)
                if self.value == NULL:
                    self.over = True
                    raise CorruptionError("a value does not parse")
                end[0] = self.value
                return start
            if self.step() and (self.next_size != self.key.used or
                                memcmp(self.next_key, self.key.bytes, self.next_size)):
                self.ahead = True
        return NULL


cdef class Values:
    """The values of one group, in their order, to be iterated once."""

    def __iter__(self):
        if self.ended:
            raise ValuesReadError("the values of a group were read twice: they can be read once, in their order; "
                                  "keep them, as in list(values), or keep what you need of them")
        cdef ValuesIterator iterator = ValuesIterator.__new__(ValuesIterator)
        iterator.values = self
        return iterator

    def __next__(self):
        if not self.take():
            raise StopIteration
        value, self.current = self.current, None
        return value

    cdef bint take(self) except -1:
        """Decodes the next value into ``current``; False behind the last."""
        cdef const uint8_t *end
        cdef const uint8_t *at
        if self.ended:
            return False
        if self.groups is None:  # ``current`` is the only one
            self.ended = True
            return True
        if self.groups.turn != self.group:
            raise ValuesReadError("the values of a group were read after it had ended: keep them, as in list(values)")
        if self.groups.busy:
            raise ValuesReadError(BUSY)
        self.groups.busy = True
        try:
            at = self.groups.next_value(&end)
            if at != NULL:
                self.current = self.codec.decode(&at, end)
                return True
        finally:
            self.groups.busy = False
        self.ended = True
        return False

    def __reduce__(self):
        raise ValuesReadError("the values of a group cannot be kept as they are: keep list(values)")


cdef class ValuesIterator:
    """One look at the values. It may be asked for itself when it has ended, as heapq.nlargest() and chain() do."""

    def __iter__(self):
        return self

    def __next__(self):
        if self.values is None or not self.values.take():  # None: made by somebody else
            raise StopIteration
        value, self.values.current = self.values.current, None
        return value

    def __reduce__(self):
        return self.values.__reduce__()


cdef Values values_of(Groups groups, ValueCodec codec):
    """The values of the group that ``groups`` has come to."""
    cdef Values values = Values.__new__(Values)
    values.groups, values.codec, values.group = groups, codec, groups.turn
    return values


cdef Values single_value(object value):
    """A group of one value."""
    cdef Values values = Values.__new__(Values)
    values.current = value
    return values


def read_groups(blocks, loads=None):
    """``(key bytes, [value, ...])`` of every group: for tests and small data."""
    cdef Groups groups = Groups(blocks)
    cdef ValueCodec codec = ValueCodec(None, loads)
    while groups.next_group():
        yield (<const char *>groups.key.bytes)[:groups.key.used], list(values_of(groups, codec))
