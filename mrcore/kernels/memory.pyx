"""Anonymous memory that kernels work in, kept and used again from task to task.

Touching a fresh page costs far more than using it (a fault and its zeroing, several
microseconds under a hypervisor), so a :class:`Pages` never shrinks by itself: its owner
clears and reuses it. Called by the other kernels only.
"""
from mrcore.kernels cimport _c

cdef enum:
    HUGE_PAGE = 2 << 20  # x86-64 and arm64 with 4 KiB pages


cdef class Pages:
    """A private mapping of zeroed pages, at least ``size`` bytes; freed with the object."""

    def __cinit__(self, size_t size=0):
        self.address = NULL
        self.size = 0
        if size:
            self.reserve(size)

    def __dealloc__(self):
        if self.address != NULL:
            _c.munmap(self.address, self.size)

    cdef void reserve(self, size_t size) except *:
        """Makes room for ``size`` bytes; what was inside is lost when the room has to grow."""
        if size <= self.size:
            return
        size = (size + 4095) // 4096 * 4096
        if self.address != NULL:
            _c.munmap(self.address, self.size)
            self.address = NULL
            self.size = 0
        cdef void *address = _c.mmap(NULL, size, _c.PROT_READ | _c.PROT_WRITE, _c.MAP_PRIVATE | _c.MAP_ANONYMOUS, -1, 0)
        if address == _c.MAP_FAILED:
            raise MemoryError(f"cannot map {size} bytes of memory")
        if size >= HUGE_PAGE:  # advice: where huge pages are off, nothing changes
            _c.madvise(address, size, _c.MADV_HUGEPAGE)
        self.address = address
        self.size = size

    cdef void release(self) noexcept:
        """Gives the memory back to the system; the pages are zero when they are used again."""
        if self.address != NULL:
            _c.madvise(self.address, self.size, _c.MADV_DONTNEED)
