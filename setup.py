"""The extension list and the compiler's flags; everything else is in pyproject.toml.

Switches, as environment variables: ``MRCORE_DEBUG=1`` builds for a debugger, without
optimisation; ``MRCORE_SANITIZE=address,undefined`` adds those sanitizers (preload their
run-time libraries to use the result).
"""
import os
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

DEBUG = os.environ.get("MRCORE_DEBUG") == "1"
SANITIZE = os.environ.get("MRCORE_SANITIZE", "")

flags = ["-std=c11", "-Wall", "-Wextra", "-Wno-unused-parameter", "-fvisibility=hidden", "-D_GNU_SOURCE"]
flags += ["-O0", "-g", "-UNDEBUG"] if DEBUG else ["-O3", "-g0"]
link: list[str] = []
glue: list[str] = []  # for what Cython writes, which is a hundred times as long as csrc
if SANITIZE:
    flags += [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer", "-g1", "-O1", "-UNDEBUG"]
    link += [f"-fsanitize={SANITIZE}"]
    glue += ["-O0"]  # a third of the time to compile

class BuildExtensions(build_ext):
    """Builds csrc first, as one static library from which each kernel takes what it calls."""

    def run(self) -> None:
        self.run_command("build_clib")
        super().run()


HEADERS = ["setup.py", *glob("csrc/*.h")]
SOURCES = sorted(glob("csrc/*.c"))  # each compiled from the baseline instruction set up
KERNELS = sorted(os.path.splitext(os.path.basename(path))[0] for path in glob("mrcore/kernels/*.pyx"))

setup(
    cmdclass={"build_ext": BuildExtensions},
    options={"build_ext": {"parallel": os.cpu_count()}},
    libraries=[
        ("mrcsrc", {"sources": SOURCES, "include_dirs": ["csrc"], "cflags": flags, "obj_deps": {"": HEADERS}}),
    ],
    ext_modules=cythonize(
        [
            Extension(
                f"mrcore.kernels.{name}",
                [f"mrcore/kernels/{name}.pyx"],
                include_dirs=["csrc"],
                extra_compile_args=flags + glue,
                extra_link_args=link,
                depends=[*HEADERS, *SOURCES, *glob("mrcore/kernels/*.pxd")],
            )
            for name in KERNELS
        ],
        compiler_directives={"language_level": "3", "embedsignature": True},
        build_dir="build/cython",
        nthreads=os.cpu_count(),
    ),
)
