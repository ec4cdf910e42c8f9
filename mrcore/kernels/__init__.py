"""The data plane's inner loops: Cython wrappers over the plain C of ``csrc/``.

One module a noun. A wrapper checks its arguments, converts, releases the GIL and raises;
the C under it works on (pointer, length) and returns a status. Nothing here opens a file,
knows a task or imports NumPy.
"""
