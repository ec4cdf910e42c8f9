"""Reduce tasks of users' functions: which group is at work, which are passed over, and what is written without them."""

import mmap
import os
import signal

import pytest

from mrcore.engine.aggregates import Sum
from mrcore.engine.program import Program, Shuffle, write_program
from mrcore.engine.record_page import RECORD_PAGE_BYTES, RecordPage
from mrcore.engine.spec import PythonMapSpec, PythonReduceSpec, Span
from mrcore.engine.task import TaskEnv, run_task
from mrcore.errors import UserCodeError
from mrcore.storage.partfile import file_check

MIB = 1 << 20
LONG = b"k" * 5000
KEYS = [b"%d" % number for number in range(50)] + [LONG + b"1", LONG + b"2"]
BAD = (b"17", LONG + b"2")


@pytest.fixture
def folder(tmp_path):
    return os.fsencode(tmp_path)


def run_files(folder, program, keys=KEYS, partitions=3):
    """The run file of a map task over two lines of each key, and the type of its keys."""
    path = os.path.join(folder, b"in-%d" % len(os.listdir(folder)))
    with open(path, "wb") as file:
        file.write(b"".join(key + b"\n" for key in keys * 2))
    size = os.path.getsize(path)
    spec = PythonMapSpec(
        0, path + b".run", write_program(path + b".code", program), 64 * MIB, (Span(path, 0, size, size),),
        partitions=partitions, sync=False,
    )  # fmt: skip
    result = run_task(spec, TaskEnv())
    return spec, result.key_type


def specs_of(folder, program, emit="lines", keys=KEYS, partitions=3):
    made, key_type = run_files(folder, program, keys, partitions)
    return [
        PythonReduceSpec(task, b"%s.part-%d" % (made.output, task), (made.output,), made.code, 64 * MIB, key_type, emit,
                         sync=False)
        for task in range(partitions)
    ]  # fmt: skip


def run(spec, env):
    result = run_task(spec, env)
    assert (result.bytes_out, result.check) == file_check(spec.output)
    with open(spec.output, "rb") as file:
        written = file.read()
    os.unlink(spec.output)
    return result, written


def run_until_it_passes(spec, failed):
    """Runs a task again and again, each time without the groups that it failed on, whose names join ``failed``."""
    env = TaskEnv()
    while True:
        env.skip = tuple(failed)
        try:
            return run(spec, env)
        except UserCodeError as error:
            assert error.record is not None and error.record not in failed
            assert error.record[1] == spec.task
            failed.append(error.record)


def pairs(record):
    return record, 1


def program_of(kind, *bad):
    """A stage whose reduce tasks fail on some keys."""

    def reduce(key, values, ctx):
        if key in bad:
            raise ValueError("no")
        yield key, sum(values)

    def after(pair):
        if pair[0] in bad:
            raise ValueError("no")
        return pair

    shuffle = {
        "reduce": Shuffle(reduce=reduce),
        "aggregate": Shuffle(Sum()),
        "sort": Shuffle(each=True),
        "place": Shuffle(reduce=reduce, place=lambda key, partitions: len(key)),
    }[kind]
    after_steps = (("map", after),) if shuffle.reduce is None else ()
    return Program((("map", pairs),), shuffle=shuffle, after=after_steps)


@pytest.mark.parametrize("emit", ["lines", "elements", "keyed lines"])
@pytest.mark.parametrize("kind", ["reduce", "aggregate", "sort", "place"])
def test_groups_that_fail_are_passed_over_and_the_output_is_that_of_an_input_without_them(folder, kind, emit):
    failed, results, written = [], [], []
    for spec in specs_of(folder, program_of(kind, *BAD), emit):
        result, part = run_until_it_passes(spec, failed)
        results.append(result)
        written.append(part)
    assert len(failed) == 2
    assert sum(result.skipped for result in results) == 2
    assert {len(name) for name, _ in failed} == {len(b"key") + 2, len(b"key") + 4096}
    kept = [key for key in KEYS if key not in BAD]
    assert [run(spec, TaskEnv())[1] for spec in specs_of(folder, program_of(kind), emit, kept)] == written


def test_a_group_of_another_partition_is_not_meant(folder):
    spec = specs_of(folder, program_of("reduce"), partitions=1)[0]
    result, written = run(spec, TaskEnv(skip=((b"key17", 1), (b"17", 0), (b"key18", 0))))
    assert result.skipped == 1
    assert written.count(b"\n") == len(KEYS) - 1
    assert b"\n18\t2\n" not in written
    assert b"\n17\t2\n" in written


@pytest.mark.parametrize("function", ["setup", "teardown"])
def test_a_failure_of_setup_or_teardown_names_no_group(folder, function):
    program = program_of("reduce")._replace(**{function: lambda ctx: None if ctx.phase == "map" else 1 // 0})
    page = RecordPage.private()
    with pytest.raises(UserCodeError, match="ZeroDivisionError") as caught:
        run(specs_of(folder, program)[0], TaskEnv(page=page))
    assert caught.value.record is None
    assert page.read() is None


def test_the_parent_of_a_process_that_a_group_kills_reads_which_one_it_was(folder):
    def reduce(key, values, ctx):
        if key == b"17":
            os.kill(os.getpid(), signal.SIGKILL)
        yield key, sum(values)

    program = Program((("map", pairs),), shuffle=Shuffle(reduce=reduce))
    spec = specs_of(folder, program, partitions=1)[0]
    page = RecordPage(mmap.mmap(-1, RECORD_PAGE_BYTES))
    child = os.fork()
    if not child:
        run_task(spec, TaskEnv(page=page))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert page.read() == (b"key17", 0)
    os.unlink(spec.output)
    result, written = run(spec, TaskEnv(skip=[(b"key17", 0)], page=page))
    assert (result.skipped, written.count(b"\n")) == (1, len(KEYS) - 1)
    assert page.read() is None
