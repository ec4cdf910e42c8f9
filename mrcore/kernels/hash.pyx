# cython: language_level=3
"""XXH3-64 of a buffer, and the partition that a key belongs to.

The engine's native loops call ``mr_hash_xxh3`` themselves; this module is for Python: user
functions' keys, tests and tools. Both give the same number, which decides where a key's
values meet, so it may never change: it equals the ``xxhash`` package's for every length
and seed, on every machine. Not for secrets: XXH3 does not resist an adversary.

Source: the xxHash project's ``doc/xxhash_spec.md``, "XXH3 Algorithm Overview" and on.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.number cimport PyNumber_Index
from libc.stdint cimport uint8_t, uint64_t

from mrcore.kernels cimport _c

# Releasing the GIL and taking it back costs some 25 ns, and more when others wait for it;
# this many bytes take twenty times as long to hash (both measured on a Zen 4).
cdef Py_ssize_t NOGIL_BYTES_MIN = 8192


cdef uint64_t hash_buffer(object data, uint64_t seed) except? 0:
    """Hash of a bytes-like object's memory, which stays pinned and is never copied."""
    cdef Py_buffer view
    cdef uint64_t value
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    if view.len < NOGIL_BYTES_MIN:
        value = _c.mr_hash_xxh3(<const uint8_t *>view.buf, <size_t>view.len, seed)
    else:
        with nogil:
            value = _c.mr_hash_xxh3(<const uint8_t *>view.buf, <size_t>view.len, seed)
    PyBuffer_Release(&view)
    return value


def xxh3_64(data, seed=0):
    """XXH3-64 of ``data``.

    Args:
        data: a C-contiguous bytes-like object, writable or not; its items count as raw
            bytes. No copy is made. Above 8 KiB the GIL is released: the caller sees to it
            that nobody writes to the bytes, or truncates a mapped file, meanwhile.
        seed: from 0 to 2**64 - 1.

    Returns:
        The hash, from 0 to 2**64 - 1.

    Raises:
        TypeError: ``data`` is no bytes-like object (``str`` is none: encode it), or
            ``seed`` no integer.
        OverflowError: ``seed`` is out of range.
        BufferError: ``data`` is not contiguous.

    Cost: O(len(data)), in one native call that Ctrl-C does not interrupt.
    """
    # PyNumber_Index: a C integer argument would take 1.5 and silently make it 1.
    return hash_buffer(data, <uint64_t>PyNumber_Index(seed))


def partition(key, reducers):
    """The partition of an encoded key: ``xxh3_64(key) % reducers``.

    Args:
        key: the key's encoded bytes, as for :func:`xxh3_64`.
        reducers: how many partitions there are, from 1 to 2**64 - 1.

    Returns:
        The index of the partition, from 0 to ``reducers - 1``.

    Raises:
        ValueError: ``reducers`` is below 1.
        OverflowError: ``reducers`` is above 2**64 - 1.
        TypeError: ``key`` is no bytes-like object, or ``reducers`` no integer.
        BufferError: ``key`` is not contiguous.
    """
    cdef object count = PyNumber_Index(reducers)
    if count < 1:
        raise ValueError(f"reducers must be at least 1, not {count}")
    return hash_buffer(key, 0) % <uint64_t>count
