"""Posting lists: which documents a word stands in, how often, and their text form.

A value is the bytes of ``csrc/mr_postings.h``: groups of ascending document ids, stored as
deltas, with a count each. A document is an input file; ids ascend with the files' paths.
Map tasks and merges join values as bytes, :func:`pack` is the combiner, and
:class:`PostingsText` writes what ``mrcore index`` prints::

    line := word TAB file ("," file)* LF
    file := path [":" count]

Paths are escaped (:func:`escape_path`), so TAB, comma and LF in a line are its own; a path may
hold a colon, and with counts the last colon of a file is the one before its count.
"""
from cpython.exc cimport PyErr_CheckSignals
from cpython.number cimport PyNumber_Index
from libc.string cimport memset

from mrcore.errors import CorruptionError, MrcoreError, shown
from mrcore.kernels cimport _c
from mrcore.kernels._c cimport int64_t, uint8_t, uint32_t, uint64_t

cdef enum:
    NOGIL_BYTES_MIN = 4096  # takes some microseconds: a hundred times what releasing the GIL costs

cdef tuple FAULTS = (  # in the order of the C enumeration
    "nothing is wrong",
    "a record leaves its block",
    "a number is cut off or too large",
    "a value without a group, or a group without postings",
    "document ids that do not ascend",
    "a document id that no file has",
    "a count that is 0 or past int64",
)


cdef object overflow():
    return MrcoreError("a count of an index left the range of int64")


cdef object corruption(_c.mr_postings_fault fault, size_t at):
    return CorruptionError(f"a posting list at byte {at}: {FAULTS[<int>fault]}")


def escape_path(bytes path not None):
    r"""A path as it stands in a line: every byte but five is itself.

    Backslash becomes ``\\``, TAB ``\t``, LF ``\n``, CR ``\r`` and comma ``\,``. So a path holds no
    bare TAB, comma or line end, and reading ``\`` with the byte behind it gives the path back.
    """
    path = path.replace(b"\\", b"\\\\").replace(b"\t", b"\\t").replace(b"\n", b"\\n")
    return path.replace(b"\r", b"\\r").replace(b",", b"\\,")


def encode(list postings not None):
    """A value of one group, of ``(document, count)`` pairs.

    Raises:
        ValueError: there are no pairs, ids do not ascend, or a count is below 1.
        OverflowError: an id is not in 32 bits, or a count past int64.
        TypeError: an id or count is no integer.
    """
    cdef bytearray out = bytearray(_c.MR_POSTINGS_ONE_MAX * (len(postings) + 1))
    cdef uint8_t[::1] room = out
    cdef uint8_t *at = &room[0]
    cdef int64_t before = -1, count
    cdef uint32_t document
    if not postings:
        raise ValueError("a group has at least one posting")
    at = _c.mr_varint_put(at, len(postings))
    for given, how_often in postings:
        # PyNumber_Index: a C integer would take 1.5 and silently make it 1.
        document, count = PyNumber_Index(given), PyNumber_Index(how_often)
        if document <= before:
            raise ValueError(f"document {document} does not come after document {before}")
        if count < 1:
            raise ValueError(f"document {document} has the count {count}")
        at = _c.mr_varint_put(at, document - max(before, 0))
        at = _c.mr_varint_put(at, count)
        before = document
    return bytes(room[:at - &room[0]])


def decode(const uint8_t[::1] value not None):
    """The ``(document, count)`` pairs of a value, ascending, counts of one document added.

    Raises:
        CorruptionError: the value does not parse.
        MrcoreError: a sum left the range of int64.
    """
    cdef const uint8_t *first = &value[0] if value.shape[0] else NULL
    cdef const uint8_t *at = first
    cdef const uint8_t *end = first + value.shape[0]
    cdef const uint8_t *after
    cdef _c.mr_postings_cursor cursor
    cdef list pairs = []
    memset(&cursor, 0, sizeof(cursor))
    while at < end or cursor.left or not pairs:
        after = _c.mr_postings_next(&cursor, at, end)
        if after == NULL:
            raise corruption(cursor.fault, at - first)
        at = after
        if pairs and pairs[-1][0] == cursor.document:
            total = pairs[-1][1] + cursor.count
            if total >= 1 << 63:
                raise overflow()
            pairs[-1] = (cursor.document, total)
        else:
            pairs.append((cursor.document, cursor.count))
    return pairs


def pack(const uint8_t[::1] value not None):
    """Rewrites joined groups as one, counts of one document added: the combiner.

    Returns a value that decodes to the same pairs and is not longer. Above 4 KiB the GIL is
    released; nobody may write to the bytes meanwhile.

    Raises:
        CorruptionError: the value does not parse.
        MrcoreError: a sum left the range of int64.

    Cost: one native call of a few ns a posting, and room for a second value.
    """
    cdef size_t size = value.shape[0], packed = 0
    cdef bytearray out = bytearray(size + _c.MR_POSTINGS_HEAD)
    cdef uint8_t[::1] room = out
    cdef const uint8_t *first = &value[0] if size else NULL
    cdef _c.mr_status status
    if size < NOGIL_BYTES_MIN:
        status = _c.mr_postings_pack(first, size, &room[0], &packed)
    else:
        with nogil:
            status = _c.mr_postings_pack(first, size, &room[0], &packed)
    if status != _c.MR_OK:
        decode(value)  # raises, and says where
        raise CorruptionError("a posting list changed while it was packed")
    return bytes(room[:packed])


cdef class PostingsText:
    """Writes blocks of bytes records (``csrc/mr_record.h``; word, value) as lines of text.

    Args:
        paths: of the documents by id, escaped already. They are copied into one buffer.
        counts: write ``path:count`` in place of ``path``.
        room: size of the output buffer in bytes, at least 1. A line may be longer.

    Cost: about 0.3 ns a byte of output for paths of 35 bytes, 8 bytes a document beside its path.
    """

    cdef _c.mr_postings_text text
    cdef bytes blob
    cdef bytearray out
    cdef uint64_t[::1] offset
    cdef size_t generation  # of lines(): a later call ends an earlier one

    def __init__(self, list paths not None, bint counts, size_t room=1 << 20):
        if room < 1:
            raise ValueError("room must be at least 1")
        cdef uint64_t at = 0
        cdef size_t i = 0
        cdef bytes path
        self.offset = memoryview(bytearray(8 * (len(paths) + 1))).cast("Q")
        for path in paths:
            at += len(path)
            i += 1
            self.offset[i] = at
        self.blob = b"".join([*paths, bytes(_c.MR_POSTINGS_SPARE)])
        self.out = bytearray(room)
        self.start(counts)

    cdef void start(self, bint counts):
        memset(&self.text, 0, sizeof(self.text))
        self.text.paths = <const uint8_t *><const char *>self.blob
        self.text.offset = &self.offset[0]
        self.text.documents = self.offset.shape[0] - 1
        self.text.with_counts = counts

    def lines(self, blocks):
        """Yields the text of ``blocks`` in chunks of up to ``room`` bytes, cut anywhere.

        Args:
            blocks: bytes-like, each of whole records. One is held until the next is asked for.

        A chunk is a view of the one output buffer and must be used before the next is taken. No
        native call writes more than ``room`` bytes or reads more than about a million postings.

        Raises:
            CorruptionError: a block or value does not parse, or an id has no path; what came before
                may have been yielded.
            MrcoreError: a count left the range of int64.
            ValueError: ``lines`` was called again and uses the buffer now.
        """
        cdef const uint8_t[::1] view
        cdef uint8_t[::1] out = self.out
        cdef size_t filled = 0, written = 0, room = len(self.out), generation
        cdef _c.mr_status status
        self.start(self.text.with_counts)
        self.generation += 1
        generation = self.generation
        for block in blocks:
            view = block
            status = _c.MR_NEED_FLUSH if view.shape[0] else _c.MR_OK
            while status == _c.MR_NEED_FLUSH:
                if generation != self.generation:
                    raise ValueError("lines() was called again: its buffer is in use")
                with nogil:
                    status = _c.mr_postings_format(&self.text, &view[0], view.shape[0], &out[filled], room - filled,
                                                   &written)
                filled += written
                PyErr_CheckSignals()
                if filled and (status == _c.MR_NEED_FLUSH or filled == room):
                    yield memoryview(self.out)[:filled]
                    filled = 0
            if status != _c.MR_OK:
                raise self.failure(status, view)
            view = block = None  # the producer may use its buffer again now
        if filled:
            yield memoryview(self.out)[:filled]

    cdef object failure(self, _c.mr_status status, const uint8_t[::1] block):
        word = bytes(block[self.text.key_at:self.text.key_at + self.text.key_len])
        where = f"postings of '{shown(word[:100])}'" if word else "an index"
        if status == _c.MR_OVERFLOW:
            return MrcoreError(f"{where}: a count left the range of int64")
        return CorruptionError(f"{where}, byte {self.text.at} of the block: {FAULTS[<int>self.text.cursor.fault]}")
