# cython: language_level=3
"""A chain of users' functions, run on one element after the other, and what takes the last one's results.

Nothing is collected between the functions: an element goes through all of them before the next
one is asked for, and a generator is drained by a native loop, straight into the taker.
"""
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF

from mrcore.kernels cimport _c

STEPS = ("map", "filter", "flat_map", "key_by", "map_record")

cdef enum:
    MAP = 0
    FILTER = 1
    FLAT_MAP = 2
    KEY_BY = 3
    MAP_RECORD = 4  # flat_map of a function that is given the context too


class YieldError(TypeError):
    """A user's function made what cannot be taken.

    ``place``: file, line and name of the generator, if it was one; ``key``: of the group that it was found in, as bytes.
    """

    place = key = None


cdef class Taker:
    """Takes the elements that come out of a chain."""

    cdef int take(self, object element) except -1:
        """Takes an element.

        Raises:
            YieldError: it is not what is wanted here.
        """
        raise NotImplementedError


cdef class Chain:
    """Functions and the taker behind them.

    Args:
        steps: ``(kind, function)``, kinds of :data:`STEPS`.
        taker: takes what the last step makes.
        ctx: second argument of ``map_record``.
    """

    def __init__(self, steps, Taker taker not None, ctx=None):
        self.kinds = [STEPS.index(kind) for kind, _ in steps]
        self.functions = [function for _, function in steps]
        self.steps = len(self.kinds)
        self.taker = taker
        self.ctx = ctx

    def push(self, element):
        """Runs one element through the chain. Raises what the functions raise, and :class:`YieldError`."""
        self.run(element, 0)

    def push_all(self, made, str name not None):
        """Runs the elements of what a function of this name returned."""
        self.drain(made, 0, name)

    def push_arrays(self, made, str name not None, array, expand):
        """Runs elements as :meth:`push_all` does; of a pair whose first is an ``array``, those of ``expand(*pair)``."""
        self.array, self.expand = array, expand
        try:
            self.drain(made, 0, name)
        finally:
            self.array = self.expand = None

    cdef int run(self, object element, size_t step) except -1:
        cdef int kind
        while step < self.steps:
            kind = self.kinds[step]
            function = self.functions[step]
            if kind == MAP:
                element = _c.PyObject_CallOneArg(function, element)
            elif kind == FILTER:
                if not _c.PyObject_CallOneArg(function, element):
                    return 0
            elif kind == KEY_BY:
                element = (_c.PyObject_CallOneArg(function, element), element)
            elif kind == FLAT_MAP:
                return self.drain(_c.PyObject_CallOneArg(function, element), step + 1, "flat_map")
            else:
                return self.drain(function(element, self.ctx), step + 1, "map")
            step += 1
        return self.taker.take(element)

    cdef int drain(self, object made, size_t step, str name) except -1:
        """Runs what a function returned from the given step on."""
        items = made if _c.PyGen_CheckExact(made) else iterator(made, name)
        try:
            self.loop(items, step)
        except YieldError as error:
            frame = getattr(items, "gi_frame", None)
            if frame is not None and error.place is None:
                error.place = (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
            raise
        return 0

    cdef int loop(self, object items, size_t step) except -1:
        cdef _c.iternextfunc next = _c.Py_TYPE(items).tp_iternext
        cdef PyObject *item
        cdef bint last = step == self.steps
        while True:
            item = next(<PyObject *>items)
            if item == NULL:
                if _c.PyErr_Occurred() != NULL:
                    if not _c.PyErr_ExceptionMatches(_c.PyExc_StopIteration):
                        return -1
                    _c.PyErr_Clear()
                return 0
            element = <object>item
            Py_DECREF(element)  # of the reference that the iterator gave away: `element` holds its own
            if self.array is not None and step == 0 and is_pair_of(element, self.array):
                self.loop(self.expand((<tuple>element)[0], (<tuple>element)[1]), step)
            elif last:
                self.taker.take(element)
            else:
                self.run(element, step)


cdef bint is_pair_of(object element, object array) except -1:
    """Is it a pair whose first is of this type? Keys of bytes, which most are, are told at a glance."""
    if type(element) is not tuple or len(<tuple>element) != 2:
        return False
    first = (<tuple>element)[0]
    return type(first) is not bytes and isinstance(first, array)


cdef object iterator(object made, str name):
    """The iterator of what a function returned, or the error that tells what is wrong with it."""
    if made is None:
        raise YieldError(f"{name}() returned None: yield, or return an iterable, which may be empty")
    if isinstance(made, (str, bytes, bytearray)):
        raise YieldError(f"{name}() returned {type(made).__name__}, whose elements are its letters: "
                         f"write [x] for a single x")
    try:
        return iter(made)
    except TypeError:
        if hasattr(type(made), "__iter__"):  # it is the user's own error
            raise
        raise YieldError(f"{name}() returned {type(made).__name__}, which is not iterable: "
                         "yield, or return an iterable") from None
