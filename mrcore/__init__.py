"""mrcore: MapReduce and streams over big corpora, native kernels driven from Python."""
