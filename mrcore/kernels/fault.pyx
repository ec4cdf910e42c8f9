"""The guard around mapped text, one for all kernels of a process (``csrc/mr_fault.h``).

Other kernels call :func:`guard_call`; none links ``mr_fault.c`` itself, for two copies would
each take the other's SIGBUS for a stranger's.
"""
from mrcore.kernels cimport _c


class TruncatedError(Exception):
    """Mapped text vanished while it was read: its file was truncated. What was fed holds nonsense."""


cdef int guard_install() except -1:
    """Arms :func:`guard_call`.

    Raises:
        OSError: the system refused the handler.
    """
    cdef int error = _c.mr_fault_install()
    if error:
        raise OSError(error, "cannot handle SIGBUS")
    return 0


cdef _c.mr_status guard_call(_c.mr_status (*kernel)(void *) noexcept nogil, void *context, const void *base,
                             size_t size) noexcept nogil:
    """What the kernel returns, or MR_FAULT where mapped text in ``[base, base + size)`` was gone."""
    return _c.mr_fault_call(kernel, context, base, size)
