"""Memory that kernels work in: pages, kept and used again from task to task, and bytes that grow.

Touching a fresh page costs far more than using it (a fault and its zeroing, several
microseconds under a hypervisor), so a :class:`Pages` never shrinks by itself: its owner
clears and reuses it. Called by the other kernels only.
"""
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.string cimport memcpy

from mrcore.kernels cimport _c
from mrcore.kernels._c cimport uint8_t

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


cdef class Scratch:
    """Bytes that grow: what is being encoded. Never fewer than before; freed with the object."""

    def __dealloc__(self):
        PyMem_Free(self.bytes)

    cdef int reserve(self, size_t more) except -1:
        """Makes room for so many more bytes."""
        cdef size_t room
        cdef uint8_t *larger
        if self.bytes != NULL and self.room - self.used >= more:  # never NULL: not even no bytes are copied there
            return 0
        room = max(self.used + more, 2 * self.room, <size_t>256)
        larger = <uint8_t *>PyMem_Realloc(self.bytes, room)
        if larger == NULL:
            raise MemoryError(f"{room} bytes for one record")
        self.bytes, self.room = larger, room
        return 0

    cdef int put(self, const uint8_t *data, size_t size) except -1:
        self.reserve(size)
        if size:  # of nothing there may be no address
            memcpy(self.bytes + self.used, data, size)
        self.used += size
        return 0
