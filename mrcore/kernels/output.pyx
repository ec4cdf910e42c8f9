# cython: language_level=3
"""Where the elements of a Python job end: as lines of text, or as values, alone or behind a key.

A line is ``key TAB value`` of a pair, or one column. A column's type is that of its first value::

    str, bytes   as they are, but backslash, TAB and LF as \\\\, \\t, \\n
    int, float   decimal; the shortest that reads back
    literal      of all other types: a Python literal, escaped in the same way

A value of another type than its column's, or one that no literal stands for, is written behind a
mark that no escaped text begins with: ``\\:`` and a literal, or ``\\!`` and base64 of a pickle.

*Keyed* output is value records (``csrc/mr_record.h``) whose values are lines or encoded elements,
so that files of it can be merged by key.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcpy

from mrcore.errors import CorruptionError
from mrcore.kernels cimport _c
from mrcore.kernels._c cimport uint8_t
from mrcore.kernels.chain cimport Taker
from mrcore.kernels.chain import YieldError
from mrcore.kernels.codec cimport ValueCodec, value_end
from mrcore.kernels.memory cimport Scratch
from mrcore.kernels.groups cimport Values

cdef enum:
    WRITE_BYTES = 256 << 10   # of plain text that are written at once
    RECORD_BYTES = 32 << 10   # of a keyed record, about
    BLOCK_BYTES = 48 << 10    # of a block of such records: a run file's block, with the last one's rest

INT_PLAIN = 1 << 63  # beyond it an int may be too long for a literal

_SCALARS = {str: "str", bytes: "bytes", int: "int", float: "float"}


cdef class Output(Taker):
    """Takes the elements of a task's output.

    Args:
        write: called with a view of finished bytes, which the next call overwrites: of text, or
            with ``keyed`` a block of whole records.
        codec: encodes elements, if ``columns`` is 0.
        columns: 2: lines of pairs; 1: lines of one column; 0: encoded elements.
        keyed: see above; :meth:`begin` says the key.
        literal: ``literal(value, marked)`` is a value's text, with the mark it needs.
        types: of the columns, where the first values are not to decide.
        limit, enough: raise ``enough`` instead of taking more than so many elements.
    """

    def __init__(self, write, ValueCodec codec=None, *, int columns=2, bint keyed=False, literal=None,
                 limit=None, enough=None, types=()):
        self.write, self.codec, self.literal = write, codec, literal
        self.text, self.keyed, self.columns = columns > 0, keyed, columns
        self.limit, self.enough = -1 if limit is None else limit, enough
        self.kinds = list(types) if types else [None] * columns
        self.key, self.payload, self.block = Scratch(), Scratch(), Scratch()

    @property
    def types(self):
        """The type of each column, None before its first value."""
        return tuple(self.kinds)

    cdef int take(self, object element) except -1:
        if self.records == self.limit:
            raise self.enough
        if type(element) is tuple and len(element) == 2 and type((<tuple>element)[1]) is Values:
            element = ((<tuple>element)[0], list((<tuple>element)[1]))
        if self.text:
            self.put_line(element)
        else:
            self.codec.encode(element, self.payload)
        self.records += 1
        if self.keyed:
            if self.payload.used >= RECORD_BYTES:
                self.close_record()
        elif self.payload.used >= WRITE_BYTES:
            self.flush()
        return 0

    cdef int put_line(self, object element) except -1:
        if self.columns == 1:
            self.put_column(element, 0)
        else:
            if type(element) is not tuple or len(element) != 2:
                raise YieldError(f"not a (key, value) pair, which this output is made of: a {type(element).__name__}")
            self.put_column((<tuple>element)[0], 0)
            self.payload.put(<const uint8_t *>b"\t", 1)
            self.put_column((<tuple>element)[1], 1)
        return self.payload.put(<const uint8_t *>b"\n", 1)

    cdef int put_column(self, object value, int column) except -1:
        kind = _SCALARS.get(type(value), "literal")
        if self.kinds[column] is None:
            self.kinds[column] = kind
        if kind != self.kinds[column]:
            return self.put_literal(value, True)
        if kind == "literal":
            return self.put_literal(value, False)
        return self.put_plain(value, kind)

    cdef int put_plain(self, object value, str kind) except -1:
        cdef const char *text
        cdef Py_ssize_t size
        if kind == "bytes":
            return put_escaped(self.payload, <const uint8_t *>PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
        if kind == "str":
            try:
                text = _c.PyUnicode_AsUTF8AndSize(value, &size)
            except UnicodeEncodeError:  # lone surrogates, which a literal has escapes for
                return self.put_literal(value, True)
            return put_escaped(self.payload, <const uint8_t *>text, size)
        if kind == "int":
            try:
                shown = str(value)
            except ValueError:  # more digits than Python converts
                return self.put_literal(value, True)
        else:
            shown = repr(value)
        text = _c.PyUnicode_AsUTF8AndSize(shown, &size)
        return self.payload.put(<const uint8_t *>text, size)

    cdef int put_literal(self, object value, bint marked) except -1:
        cdef bytes text
        cdef size_t start = self.payload.used
        if type(value) is list or type(value) is tuple:  # the values of a group, mostly, of which there are many
            if marked:
                self.payload.put(<const uint8_t *>b"\\:", 2)
            if self.put_sequence(value):
                return 0
            self.payload.used = start
        text = self.literal(value, marked)
        return self.payload.put(<const uint8_t *>PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))

    cdef bint put_sequence(self, object values) except -1:
        """The literal of plain strings and small ints, without Python's repr; False, with a part written, of others."""
        cdef Scratch out = self.payload
        cdef const char *text
        cdef Py_ssize_t size
        cdef bint first = True
        out.put(<const uint8_t *>(b"[" if type(values) is list else b"("), 1)
        for value in values:
            if not first:
                out.put(<const uint8_t *>b", ", 2)
            first = False
            if type(value) is str:
                try:
                    text = _c.PyUnicode_AsUTF8AndSize(value, &size)
                except UnicodeEncodeError:
                    return False
                out.reserve(size + 2)
                if not put_quoted(out, <const uint8_t *>text, size):
                    return False
            elif type(value) is int and -INT_PLAIN < value < INT_PLAIN:
                shown = str(value)
                text = _c.PyUnicode_AsUTF8AndSize(shown, &size)
                out.put(<const uint8_t *>text, size)
            else:
                return False
        if type(values) is list:
            out.put(<const uint8_t *>b"]", 1)
        else:
            out.put(<const uint8_t *>b",)", 2) if len(values) == 1 else out.put(<const uint8_t *>b")", 1)
        return True

    cdef int begin(self, const uint8_t *key, size_t size) except -1:
        """What is taken from here on belongs to a key, which is not before the last one."""
        if self.payload.used and self.keyed:
            self.close_record()
        self.key.used = 0
        return self.key.put(key, size)

    cdef int close_record(self) except -1:
        cdef Scratch block = self.block
        if not self.payload.used:
            return 0
        block.reserve(self.key.used + self.payload.used + _c.MR_RECORD_OVERHEAD)
        block.used = _c.mr_varint_put(block.bytes + block.used, self.key.used) - block.bytes
        block.put(self.key.bytes, self.key.used)
        block.used = _c.mr_varint_put(block.bytes + block.used, self.payload.used) - block.bytes
        block.put(self.payload.bytes, self.payload.used)
        self.payload.used = 0
        self.blocks += 1
        if block.used >= BLOCK_BYTES:
            self.flush()
        return 0

    cdef int flush(self) except -1:
        cdef Scratch full = self.block if self.keyed else self.payload
        if full.used:
            self.write(<uint8_t[:full.used]>full.bytes)
            full.used = 0
        return 0

    def finish(self):
        """Writes what is left."""
        if self.keyed:
            self.close_record()
        self.flush()


cdef bint put_quoted(Scratch out, const uint8_t *text, size_t size) noexcept:
    """A string in single quotes, into room for it; False if Python would write anything but its own bytes there."""
    cdef uint8_t *at = out.bytes + out.used
    cdef uint8_t odd = 0
    cdef size_t i
    at[0] = c"'"
    at += 1
    for i in range(size):  # no branch: it is vectorised
        at[i] = text[i]
        odd |= (text[i] < 0x20) | (text[i] > 0x7E) | (text[i] == c"'") | (text[i] == c"\\")
    at[size] = c"'"
    out.used += size + 2
    return odd == 0


cdef int put_escaped(Scratch out, const uint8_t *text, size_t size) except -1:
    cdef size_t i
    cdef uint8_t *at
    cdef uint8_t byte
    out.reserve(2 * size)
    at = out.bytes + out.used
    for i in range(size):
        byte = text[i]
        if byte == c"\\" or byte == c"\t" or byte == c"\n":
            at[0] = c"\\"
            at[1] = byte if byte == c"\\" else c"t" if byte == c"\t" else c"n"
            at += 2
        else:
            at[0] = byte
            at += 1
    out.used = at - out.bytes
    return 0


def escape(bytes text not None):
    """A text with backslash, TAB and LF escaped."""
    cdef Scratch out = Scratch()
    put_escaped(out, <const uint8_t *>PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
    return (<const char *>out.bytes)[:out.used] if out.used else b""


def lines_of(const uint8_t[::1] block not None):
    """The text of a block of keyed lines."""
    cdef const uint8_t *at = &block[0] if block.shape[0] else NULL
    cdef const uint8_t *end = at + block.shape[0]
    cdef const uint8_t *key
    cdef const uint8_t *value
    cdef size_t key_size, size
    cdef Scratch out = Scratch()
    while at < end:
        at = _c.mr_record_decode_bytes(at, end, &key, &key_size, &value, &size)
        if at == NULL:
            raise CorruptionError("a record of lines does not parse")
        out.put(value, size)
    return (<const char *>out.bytes)[:out.used] if out.used else b""


def elements_of(const uint8_t[::1] block not None, loads):
    """The elements of a block of keyed values, as a list."""
    cdef const uint8_t *at = &block[0] if block.shape[0] else NULL
    cdef const uint8_t *end = at + block.shape[0]
    cdef const uint8_t *key
    cdef const uint8_t *value
    cdef size_t key_size, size
    cdef ValueCodec codec = ValueCodec(None, loads)
    found = []
    while at < end:
        at = _c.mr_record_decode_bytes(at, end, &key, &key_size, &value, &size)
        if at == NULL:
            raise CorruptionError("a record of elements does not parse")
        while value < at:
            if value_end(value, at) == NULL:
                raise CorruptionError("an element does not parse")
            found.append(codec.decode(&value, at))
    return found
