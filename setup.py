"""The extension list and the compiler's flags; everything else is in pyproject.toml.

Switches, as environment variables: ``MRCORE_DEBUG=1`` builds for a debugger, without
optimisation; ``MRCORE_SANITIZE=address,undefined`` adds those sanitizers (preload their
run-time libraries to use the result).
"""
import os
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("MRCORE_DEBUG") == "1"
SANITIZE = os.environ.get("MRCORE_SANITIZE", "")

flags = ["-std=c11", "-Wall", "-Wextra", "-Wno-unused-parameter", "-fvisibility=hidden", "-D_GNU_SOURCE"]
flags += ["-O0", "-g", "-UNDEBUG"] if DEBUG else ["-O3", "-g0"]
link: list[str] = []
if SANITIZE:
    flags += [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer", "-g", "-O1", "-UNDEBUG"]
    link += [f"-fsanitize={SANITIZE}"]

CPU = ["mr_cpu", "mr_dispatch", "mr_tokenize", "mr_tokenize_avx2", "mr_tokenize_avx512", "mr_tokenize_neon"]
# Kernel -> the C files that it needs, each compiled from the baseline instruction set up.
KERNELS = {
    "accumulate": ["mr_accumulate", "mr_hash"],
    "chain": [],
    "codec": [],
    "cpu": CPU,
    "drain": CPU,
    "fault": ["mr_fault"],
    "fold": ["mr_accumulate", "mr_hash"],
    "groups": [],
    "hash": ["mr_hash"],
    "hyperloglog": [*CPU, "mr_hash", "mr_hyperloglog"],
    "memory": [],
    "merge": ["mr_merge"],
    "ngrams": [*CPU, "mr_ngrams"],
    "postings": ["mr_postings"],
    "output": [],
    "process": [],
    "radix": [*CPU, "mr_hash", "mr_radix", "mr_table_walk", "mr_sort", "mr_record"],
    "reduce": [],
    "sort": ["mr_sort"],
    "table": [*CPU, "mr_hash", "mr_table", "mr_table_add", "mr_table_walk"],
    "tokenize": CPU,
    "unicode": ["mr_unicode", "mr_unicode_tables"],
}

setup(
    ext_modules=cythonize(
        [
            Extension(
                f"mrcore.kernels.{name}",
                [f"mrcore/kernels/{name}.pyx", *(f"csrc/{source}.c" for source in sources)],
                include_dirs=["csrc"],
                extra_compile_args=flags,
                extra_link_args=link,
                depends=["setup.py", *glob("csrc/*.h"), *glob("mrcore/kernels/*.pxd")],
            )
            for name, sources in KERNELS.items()
        ],
        compiler_directives={"language_level": "3", "embedsignature": True},
        build_dir="build/cython",
    )
)
