"""Jobs within jobs: what a worker may not start, and what a program that a function starts may."""

UNGUARDED = b"""
import mrcore as mr

class Count(mr.MapReduce):
    combine = mr.Sum()
    def map(self, record, ctx):
        yield record, 1

mr.run(Count, "in", executor=mr.Local(2)).read()
"""
LATE = b"""
import mrcore as mr

class Late(mr.MapReduce):
    def map(self, record, ctx):
        import script
        yield record, 1
"""
OUTER = b"""
import subprocess, sys, mrcore as mr

class Outer(mr.MapReduce):
    def map(self, record, ctx):
        words = [sys.executable, "-P", "-m", "mrcore", "wordcount", "-j", "2", "-"]
        yield record, subprocess.run(words, input=record, stdout=subprocess.PIPE, check=True).stdout
"""


def test_a_job_started_by_a_module_that_a_worker_imports(shell):
    shell.write("in", b"a\nb\na\n")
    shell.write("script.py", UNGUARDED)
    shell.write("job.py", LATE)
    done = shell.run("run", "job.py", "in", "-o", "out", "-j", "1")
    assert done.failed(2, 'put the start of a job under if __name__ == "__main__":')
    assert not (shell.folder / "out").exists()


def test_a_job_in_a_program_that_a_mapper_starts(shell):
    shell.write("in", b"a b\nb\n")
    shell.write("job.py", OUTER)
    done = shell.run("run", "job.py", "in", "-j", "1")
    assert (done.status, done.err) == (0, b"")
    assert done.out == b"a b\ta\\t1\\nb\\t1\\n\nb\tb\\t1\\n\n"
