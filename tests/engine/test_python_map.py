"""Map tasks of users' functions: which record is at work, what is passed over, and the checksum of what is written."""

import mmap
import os
import signal

import msgspec
import pytest

from mrcore.engine.program import Program, Shuffle, write_program
from mrcore.engine.record_page import RECORD_PAGE_BYTES, RecordPage
from mrcore.engine.spec import Disk, Elements, Keys, PythonMapSpec, Span
from mrcore.engine.task import TaskEnv, run_task
from mrcore.errors import BadRecordError, UserCodeError
from mrcore.storage.budget import DiskBudget
from mrcore.storage.partfile import file_check

MIB = 1 << 20
LINES = [b"%d" % number for number in range(100)]


@pytest.fixture
def folder(tmp_path):
    return os.fsencode(tmp_path)


def write(folder, name, lines):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(b"".join(line + b"\n" for line in lines))
    return path


def whole(path):
    size = os.path.getsize(path)
    return Span(path, 0, size, size)


def spec_of(folder, program, spans=(), **how):
    code = write_program(os.path.join(folder, b"code-%d" % len(os.listdir(folder))), program)
    how = {"spans": tuple(spans), "emit": "lines", "sync": False} | how
    return PythonMapSpec(3, os.path.join(folder, b"out"), code, 64 * MIB, **how)


def run(spec, env=None):
    """Runs a task; its result and its output's bytes."""
    result = run_task(spec, env or TaskEnv())
    assert (result.bytes_out, result.check) == file_check(spec.output)
    with open(spec.output, "rb") as file:
        written = file.read()
    os.unlink(spec.output)
    return result, written


def run_until_it_passes(spec):
    """Runs a task again and again, each time without the records that it failed on; result, output, their names."""
    env, failed = TaskEnv(), []
    while True:
        env.skip = frozenset(failed)
        try:
            return *run(spec, env), failed
        except UserCodeError as error:
            assert error.record is not None and error.record not in failed
            assert not os.path.exists(spec.output)
            failed.append(error.record)
        except BadRecordError as error:
            assert error.record is not None and error.record not in failed
            failed.append(error.record)


def picky(*bad):
    """A mapper that some records, of bytes or str, are too much for."""

    def mapper(record, ctx):
        if record in bad:
            raise ValueError(record)
        yield record, 1

    return ("map_record", mapper)


def offset_in(lines, bad):
    return b"\n".join([*lines, b""]).index(b"\n" + bad + b"\n") + 1


def columns(written):
    return [line.split(b"\t")[0] for line in written.splitlines()]


def test_a_task_passes_when_the_records_that_its_mapper_fails_on_are_passed_over(folder):
    first, second = write(folder, b"in", LINES), write(folder, b"other\xff", LINES)
    spec = spec_of(folder, Program((picky(b"17", b"60"),)), [whole(first), whole(second)])
    result, written, failed = run_until_it_passes(spec)
    assert failed == [(path, offset_in(LINES, bad)) for path in (first, second) for bad in (b"17", b"60")]
    assert columns(written) == [line for line in LINES if line not in (b"17", b"60")] * 2
    assert (result.records_in, result.records_out, result.skipped) == (196, 196, 4)


@pytest.mark.parametrize("emit", ["lines", "elements", "pairs"])
def test_the_output_is_that_of_an_input_without_these_records(folder, emit):
    kept = [line for line in LINES if line not in (b"17", b"60")]
    program = Program((picky(b"17", b"60"),), shuffle=Shuffle() if emit == "pairs" else None)
    less, path = write(folder, b"less", kept), write(folder, b"in", LINES)
    result, written, failed = run_until_it_passes(spec_of(folder, program, [whole(path)], emit=emit, partitions=2))
    wanted, wanted_bytes = run(spec_of(folder, program, [whole(less)], emit=emit, partitions=2))
    assert len(failed) == result.skipped == 2
    assert written == wanted_bytes
    assert (result.records_in, result.check) == (wanted.records_in, wanted.check)


def test_spans_of_one_file_name_records_by_their_place_in_the_file(folder):
    path = write(folder, b"in", LINES)
    size = os.path.getsize(path)
    spans = [Span(path, start, min(start + 50, size), size) for start in range(0, size, 50)]
    result, written, failed = run_until_it_passes(spec_of(folder, Program((picky(b"90"),)), spans))
    assert failed == [(path, offset_in(LINES, b"90"))]
    assert columns(written) == [line for line in LINES if line != b"90"]
    assert (result.records_in, result.skipped) == (99, 1)


def test_records_that_do_not_decode_are_passed_over_undecoded(folder):
    lines = [b"good", b"\xff", b"better", b"a\xe9", "bést".encode()]
    path = write(folder, b"in", lines)
    result, written, failed = run_until_it_passes(spec_of(folder, Program((picky(),), encoding="utf-8"), [whole(path)]))
    assert failed == [(path, 5), (path, 14)]
    assert columns(written) == [b"good", b"better", "bést".encode()]
    assert (result.records_in, result.skipped) == (3, 2)


@pytest.mark.parametrize("tokenizer", ["unicode", "regex:.", "regex:[a-z]+"])
def test_tokens_that_are_written_out_before_they_are_run_have_names_of_their_own(folder, tokenizer):
    """More of them than the buffer between the stages holds, and of `.` more bytes than the text had."""

    def told(token, ctx):
        yield token, ctx.input.offset

    path = write(folder, b"in", [b"word%d word" % number for number in range(30_000)])
    size = os.path.getsize(path)
    spans = [Span(path, 0, 200_000, size), Span(path, 200_000, size, size)]
    spec = spec_of(folder, Program((("map_record", told),)), spans, keys=Keys(tokenizer))
    result, written = run(spec)
    rows = [line.split(b"\t") for line in written.splitlines()]
    offsets = [int(row[1]) for row in rows]
    assert offsets == sorted(set(offsets))
    some = len(rows) // 3
    less, without = run(spec, TaskEnv(skip={(path, offsets[some]), (path, offsets[-1])}))
    assert [line.split(b"\t") for line in without.splitlines()] == rows[:some] + rows[some + 1 : -1]
    assert (less.skipped, less.records_in) == (2, result.records_in - 2)


def test_names_of_other_files_and_of_no_records_pass_over_nothing(folder):
    path = write(folder, b"in", LINES)
    spec = spec_of(folder, Program((picky(),)), [whole(path)])
    skip = ((path + b"x", 0), (path, 1), (path, 10_000), (b"in", 2), (b"key1", 3))
    result, written = run(spec, TaskEnv(skip=skip))
    assert columns(written) == LINES
    assert (result.records_in, result.skipped) == (100, 0)


def test_batches_are_passed_over_whole(folder):
    def batches(data, offsets):
        for start, stop in offsets:
            yield bytes(data[start:stop]), 1 // (bytes(data[start:stop]) != b"60")

    good, path = write(folder, b"good", LINES[:50]), write(folder, b"in", LINES)
    spec = spec_of(folder, Program(batches=batches), [whole(good), whole(path)])
    result, written, failed = run_until_it_passes(spec)
    assert failed == [(path, 0)]
    assert columns(written) == LINES[:50]
    assert (result.records_in, result.skipped) == (50, 100)


def elements_file(folder, name, lines):
    """A file of elements: the records of text as they are."""
    path = write(folder, name + b".txt", lines)
    spec = spec_of(folder, Program((("map", lambda record: record),)), [whole(path)], emit="elements")
    run_task(spec, TaskEnv())
    os.rename(spec.output, os.path.join(folder, name))
    return os.path.join(folder, name)


def test_elements_are_named_by_the_file_of_their_source_and_their_index_in_the_task(folder):
    paths = [elements_file(folder, b"one", LINES), elements_file(folder, b"two", LINES)]
    sources = tuple(Elements(path, 0) for path in paths)
    spec = spec_of(folder, Program((picky(b"17", b"60"),)), elements=sources)
    result, written, failed = run_until_it_passes(spec)
    assert failed == [(paths[0], 17), (paths[0], 60), (paths[1], 117), (paths[1], 160)]
    assert columns(written) == [line for line in LINES if line not in (b"17", b"60")] * 2
    assert (result.records_in, result.skipped) == (196, 4)


def test_what_was_passed_over_is_counted_where_enough_was_made_before_the_end(folder):
    path = write(folder, b"in", LINES)
    spec = spec_of(folder, Program((picky(b"0"),)), [whole(path)], limit=5)
    result, written = run(spec, TaskEnv(skip={(path, 0)}))
    assert columns(written) == LINES[1:6]
    assert result.skipped == 1


@pytest.mark.parametrize(("program", "emit"), [
    (Program((picky(),), setup=lambda ctx: 1 // 0), "lines"),
    (Program((picky(),), teardown=lambda ctx: 1 // 0), "lines"),
    (Program((picky(),), shuffle=Shuffle(combine=lambda key, values, ctx: 1 // 0)), "pairs"),
], ids=["setup", "teardown", "combine"])  # fmt: skip
def test_a_failure_that_is_no_records_names_none(folder, program, emit):
    path = write(folder, b"in", LINES)
    page = RecordPage.private()
    with pytest.raises(UserCodeError) as caught:
        run_task(spec_of(folder, program, [whole(path)], emit=emit), TaskEnv(page=page))
    assert caught.value.record is None
    assert page.read() is None


# ---- the page ----------------------------------------------------------------------------------------------


@pytest.fixture
def shared(folder):
    """The name of a file that is mapped as a page, and the page: a function can look at it while it runs."""
    path = os.path.join(folder, b"page")
    with open(path, "wb+") as file:
        file.write(b"\xee" * RECORD_PAGE_BYTES)
        file.flush()
        page = RecordPage(mmap.mmap(file.fileno(), RECORD_PAGE_BYTES))
    return path, page


def looker(path):
    """A mapper that says what the page says."""

    def look(record, ctx):
        with open(path, "rb") as file:
            yield RecordPage(bytearray(file.read())).read()[1], ctx.input.offset

    return ("map_record", look)


def test_the_page_says_what_the_context_says_and_nothing_at_the_end(folder, shared):
    path, page = shared
    text, elements = write(folder, b"in", LINES), elements_file(folder, b"elements", LINES)
    starts = [sum(len(line) + 1 for line in LINES[:i]) for i in range(100)]
    for how, offsets in (({"spans": (whole(text),)}, starts), ({"elements": (Elements(elements, 0),)}, range(100))):
        _, written = run(spec_of(folder, Program((looker(path),)), **how), TaskEnv(page=page))
        assert written == b"".join(b"%d\t%d\n" % (at, at) for at in offsets)
        assert page.read() is None


def test_the_parent_of_a_process_that_a_record_kills_reads_which_one_it_was(folder, shared):
    def deadly(record, ctx):
        if record == b"60":
            os.kill(os.getpid(), signal.SIGKILL)
        yield record, 1

    def deadly_batches(data, offsets):
        for start, stop in offsets:
            yield from deadly(bytes(data[start:stop]), None)

    _, page = shared
    path, elements = write(folder, b"in", LINES), elements_file(folder, b"elements", LINES)
    deadly_map = Program((("map_record", deadly),))
    for program, how, record in (
        (deadly_map, {"spans": (whole(path),)}, (path, offset_in(LINES, b"60"))),
        (deadly_map, {"elements": (Elements(elements, 0),)}, (elements, 60)),
        (Program(batches=deadly_batches), {"spans": (whole(path),)}, (path, 0)),
    ):
        spec = spec_of(folder, program, **how)
        child = os.fork()
        if not child:
            run_task(spec, TaskEnv(page=page))
            os._exit(0)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        assert page.read() == record
        os.unlink(spec.output)  # a dead worker leaves it
        assert run(spec, TaskEnv(skip=[record], page=page))[0].skipped > 0
        assert page.read() is None


# ---- the slot of a worker ------------------------------------------------------------------------------------


def test_an_attempt_counts_in_its_workers_slot_until_the_next_one_begins(folder):
    path, counter = write(folder, b"in", LINES), os.path.join(folder, b"counter")
    budget = DiskBudget.create(counter, None)
    env = TaskEnv()
    env.slot = 5
    program = Program((picky(),), shuffle=Shuffle())
    spec = spec_of(folder, program, [whole(path)], emit="pairs", disk=Disk(counter, None))
    first = run_task(spec, env)
    second = run_task(msgspec.structs.replace(spec, output=spec.output + b"2"), env)
    assert budget.held == first.bytes_out + second.bytes_out
    assert budget.reclaim(5) == second.bytes_out
    assert budget.held == first.bytes_out
