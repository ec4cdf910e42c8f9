# cython: language_level=3
"""Folds the values of groups: sum, mean, min, max and first, exact whatever the order and grouping.

A map task folds each group of a run into a few *states*, which are values again, before the run is
written (:func:`fold_blocks`); a reduce task folds all states of a group into its result
(:meth:`Folder.result`). The states of a sum are numbers with the same exact sum: an int, and
floats that do not overlap, most often one to three, each the nearest double to what the ones
before leave (the accumulator is ``csrc/mr_accumulate.h``'s). So a float sum is rounded once, at
the end, as ``math.fsum`` rounds it, and no split, spill or worker can show in it. A mean's state
is a count and a sum's states.
"""
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.math cimport isfinite
from libc.string cimport memcpy

from mrcore.kernels cimport _c
from mrcore.kernels._c cimport int64_t, uint8_t, uint64_t
from mrcore.kernels.codec cimport ValueCodec
from mrcore.kernels.memory cimport Scratch
from mrcore.kernels.groups cimport Groups, values_of

from mrcore.kernels.chain import YieldError
from mrcore.kernels.codec import State, TAG_FLOAT, TAG_INT

KINDS = ("sum", "mean", "min", "max", "first")

cdef uint8_t INT = TAG_INT, FLOAT = TAG_FLOAT
cdef double FLOAT_MAX = 1.7976931348623157e308
cdef int64_t EXACT_INT = 1 << 53  # a float holds every int up to it
cdef Py_ssize_t LARGE_MAX = 64  # ints that wait to be added up


cdef class Total:
    """The exact sum of ints and floats: an int64, ints that left it, an accumulator, and infinities and NaN."""

    cdef int clear(self) except -1:
        self.whole = self.count = 0
        self.any_float = False
        self.special = 0
        if self.large is None or self.large:
            self.large = []
        return 0

    cdef int add(self, const uint8_t *at, const uint8_t *end, ValueCodec codec, str name) except -1:
        """Adds an encoded value."""
        cdef uint64_t coded = 0
        cdef double number
        if at[0] == INT:
            _c.mr_varint_get(at + 1, end, &coded)
            return self.add_int(_c.mr_unzigzag(coded))
        if at[0] == FLOAT:
            memcpy(&number, at + 1, 8)
            return self.add_float(number)
        value = codec.decode(&at, end)
        if isinstance(value, float):  # of a subclass
            return self.add_float(value)
        if not isinstance(value, int):
            raise YieldError(f"{name} of a value of type {type(value).__name__}: "
                             "ints and floats can be added; of others use mr.Aggregate")
        return self.add_object(value)

    cdef int add_int(self, int64_t number) except -1:
        cdef int64_t sum
        if _c.mr_int64_add(self.whole, number, &sum):
            self.whole = sum
        else:
            self.add_large(self.whole)
            self.whole = number
        return 0

    cdef int add_object(self, object number) except -1:
        """Adds an int of any size, or of a subclass."""
        cdef int overflow = 0
        cdef int64_t small = _c.PyLong_AsLongLongAndOverflow(number, &overflow)
        return self.add_large(int(number)) if overflow else self.add_int(small)

    cdef int add_large(self, object number) except -1:
        self.large.append(number)
        if len(self.large) == LARGE_MAX:  # a group may have any number of them
            self.large = [sum(self.large)]
        return 0

    cdef int add_float(self, double number) except -1:
        cdef uint64_t bits
        if not self.any_float:
            self.any_float = True
            memcpy(&bits, &FLOAT_ZERO, 8)
            _c.mr_accumulate_start(_c.MR_SUM_FLOAT64, self.state, bits, 0)
        if isfinite(number):
            memcpy(&bits, &number, 8)
            _c.mr_accumulate_add(_c.MR_SUM_FLOAT64, self.state, bits, 0)
        else:
            self.special += number
        return 0

    cdef list floats(self):
        """Finite floats with the exact sum of those that were added, each the nearest to what is left."""
        cdef uint64_t bits = 0
        cdef double number
        found = []
        while self.any_float:
            if _c.mr_accumulate_finish(_c.MR_SUM_FLOAT64, self.state, &bits) == _c.MR_OVERFLOW:
                number = -FLOAT_MAX if self.state[_c.MR_ACCUMULATE_LIMBS - 1] >> 63 else FLOAT_MAX
            else:
                memcpy(&number, &bits, 8)
            if number == 0:
                break
            found.append(number)
            number = -number
            memcpy(&bits, &number, 8)
            _c.mr_accumulate_add(_c.MR_SUM_FLOAT64, self.state, bits, 0)
        return found

    cdef list parts(self):
        """Numbers with the same exact sum, floats among them if there were any. The total is used up."""
        found = self.floats()
        if self.any_float and not found:
            found.append(0.0)
        if self.special != 0:
            found.append(self.special)
        total = sum(self.large, self.whole)
        return found if total == 0 and found else [total, *found]

    cdef object result(self):
        """The sum: an int if all were, else the nearest float, or an infinity or NaN. The total is used up."""
        cdef uint64_t bits = 0
        cdef double number
        if not self.any_float:
            return sum(self.large, self.whole) if self.large else self.whole
        if self.special != 0:
            return self.special
        if self.large or not -EXACT_INT <= self.whole <= EXACT_INT:
            return self.ratio(1)
        number = <double>self.whole
        memcpy(&bits, &number, 8)
        _c.mr_accumulate_add(_c.MR_SUM_FLOAT64, self.state, bits, 0)
        if _c.mr_accumulate_finish(_c.MR_SUM_FLOAT64, self.state, &bits) == _c.MR_OVERFLOW:
            return float("-inf" if self.state[_c.MR_ACCUMULATE_LIMBS - 1] >> 63 else "inf")
        memcpy(&number, &bits, 8)
        return number

    cdef object mean(self):
        """The sum by the count, rounded once. The total is used up."""
        if self.special != 0:
            return self.special
        if not self.any_float and not self.large:
            return self.whole / self.count  # of ints Python rounds the exact quotient
        return self.ratio(self.count)

    cdef object ratio(self, int64_t by):
        cdef list parts = self.parts()
        top, bottom = 0, 1
        if len(parts) == 1 and type(parts[0]) is float:
            return parts[0] / by
        for part in parts:
            numerator, denominator = part.as_integer_ratio()  # denominators are powers of two
            common = max(bottom, denominator)
            top = top * (common // bottom) + numerator * (common // denominator)
            bottom = common
        try:
            return top / (bottom * by)
        except OverflowError:
            return float("inf" if top > 0 else "-inf")


cdef double FLOAT_ZERO = 0.0


cdef class Folder:
    """Folds a group in one way.

    Args:
        kind: one of :data:`KINDS`.
        codec: decodes what is no plain number.
    """

    def __init__(self, str kind not None, ValueCodec codec not None):
        if kind not in KINDS:
            raise ValueError(f"unknown kind {kind!r}: one of {', '.join(KINDS)}")
        self.kind, self.codec, self.total = kind, codec, Total()

    cdef int add_all(self, Groups groups) except -1:
        """Adds the group's values to the total, and the states of a mean."""
        cdef const uint8_t *at
        cdef const uint8_t *end
        cdef const uint8_t *first
        self.total.clear()
        cdef str name = "Sum" if self.kind == "sum" else "Mean"
        while True:
            at = groups.next_value(&end)
            if at == NULL:
                return 0
            self.total.count += 1
            if at[0] in (INT, FLOAT) or self.kind == "sum":
                self.total.add(at, end, self.codec, name)
                continue
            first = at
            state = self.codec.decode(&at, end)
            if type(state) is not State:
                self.total.add(first, end, self.codec, name)
                continue
            self.total.count += state[0] - 1
            for part in state[1:]:
                if type(part) is float:
                    self.total.add_float(part)
                else:
                    self.total.add_object(part)

    cdef object best(self, Groups groups, Scratch out):
        """The least, largest or first value, its bytes in ``out``."""
        cdef const uint8_t *at
        cdef const uint8_t *end
        cdef const uint8_t *start
        cdef uint64_t coded = 0
        cdef int64_t number = 0, least = 0
        cdef bint plain, kept_plain = False, better
        cdef bint smallest = self.kind == "min", first = self.kind == "first"
        kept = None
        out.used = 0
        while True:
            at = groups.next_value(&end)
            if at == NULL:
                return kept
            start = at
            if first:
                if not out.used:
                    out.put(at, end - at)
                    kept = self.codec.decode(&at, end)
                continue
            plain = at[0] == INT
            if plain:
                _c.mr_varint_get(at + 1, end, &coded)
                number = _c.mr_unzigzag(coded)
            if plain and kept_plain:
                better = number < least if smallest else number > least
                if not better:
                    continue
            value = self.codec.decode(&at, end)
            if value != value:
                raise YieldError(f"{self.kind.title()} of NaN, which has no place in an order")
            if out.used and not (plain and kept_plain):
                try:
                    better = value < kept if smallest else value > kept
                except TypeError:
                    raise YieldError(f"{self.kind.title()} of a {type(kept).__name__} and a {type(value).__name__}, "
                                     "which have no order") from None
                if not better:
                    continue
            kept, kept_plain, least = value, plain, number
            out.used = 0
            out.put(start, end - start)

    cdef int put_states(self, Groups groups, Scratch out) except -1:
        """Appends the group's states."""
        cdef Scratch kept
        if self.kind in ("sum", "mean"):
            self.add_all(groups)
            parts = self.total.parts()
            if self.kind == "mean":
                self.codec.encode(State((self.total.count, *parts)), out)
                return 0
            for part in parts:
                self.codec.encode(part, out)
            return 0
        kept = Scratch()
        self.best(groups, kept)
        return out.put(kept.bytes, kept.used)

    cdef object result(self, Groups groups):
        """The fold of the group's values, which may be states."""
        if self.kind == "sum":
            self.add_all(groups)
            return self.total.result()
        if self.kind == "mean":
            self.add_all(groups)
            return self.total.mean()
        return self.best(groups, Scratch())


def fold_blocks(blocks, size_t block_bytes, fold, ValueCodec codec not None, counter):
    """Blocks of the same groups, with the states of each for its values.

    Args:
        blocks: as of :class:`mrcore.kernels.groups.Groups`.
        block_bytes: about so many are in a block, a view that the next one overwrites.
        fold: a :class:`Folder`, or a function of ``(key bytes, values)`` that gives states.
        counter: ``counter.records`` is raised by one for each record written.

    Raises:
        YieldError: a value that cannot be folded so; its ``key`` is that of the group, as bytes.
    """
    cdef Groups groups = Groups(blocks)
    cdef Scratch out = Scratch(), states = Scratch()
    cdef Folder folder = fold if isinstance(fold, Folder) else None
    while groups.next_group():
        states.used = 0
        if folder is not None:
            try:
                folder.put_states(groups, states)
            except YieldError as error:
                error.key = (<const char *>groups.key.bytes)[:groups.key.used]
                raise
        else:
            key = PyBytes_FromStringAndSize(<const char *>groups.key.bytes, groups.key.used)
            for state in fold(key, values_of(groups, codec)):
                codec.encode(state, states)
                if states.used < _c.MR_RECORD_VALUES:
                    continue
                put_record(out, groups.key, states)  # a key may have several: none is larger than it must be
                counter.records += 1
                states.used = 0
                if out.used >= block_bytes:
                    yield PyBytes_FromStringAndSize(<const char *>out.bytes, out.used)
                    out.used = 0
        if not states.used:
            continue
        put_record(out, groups.key, states)
        counter.records += 1
        if out.used >= block_bytes:
            yield PyBytes_FromStringAndSize(<const char *>out.bytes, out.used)
            out.used = 0
    if out.used:
        yield PyBytes_FromStringAndSize(<const char *>out.bytes, out.used)


cdef int put_record(Scratch out, Scratch key, Scratch values) except -1:
    out.reserve(key.used + values.used + _c.MR_RECORD_OVERHEAD)
    out.used = _c.mr_varint_put(out.bytes + out.used, key.used) - out.bytes
    out.put(key.bytes, key.used)
    out.used = _c.mr_varint_put(out.bytes + out.used, values.used) - out.bytes
    return out.put(values.bytes, values.used)


def fold_values(str kind, values, dumps, loads, int cut=0):
    """The fold of values; with ``cut``, of the states of the first so many and of the rest: for tests."""
    from mrcore.kernels.codec import encode_values
    from mrcore.kernels.merge import encode_bytes_record
    codec = ValueCodec(dumps, loads)
    cdef Folder folder = Folder(kind, codec)
    cdef Groups groups
    parts = [values[:cut], values[cut:]] if cut else [values]
    blocks = [encode_bytes_record(b"", encode_values(part, dumps)) for part in parts if part]
    if cut:
        blocks = [block for one in blocks for block in fold_blocks([one], 1, folder, codec, _Count())]
    groups = Groups(blocks)
    groups.next_group()
    return folder.result(groups)


class _Count:
    records = 0
