# cython: language_level=3
"""From groups to output: each key's values through the aggregate, the reducer and the functions behind it.

A group has a name, by which it can be passed over: ``key`` and the first 4,096 bytes of its key's
encoding, of which the last 16 are a checksum's digits where the key is longer.
"""
from libc.string cimport memcpy

from mrcore.errors import CorruptionError
from mrcore.kernels cimport _c
from mrcore.kernels._c cimport int64_t, uint8_t, uint32_t
from mrcore.kernels.chain cimport Chain
from mrcore.kernels.codec cimport KeyCodec, ValueCodec
from mrcore.kernels.fold cimport Folder
from mrcore.kernels.groups cimport Groups, single_value, values_of
from mrcore.kernels.output cimport Output

from mrcore.kernels.hash import xxh3_64

cdef enum:
    KEY_MAX = 4096     # bytes of a key in its group's name
    MARK = 3           # bytes of "key" before them
    SIZE = 4           # of the name's length, before both

NAME_BYTES_MAX = MARK + KEY_MAX


cdef class Reducer:
    """Reduces groups.

    Args:
        groups: what :class:`mrcore.kernels.groups.Groups` takes: blocks.
        keys, values: the codecs.
        chain: takes ``(key, values)``, or with ``reduce`` what that makes; its taker is ``output``.
        output: told of each new key.
        prefix: bytes before each encoded key that are no part of it.
        fold: a :class:`Folder`, or a function of the values, whose result is the group's only value.
        reduce: ``reduce(key, values, ctx)``, a generator function.
        each: the chain is given ``(key, value)`` of every value instead.
        skip: names of groups that are passed over, or None; ``skipped`` were.
        page: where the name of the group at work stands for another process, behind its length as uint32: 0
            while there is none, and while it is written. Of 4 + NAME_BYTES_MAX bytes at least.
    """

    cdef Groups groups
    cdef KeyCodec keys
    cdef ValueCodec values
    cdef Chain chain
    cdef Output output
    cdef Folder folder
    cdef size_t prefix
    cdef object fold, reduce, ctx, current, skip
    cdef bint each
    cdef uint8_t[::1] page
    cdef readonly int64_t skipped

    def __init__(self, blocks, KeyCodec keys not None, ValueCodec values not None, Chain chain not None,
                 Output output not None, *, size_t prefix=0, fold=None, reduce=None, ctx=None, bint each=False,
                 skip=None, page=None):
        self.groups = Groups(blocks)
        self.keys, self.values, self.chain, self.output, self.prefix = keys, values, chain, output, prefix
        self.folder = fold if isinstance(fold, Folder) else None
        self.fold, self.reduce, self.ctx, self.each = fold, reduce, ctx, each
        self.skip = skip
        self.page = bytearray(SIZE + NAME_BYTES_MAX) if page is None else page
        if self.page.shape[0] < SIZE + NAME_BYTES_MAX:
            raise IndexError(f"a page of {self.page.shape[0]} bytes")

    @property
    def key(self):
        """The key at work."""
        return self.current

    @property
    def records(self):
        """Records that were read."""
        return self.groups.records

    def run(self, int64_t groups_max):
        """Reduces so many groups; False when there are no more. Raises what the user's functions raise."""
        cdef Groups groups = self.groups
        cdef int64_t i
        for i in range(groups_max):
            self.tell(0)
            if not groups.next_group():
                return False
            if groups.key.used < self.prefix:
                raise CorruptionError(f"a key of {groups.key.used} bytes, without its partition")
            if self.passes_over(groups.key.bytes + self.prefix, groups.key.used - self.prefix):
                continue
            key = self.keys.decode(groups.key.bytes + self.prefix, groups.key.used - self.prefix)
            self.current = key
            self.output.begin(groups.key.bytes, groups.key.used)
            if self.folder is not None:
                value = self.folder.result(groups)
            elif self.fold is not None:
                value = self.fold(values_of(groups, self.values))
            else:
                value = values_of(groups, self.values)
            if self.reduce is not None:
                if self.fold is not None:
                    value = single_value(value)
                self.chain.drain(self.reduce(key, value, self.ctx), 0, "reduce")
            elif self.each:
                for one in value:
                    self.chain.run((key, one), 0)
            else:
                self.chain.run((key, value), 0)
        return True

    cdef bint passes_over(self, const uint8_t *key, size_t size) except -1:
        """Is the group of this key to be passed over? If not, its name is on the page."""
        cdef uint8_t *at = &self.page[SIZE]
        if self.skip is not None or size > KEY_MAX:
            name = group_name((<const char *>key)[:size])
            if self.skip is not None and name in self.skip:
                self.skipped += 1
                return True
            key, size = <const uint8_t *><const char *>name + MARK, len(name) - MARK
        memcpy(at, b"key", MARK)
        memcpy(at + MARK, key, size)
        self.tell(MARK + size)
        return False

    cdef void tell(self, size_t name_size) noexcept:
        """Sets the length of the name on the page, neither before nor after what stands around the call.

        The process may be killed between any two instructions: the compiler may not move them.
        """
        _c.atomic_signal_fence(_c.memory_order_seq_cst)
        (<uint32_t *>&self.page[0])[0] = <uint32_t>name_size
        _c.atomic_signal_fence(_c.memory_order_seq_cst)


def group_name(bytes key not None):
    """The name of the group of an encoded key."""
    if len(key) > KEY_MAX:
        key = key[:KEY_MAX - 16] + b"%016x" % xxh3_64(key)
    return b"key" + key
