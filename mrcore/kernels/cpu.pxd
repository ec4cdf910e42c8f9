from mrcore.kernels cimport _c

cdef const _c.mr_dispatch *dispatch() noexcept
