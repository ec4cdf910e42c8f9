# cython: language_level=3
"""From groups to output: each key's values through the aggregate, the reducer and the functions behind it."""
from mrcore.errors import CorruptionError
from mrcore.kernels._c cimport int64_t
from mrcore.kernels.chain cimport Chain
from mrcore.kernels.codec cimport KeyCodec, ValueCodec
from mrcore.kernels.fold cimport Folder
from mrcore.kernels.groups cimport Groups, single_value, values_of
from mrcore.kernels.output cimport Output


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
    """

    cdef Groups groups
    cdef KeyCodec keys
    cdef ValueCodec values
    cdef Chain chain
    cdef Output output
    cdef Folder folder
    cdef size_t prefix
    cdef object fold, reduce, ctx, current
    cdef bint each

    def __init__(self, blocks, KeyCodec keys not None, ValueCodec values not None, Chain chain not None,
                 Output output not None, *, size_t prefix=0, fold=None, reduce=None, ctx=None, bint each=False):
        self.groups = Groups(blocks)
        self.keys, self.values, self.chain, self.output, self.prefix = keys, values, chain, output, prefix
        self.folder = fold if isinstance(fold, Folder) else None
        self.fold, self.reduce, self.ctx, self.each = fold, reduce, ctx, each

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
            if not groups.next_group():
                return False
            if groups.key.used < self.prefix:
                raise CorruptionError(f"a key of {groups.key.used} bytes, without its partition")
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
