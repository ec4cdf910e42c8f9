from mrcore.kernels cimport _c

cdef int guard_install() noexcept
cdef _c.mr_status guard_call(_c.mr_status (*kernel)(void *) noexcept nogil, void *context, const void *base,
                             size_t size) noexcept nogil
