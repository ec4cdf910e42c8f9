# cython: language_level=3
"""Keys and values of Python jobs as bytes.

*Keys* of a job are of one type, which is not written with them. Their bytes ascend as they do::

    bytes    as they are                str    UTF-8
    int      int64, sign bit turned, big-endian
    float    the bits, all turned if negative, else the sign bit; big-endian
    tuple    its elements one after the other; in bytes and str 00 becomes 00 FF, and 00 00 ends them

*Values* carry their types, so that one can be told from the next::

    value := 00 | 01 | 02                      None, False, True
           | 03 LEB128 of the zigzag form      int inside int64
           | 04 float64, little-endian
           | 05 length UTF-8                   str; lone surrogates as three bytes each
           | 06 length bytes
           | 07 count value*                   tuple
           | 08 length two's complement        int outside int64, little-endian
           | 09 length pickle                  anything else
           | 0A count value*                   State, which no user's value is

Only exact types count: a subclass of int is anything else, or it would come back as an int.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.float cimport PyFloat_AS_DOUBLE
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE, PyTuple_New, PyTuple_SET_ITEM
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.string cimport memchr, memcpy

from mrcore.errors import CorruptionError
from mrcore.kernels cimport _c
from mrcore.kernels._c cimport int64_t, uint8_t, uint64_t
from mrcore.kernels.memory cimport Scratch

from mrcore.kernels.key_types import KeyTypeError, kinds_of, show_kinds

cdef enum:
    NONE, FALSE, TRUE, INT, FLOAT, STR, BYTES, TUPLE, LARGE_INT, PICKLE, STATE  # tags, from 0
    DEPTH_MAX = 100  # tuples inside tuples

TAG_INT, TAG_FLOAT = INT, FLOAT


class State(tuple):
    """What an aggregate knows of some values, where that is more than a value."""


cdef class KeyCodec:
    """Encodes and decodes keys of one type.

    Args:
        kinds: the type's letters, if it is known; otherwise the first key that is encoded decides.
    """

    def __init__(self, str kinds=""):
        self.kinds = kinds

    @property
    def type(self):
        """Letters of the keys' type: ``b`` bytes, ``s`` str, ``i`` int, ``f`` float, ``(...)`` a tuple; empty: unknown."""
        return self.kinds

    cdef int encode(self, object key, Scratch out) except -1:
        """Appends a key.

        Raises:
            KeyTypeError: of another type than the keys before, or of none that a key may have.
            ValueError: NaN, an int outside of int64, or a str that UTF-8 has no form for.
        """
        if not self.kinds:
            self.kinds = kinds_of(key)
        self.at = 0
        try:
            self.put(key, out, False)
        except KeyTypeError:
            raise KeyTypeError(f"a key of type {show_kinds(kinds_of(key))}, where those before were of type "
                               f"{show_kinds(self.kinds)}: the keys of a job are of one type") from None
        return 0

    cdef int mismatch(self) except -1:
        raise KeyTypeError

    cdef int put(self, object key, Scratch out, bint inner) except -1:
        cdef Py_UCS4 kind = self.kinds[self.at]
        cdef int shift
        cdef const char *text
        cdef Py_ssize_t size
        cdef int overflow = 0
        cdef uint64_t word
        cdef double number
        self.at += 1
        if kind == u"b" and type(key) is bytes:
            return self.put_text(<const uint8_t *>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), out, inner)
        if kind == u"s" and type(key) is str:
            try:
                text = _c.PyUnicode_AsUTF8AndSize(key, &size)
            except UnicodeEncodeError:
                raise ValueError(f"a key with a lone surrogate, which UTF-8 has no form for: {key[:100]!r}") from None
            return self.put_text(<const uint8_t *>text, size, out, inner)
        out.reserve(8)
        if kind == u"i" and type(key) is int:
            word = <uint64_t>_c.PyLong_AsLongLongAndOverflow(key, &overflow)
            if overflow:
                raise ValueError(f"a key outside of int64: an int of {key.bit_length()} bits; write str(key)")
            word ^= <uint64_t>1 << 63
        elif kind == u"f" and type(key) is float:
            number = PyFloat_AS_DOUBLE(key) + 0.0  # -0.0 is 0.0
            if number != number:
                raise ValueError("a key that is NaN, which has no place in an order; leave it out, or write str(key)")
            memcpy(&word, &number, 8)
            word ^= ~<uint64_t>0 if word >> 63 else <uint64_t>1 << 63
        elif kind == u"(" and type(key) is tuple:
            for element in <tuple>key:
                if self.kinds[self.at] == u")":
                    return self.mismatch()
                self.put(element, out, True)
            if self.kinds[self.at] != u")":
                return self.mismatch()
            self.at += 1
            return 0
        else:
            return self.mismatch()
        for shift in range(8):
            out.bytes[out.used + shift] = <uint8_t>(word >> (56 - 8 * shift))
        out.used += 8
        return 0

    cdef int put_text(self, const uint8_t *text, size_t size, Scratch out, bint inner) except -1:
        cdef const uint8_t *nul
        cdef size_t piece
        if not inner:
            return out.put(text, size)
        while True:
            nul = <const uint8_t *>memchr(text, 0, size) if size else NULL
            if nul == NULL:
                break
            piece = nul - text + 1
            out.put(text, piece)
            out.put(<const uint8_t *>b"\xff", 1)
            text += piece
            size -= piece
        out.put(text, size)
        return out.put(<const uint8_t *>b"\0\0", 2)

    cdef object decode(self, const uint8_t *key, size_t size):
        """The key of its bytes.

        Raises:
            CorruptionError: they are not those of a key of this type.
        """
        cdef const uint8_t *at = key
        self.at = 0
        found = self.get(&at, key + size, False)
        if at != key + size:
            raise CorruptionError(f"a key of {size} bytes is not of type {show_kinds(self.kinds)}")
        return found

    cdef object get(self, const uint8_t **at, const uint8_t *end, bint inner):
        cdef Py_UCS4 kind
        cdef int shift
        cdef uint64_t word = 0
        cdef double number
        cdef const uint8_t *from_ = at[0]
        if self.at >= <size_t>len(self.kinds):
            raise CorruptionError("keys of an unknown type")
        kind = self.kinds[self.at]
        self.at += 1
        if kind == u"(":
            elements = []
            while self.kinds[self.at] != u")":
                elements.append(self.get(at, end, True))
            self.at += 1
            return tuple(elements)
        if kind in (u"b", u"s"):
            text = get_text(at, end) if inner else PyBytes_FromStringAndSize(<const char *>from_, end - from_)
            if not inner:
                at[0] = end
            try:
                return text if kind == u"b" else str(text, "utf-8")
            except UnicodeDecodeError as error:
                raise CorruptionError(f"a key is not UTF-8: {error}") from None
        if end - from_ < 8:
            raise CorruptionError("a key ends inside a number")
        for shift in range(8):
            word = word << 8 | from_[shift]
        at[0] = from_ + 8
        if kind == u"i":
            return <int64_t>(word ^ <uint64_t>1 << 63)
        word ^= <uint64_t>1 << 63 if word >> 63 else ~<uint64_t>0
        memcpy(&number, &word, 8)
        return number


cdef bytes get_text(const uint8_t **at, const uint8_t *end):
    """A bytes or str element of a tuple, its zeros put back."""
    cdef const uint8_t *first = at[0]
    cdef const uint8_t *nul = first
    pieces = []
    while True:
        nul = <const uint8_t *>memchr(first, 0, end - first) if end > first else NULL
        if nul == NULL or nul + 1 >= end or nul[1] not in (0, 0xFF):
            raise CorruptionError("a key ends inside a string")
        pieces.append(PyBytes_FromStringAndSize(<const char *>first, nul - first + (nul[1] == 0xFF)))
        first = nul + 2
        if nul[1] == 0:
            break
    at[0] = first
    return b"".join(pieces)


cdef class ValueCodec:
    """Encodes and decodes values.

    Args:
        dumps, loads: pickle what has no form of its own, and back.
    """

    def __init__(self, dumps, loads):
        self.dumps, self.loads = dumps, loads

    cdef int encode(self, object value, Scratch out) except -1:
        """Appends a value. Raises what ``dumps`` raises; the codec is no more to be used then."""
        cdef const char *text
        cdef Py_ssize_t size
        cdef int overflow = 0
        cdef int64_t number
        cdef double real
        cdef size_t i
        cdef type kind = type(value)
        out.reserve(16)
        cdef uint8_t *at = out.bytes + out.used
        if kind is int:
            number = _c.PyLong_AsLongLongAndOverflow(value, &overflow)
            if overflow:
                return put_tagged(out, LARGE_INT, value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True))
            at[0] = INT
            out.used = _c.mr_varint_put(at + 1, _c.mr_zigzag(number)) - out.bytes
        elif kind is float:
            at[0] = FLOAT
            real = PyFloat_AS_DOUBLE(value)
            memcpy(at + 1, &real, 8)
            out.used += 9
        elif kind is str:
            try:
                text = _c.PyUnicode_AsUTF8AndSize(value, &size)
            except UnicodeEncodeError:
                return put_tagged(out, STR, value.encode("utf-8", "surrogatepass"))
            at[0] = STR
            out.used = _c.mr_varint_put(at + 1, size) - out.bytes
            out.put(<const uint8_t *>text, size)
        elif kind is bytes:
            put_tagged(out, BYTES, value)
        elif (kind is tuple or kind is State) and self.depth < DEPTH_MAX:
            self.depth += 1
            at[0] = TUPLE if kind is tuple else STATE
            out.used = _c.mr_varint_put(at + 1, PyTuple_GET_SIZE(value)) - out.bytes
            for i in range(<size_t>PyTuple_GET_SIZE(value)):
                self.encode(<object>PyTuple_GET_ITEM(value, i), out)
            self.depth -= 1
        elif value is None or kind is bool:
            at[0] = NONE if value is None else TRUE if value else FALSE
            out.used += 1
        else:
            put_tagged(out, PICKLE, self.dumps(value))
        return 0

    cdef object decode(self, const uint8_t **at, const uint8_t *end):
        """The value at ``at``, which moves behind it; :func:`value_end` has found it whole.

        Raises:
            CorruptionError: what no value is encoded as: text that is not UTF-8, or tuples too deep.
        """
        cdef uint8_t tag = at[0][0]
        cdef uint64_t number = 0
        cdef double real
        cdef const uint8_t *body
        at[0] += 1
        if tag <= TRUE:
            return None if tag == NONE else tag == TRUE
        if tag == FLOAT:
            memcpy(&real, at[0], 8)
            at[0] += 8
            return real
        at[0] = _c.mr_varint_get(at[0], end, &number)
        if tag == INT:
            return _c.mr_unzigzag(number)
        if tag == TUPLE or tag == STATE:
            found = self.elements(number, at, end)
            return found if tag == TUPLE else State(found)
        body = at[0]
        at[0] += number
        if tag == STR:
            try:
                return PyUnicode_DecodeUTF8(<char *>body, number, "surrogatepass")
            except UnicodeDecodeError as error:
                raise CorruptionError(f"a str is not UTF-8: {error}") from None
        data = PyBytes_FromStringAndSize(<const char *>body, number)
        if tag == BYTES:
            return data
        return self.loads(data) if tag == PICKLE else int.from_bytes(data, "little", signed=True)

    cdef tuple elements(self, Py_ssize_t count, const uint8_t **at, const uint8_t *end):
        cdef Py_ssize_t i
        if self.depth >= DEPTH_MAX:  # deeper ones are pickled: these would only fill the stack
            raise CorruptionError(f"tuples inside tuples, more than {DEPTH_MAX} deep")
        self.depth += 1
        try:
            found = PyTuple_New(count)
            for i in range(count):
                element = self.decode(at, end)
                Py_INCREF(element)
                PyTuple_SET_ITEM(found, i, element)
        finally:
            self.depth -= 1
        return found


cdef int put_tagged(Scratch out, uint8_t tag, bytes data) except -1:
    out.reserve(16)
    out.bytes[out.used] = tag
    out.used = _c.mr_varint_put(out.bytes + out.used + 1, PyBytes_GET_SIZE(data)) - out.bytes
    return out.put(<const uint8_t *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


cdef const uint8_t *value_end(const uint8_t *at, const uint8_t *end) noexcept:
    """The byte after a value, or NULL where none stands whole."""
    cdef uint64_t number = 0, left = 1
    cdef uint8_t tag
    while left:
        left -= 1
        if at >= end:
            return NULL
        tag = at[0]
        at += 1
        if tag <= TRUE:
            continue
        if tag == FLOAT:
            if end - at < 8:
                return NULL
            at += 8
            continue
        if tag > STATE:
            return NULL
        at = _c.mr_varint_get(at, end, &number)
        if at == NULL:
            return NULL
        if tag == TUPLE or tag == STATE:
            if number > <uint64_t>(end - at):  # an element takes a byte
                return NULL
            left += number
        elif tag != INT:
            if number > <uint64_t>(end - at):
                return NULL
            at += number
    return at


def encode_key(key, str kinds=""):
    """``(bytes, letters of the type)`` of a key; errors as :class:`KeyCodec` has them."""
    cdef Scratch out = Scratch()
    cdef KeyCodec codec = KeyCodec(kinds)
    codec.encode(key, out)
    return PyBytes_FromStringAndSize(<const char *>out.bytes, out.used), codec.kinds


def decode_key(bytes data not None, str kinds not None):
    """The key of its bytes."""
    return KeyCodec(kinds).decode(<const uint8_t *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


def encode_values(values, dumps):
    """The bytes of values, one after the other."""
    cdef Scratch out = Scratch()
    cdef ValueCodec codec = ValueCodec(dumps, None)
    for value in values:
        codec.encode(value, out)
    return PyBytes_FromStringAndSize(<const char *>out.bytes, out.used)


def decode_values(const uint8_t[::1] data not None, loads):
    """The values that stand one after the other.

    Raises:
        CorruptionError: bytes that are none.
    """
    cdef ValueCodec codec = ValueCodec(None, loads)
    cdef const uint8_t *at = &data[0] if data.shape[0] else NULL
    cdef const uint8_t *end = at + data.shape[0]
    found = []
    while at < end:
        if value_end(at, end) == NULL:
            raise CorruptionError(f"a value at byte {data.shape[0] - (end - at)} does not parse")
        found.append(codec.decode(&at, end))
    return found
