# cython: language_level=3
"""From users' functions to the combiner table and the sort buffer, one pair at a time and no list of them.

A :class:`RecordFeed` cuts text into records and runs a chain on each, an :class:`ElementFeed` does it
with elements; a :class:`Drain` stands at the chain's end. Both feeds pass over records that are to be
skipped, and store where the record at work begins in a cell that another process may read when this
one has died. Where integers are added up, keys wait in a batch of 256, so that the table's
cache lines are asked for before they are needed. All other values go into the sort buffer as
they are (``mrcore/kernels/codec.pyx``), as do integers that the table cannot add without
leaving int64.
"""
cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.string cimport memcpy

from mrcore.kernels cimport _c
from mrcore.kernels._c cimport int64_t, uint8_t, uint32_t
from mrcore.kernels.cpu cimport dispatch
from mrcore.kernels.chain cimport Chain, Taker
from mrcore.kernels.codec cimport KeyCodec, ValueCodec
from mrcore.kernels.memory cimport Pages, Scratch
from mrcore.kernels.radix cimport SortBuffer
from mrcore.kernels.table cimport CountTable

from mrcore.kernels.chain import YieldError
from mrcore.kernels.codec import KeyTypeError
from mrcore.kernels.tokenize import TOKENIZERS

cdef enum:
    BATCH = 256
    KEY_MAX = 4096  # longer ones do not wait
    TEXT = 64 << 10
    PREFIX = 2      # bytes of the partition before a key, where a function chooses it
    NO_RECORD = -1  # in the cell: none is at work


PREFIX_BYTES = PREFIX


class RecordTooLarge(Exception):
    """A record of so many bytes, and there is no room for it."""

    def __init__(self, size):
        self.size = size


@cython.final
cdef class Drain(Taker):
    """Takes ``(key, value)`` pairs into a sort buffer of values, through a table if there is one.

    Args:
        owner: its ``relieve()`` empties the table into the buffer, its ``spill()`` empties the buffer.
        keys, values: the codecs.
        buffer: of the kind ``"values"``.
        table: adds up values that are integers.
        ones: every value counts as 1, whatever it is.
        place, partitions: of ``place(key, partitions)``, modulo ``partitions``, two bytes stand before each key.

    ``pairs`` were taken; ``added`` of them went past the table.
    """

    def __init__(self, owner, KeyCodec keys not None, ValueCodec values not None, SortBuffer buffer not None,
                 CountTable table=None, *, bint ones=False, place=None, uint32_t partitions=1):
        self.owner, self.keys, self.values, self.buffer, self.table = owner, keys, values, buffer, table
        self.ones, self.place, self.partitions = ones, place, partitions
        self.last = object()  # no value of a user's: None may be one
        self.key, self.value, self.past = Scratch(), Scratch(), Scratch()
        self.pages = Pages(TEXT + _c.MR_TABLE_ADD_SLACK + (BATCH + 2) * (sizeof(uint32_t) + sizeof(int64_t)))
        self.text = <uint8_t *>self.pages.address
        self.number = <int64_t *>(self.text + TEXT + _c.MR_TABLE_ADD_SLACK)
        self.offset = <uint32_t *>(self.number + BATCH + 2)

    def replace(self, CountTable table, SortBuffer buffer not None):
        """Goes on with another table and buffer; nothing must be waiting."""
        self.table, self.buffer = table, buffer

    cdef int take(self, object element) except -1:
        cdef const char *text
        cdef Py_ssize_t size
        cdef int64_t number = 1
        cdef int overflow = 0
        if type(element) is not tuple or PyTuple_GET_SIZE(element) != 2:
            raise YieldError(f"not a (key, value) pair: {describe(element)}")
        if self.plain and PyTuple_GET_ITEM(element, 1) == <PyObject *>self.last and (
                PyBytes_CheckExact(<object>PyTuple_GET_ITEM(element, 0))):  # as of `yield word, 1`
            self.pairs += 1
            return self.wait(<const uint8_t *>PyBytes_AS_STRING(<object>PyTuple_GET_ITEM(element, 0)),
                             PyBytes_GET_SIZE(<object>PyTuple_GET_ITEM(element, 0)), self.last_number)
        key = <object>PyTuple_GET_ITEM(element, 0)
        value = <object>PyTuple_GET_ITEM(element, 1)
        self.pairs += 1
        if self.table is None:
            self.encode_key(key)
            return self.add_value(value)
        if not self.ones:
            if type(value) is int:
                number = _c.PyLong_AsLongLongAndOverflow(value, &overflow)
            if overflow or type(value) is not int:
                self.encode_key(key)
                return self.add_value(value)
            self.last, self.last_number = value, number
        if self.place is None and type(key) is bytes and self.keys.kinds == "b":
            return self.wait(<const uint8_t *>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), number)
        if self.place is None and type(key) is str and self.keys.kinds == "s":
            try:
                text = _c.PyUnicode_AsUTF8AndSize(key, &size)
            except UnicodeEncodeError:
                return self.encode_key(key)  # which says what is wrong
            return self.wait(<const uint8_t *>text, size, number)
        self.encode_key(key)
        return self.wait(self.key.bytes, self.key.used, number)

    cdef int encode_key(self, object key) except -1:
        """The key's bytes into ``self.key``, behind which more can be read."""
        cdef uint32_t partition
        cdef int shift
        self.key.used = 0
        if self.place is not None:  # what it raises is its own
            partition = self.place(key, self.partitions) % self.partitions
            self.key.reserve(PREFIX)
            for shift in range(PREFIX):
                self.key.bytes[shift] = <uint8_t>(partition >> (8 - 8 * shift))
            self.key.used = PREFIX
        try:
            self.keys.encode(key, self.key)
        except (KeyTypeError, ValueError) as error:
            raise YieldError(str(error)) from None
        self.key.reserve(_c.MR_RADIX_ADD_SLACK)
        self.plain = self.table is not None and self.place is None and not self.ones and self.keys.kinds == "b"
        return 0

    cdef int add_value(self, object value) except -1:
        self.value.used = 0
        self.values.encode(value, self.value)
        return self.add(self.key.bytes, self.key.used)

    cdef int wait(self, const uint8_t *key, size_t size, int64_t number) except -1:
        """Lets a key wait in the batch."""
        cdef size_t used = self.offset[self.waiting]
        if size > KEY_MAX or self.direct > 0:
            return self.add_number(key, size, number)
        if self.waiting == BATCH or TEXT - used < size:
            self.pass_on()
            used = 0
        memcpy(self.text + used, key, size)
        self.number[self.waiting] = number
        self.waiting += 1
        self.offset[self.waiting] = <uint32_t>(used + size)
        return 0

    cdef int add_number(self, const uint8_t *key, size_t size, int64_t number) except -1:
        """Adds a key past the table."""
        if key != self.key.bytes:  # a copy with bytes behind it; not into self.key, which may be about to wait
            self.past.used = 0
            self.past.reserve(size + _c.MR_RADIX_ADD_SLACK)
            self.past.put(key, size)
            key = self.past.bytes
        self.direct -= self.direct > 0
        self.value.used = 0
        self.values.encode(number, self.value)
        return self.add(key, size)

    cdef int pass_on(self) except -1:
        """Adds what waits to the table."""
        cdef size_t next = 0, n = self.waiting
        cdef _c.mr_status status
        self.waiting = 0
        while next < n:
            status = self.table.add(self.text, self.offset, self.number, n, &next)
            if status == _c.MR_NEED_ROOM:
                self.owner.relieve()
            elif status == _c.MR_OVERFLOW:
                self.add_number(self.text + self.offset[next], self.offset[next + 1] - self.offset[next],
                                self.number[next])
                next += 1
        return 0

    def sample(self, CountTable table, int64_t pairs):
        """Counts the next so many keys that go past the table in this one too, then calls ``owner.sampled()``."""
        self.samples, self.sampling = table, pairs

    cdef int add_sample(self, const uint8_t *key, size_t size) except -1:
        cdef uint32_t[2] offset
        cdef int64_t number = 1
        cdef size_t next = 0
        offset[0], offset[1] = 0, <uint32_t>min(size, <size_t>KEY_MAX)
        self.samples.add(key, offset, &number, 1, &next)
        self.sampling -= 1
        if not self.sampling:
            self.owner.sampled()
        return 0

    cdef int add(self, const uint8_t *key, size_t size) except -1:
        """Adds the key with ``self.value`` to the buffer."""
        self.added += 1
        if self.sampling:
            self.add_sample(key, size)
        try:
            if not self.buffer.add(key, size, self.value.bytes, self.value.used):
                self.owner.spill()
                while not self.buffer.add(key, size, self.value.bytes, self.value.used):
                    self.owner.spill()
        except MemoryError:
            raise RecordTooLarge(size + self.value.used) from None
        return 0

    def finish(self):
        """Lets nothing wait any more: the last pair was taken."""
        self.pass_on()


cdef str describe(object element):
    if element is None:
        return "None"
    if type(element) is tuple:
        return f"a tuple of {len(element)}: {short(element)}"
    return f"{type(element).__name__}: {short(element)}"


cdef str short(object element):
    """Its text, not too long; of a large object only a begin is formatted."""
    if isinstance(element, (str, bytes)) and len(element) > 100:
        return repr(element[:100]) + "..."
    try:
        text = repr(element)
    except Exception as error:
        return f"(its repr fails: {type(error).__name__})"
    return text if len(text) <= 100 else text[:100] + "..."


cdef class RecordFeed:
    """Runs a chain on the records of text; a sink of :class:`mrcore.engine.keys.KeyFeed`.

    Args:
        chain: is given ``bytes``, or with an encoding ``str``.
        tokenizer: what a record is: one of :data:`mrcore.kernels.tokenize.TOKENIZERS`.
        lower: fold ``A-Z`` to ``a-z``.
        encoding: of the text, or None.
        cell: an int64 that always says the offset of the record at work, -1 outside of :meth:`feed`. After an
            error it says at which record.

    ``base`` is to be set to the offset in its file of what is fed; ``offset`` is that of the record at work, and
    ``undecoded`` its bytes, where there is an encoding. Records at the offsets in ``skip``, a set or None, are passed
    over, neither decoded nor run: they are in ``skipped``, not in ``records``.
    """

    def __init__(self, Chain chain not None, str tokenizer="lines", bint lower=False, str encoding=None, *, cell=None):
        self.chain = chain
        self.tokenizer = TOKENIZERS.index(tokenizer)
        self.lower, self.encoding = lower, encoding
        self.cell = cell_of(cell)

    def feed(self, const uint8_t[::1] data, size_t start, size_t stop, bint final):
        """Runs the records of ``data[start:stop]`` that end inside it; as :meth:`mrcore.kernels.table.CountTable.feed`.

        Raises what the chain raises, and UnicodeDecodeError; :attr:`offset` says at which record.
        """
        cdef _c.mr_tokenize_fn tokenize = dispatch().tokenize[self.tokenizer]
        cdef _c.mr_token_block block
        cdef size_t at = start, size, ended, begun, first = 0
        cdef bint open = False
        if start > stop or stop > <size_t>data.shape[0]:
            raise IndexError(f"[{start}, {stop}) of {data.shape[0]} bytes")
        block.inside = 0
        while at < stop:
            size = min(stop - at, <size_t>_c.MR_TOKEN_BLOCK)
            tokenize(&data[at], size, &block)
            begun = 0
            for ended in range(block.ends):
                if not open:
                    first = at + block.start[begun]
                    begun += 1
                open = False
                self.run(&data[0] + first, at + block.end[ended] - first, first)
            if begun < block.starts:
                first = at + block.start[begun]
                open = True
            at += size
        if open and final:
            self.run(&data[0] + first, stop - first, first)
            open = False
        self.cell[0] = NO_RECORD
        return first if open else stop

    cdef int run(self, const uint8_t *text, size_t size, size_t at) except -1:
        self.offset = self.base + at
        self.cell[0] = self.offset
        if self.skip is not None and self.offset in self.skip:
            self.skipped += 1
            return 0
        record = PyBytes_FromStringAndSize(<const char *>text, size)
        self.records += 1
        if self.lower:
            record = (<bytes>record).lower()
        if self.encoding is not None:
            self.undecoded = record
            record = (<bytes>record).decode(self.encoding)
        return self.chain.run(record, 0)


cdef class ElementFeed:
    """Runs a chain on elements, one after the other.

    Args:
        chain: is given each.
        cell: as :class:`RecordFeed`'s, of the element's index.

    ``offset`` is the index of the element at work among all that were fed; ``skip`` and ``skipped`` are as
    :class:`RecordFeed`'s.
    """

    def __init__(self, Chain chain not None, *, cell=None):
        self.chain, self.cell = chain, cell_of(cell)

    @property
    def records(self):
        """Elements that were run."""
        return self.offset - self.skipped

    def feed(self, list elements not None):
        """Runs elements. Raises what the chain raises; :attr:`offset` says at which."""
        for element in elements:
            self.cell[0] = self.offset
            if self.skip is not None and self.offset in self.skip:
                self.skipped += 1
            else:
                self.chain.run(element, 0)
            self.offset += 1
        self.cell[0] = NO_RECORD


cdef int64_t[::1] cell_of(object given):
    """The cell that was given, or one of its own for who needs none."""
    cdef int64_t[::1] cell = memoryview(bytearray(8)).cast("q") if given is None else given
    if not cell.shape[0]:
        raise IndexError("a cell of no bytes")
    return cell
