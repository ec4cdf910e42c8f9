# cython: language_level=3
"""Which CPU path the kernels take, and the switch that forces one.

The active level is the best that the machine has, unless the environment variable
``MRCORE_CPU`` (read once, at import) or :func:`forced` names another. Forcing is for tests
and for measuring; a level that the machine lacks is refused.
"""
import contextlib
import os

from mrcore.kernels cimport _c

cdef dict LEVELS = {"scalar": _c.MR_CPU_SCALAR, "neon": _c.MR_CPU_NEON,
                    "avx2": _c.MR_CPU_AVX2, "avx512": _c.MR_CPU_AVX512}
cdef int active_level = _c.MR_CPU_SCALAR


def available():
    """Names of the levels this machine can run, plainest first."""
    cdef unsigned int levels = _c.mr_cpu_available()
    return tuple(name for name, level in LEVELS.items() if levels >> <int>level & 1)


def active():
    """Name of the level that kernels take now."""
    return next(name for name, level in LEVELS.items() if level == active_level)


cdef void activate(str name) except *:
    global active_level
    if name not in available():
        raise ValueError(f"CPU level {name!r} is not one of this machine's: {', '.join(available())}")
    active_level = LEVELS[name]


@contextlib.contextmanager
def forced(str name):
    """Runs the body of a ``with`` on the CPU level ``name``; not for use across threads."""
    before = active()
    activate(name)
    try:
        yield
    finally:
        activate(before)


cdef const _c.mr_dispatch *dispatch() noexcept:
    return _c.mr_dispatch_at(<_c.mr_cpu_level>active_level)


activate(os.environ.get("MRCORE_CPU") or available()[-1])
