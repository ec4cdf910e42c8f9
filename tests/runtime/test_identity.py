"""What a job is: written and read back, and what is said where it is another one."""

import os
import re
from pathlib import Path

import msgspec
import pytest
import xxhash

import mrcore
from mrcore.engine.spec import Keys
from mrcore.errors import CorruptionError, InputError
from mrcore.formats.inputs import find_inputs
from mrcore.runtime.identity import (
    Identity,
    InputState,
    check_of_job_file,
    difference,
    identity_of,
    input_states,
    read_identity,
    write_identity,
)  # fmt: skip
from mrcore.runtime.jobs import CountJob, DistinctJob, IndexJob
from mrcore.runtime.pipeline import Pipeline, TextSource
from mrcore.storage.sealed import read_sealed, write_sealed

OPTIONS = {"reducers": None, "split": None}
PAGE = Path(__file__).parents[2] / "docs" / "formats" / "identity.md"
CODE = ("0" * 32,)


@pytest.fixture
def files(tmp_path):
    """Three inputs."""
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(name.encode() * 10)
    return [os.fsencode(tmp_path / name) for name in ("a", "b", "c")]


@pytest.fixture
def path(tmp_path):
    return os.fsencode(tmp_path / "identity")


def native(job, paths=(), **options):
    return identity_of(job.describe(), OPTIONS | options, paths)


def of_inputs(*states):
    return Identity("1", "3.11", {}, (), "", tuple(states))


A, B, C = (InputState(name, 10, 5, 7) for name in (b"dir/a.txt", b"dir/b.txt", b"dir/c.txt"))
PIPE = InputState(b"-", -1, 0, 0)


@pytest.mark.parametrize("job", [
    CountJob(()), CountJob((), Keys("regex:\\w+", n_max=3), top=9), IndexJob((), counts=True), DistinctJob(()),
    Pipeline(TextSource(()), (), "Mine"),
], ids=repr)  # fmt: skip
def test_what_was_written_is_read_and_is_the_same_job(job, files, path):
    identity = identity_of(job.describe(), {"reducers": 4, "split": 1 << 20}, files, CODE, "f" * 32)
    write_identity(path, identity)
    assert read_identity(path) == identity
    assert difference(read_identity(path), identity) is None
    assert (identity.version, identity.code, identity.job_file) == (mrcore.__version__, CODE, "f" * 32)
    assert identity.job["reducers"] == 4 and identity.job.items() >= msgspec.to_builtins(job.describe()).items()


def test_text_that_is_not_unicode_is_written_too(path):
    identity = identity_of({"verb": "run", "name": "\udc80", "n": (1, 2)}, {}, [])
    write_identity(path, identity)
    assert difference(read_identity(path), identity) is None


def test_nothing_there_is_none(path):
    assert read_identity(path) is None


def test_a_sealed_file_of_something_else_is_damage_and_one_of_another_version_says_which(path):
    for content in (b"", b"\xc1", msgspec.msgpack.encode({"version": mrcore.__version__}), msgspec.msgpack.encode([1])):
        write_sealed(path, content)
        with pytest.raises(CorruptionError, match=r"corrupt file: .*identity, byte 24: what is sealed in it"):
            read_identity(path)
    write_sealed(path, msgspec.msgpack.encode({"version": "0.0.9", "inputs": "who knows"}))
    new = identity_of({}, {}, [])
    assert difference(read_identity(path), new) == f"mrcore is {mrcore.__version__}, was 0.0.9"


def test_damage_is_named_by_file_and_byte(path):
    write_identity(path, identity_of({}, {}, []))
    os.truncate(path, os.path.getsize(path) - 1)
    with pytest.raises(CorruptionError, match=r"identity, byte \d+: it has "):
        read_identity(path)


def test_the_page_about_the_format_shows_what_is_written(path):
    states = (InputState(b"a.txt", 10, 1_700_000_000_123_456_789, 4242),)
    write_identity(path, Identity("0.1.0", "3.11", CountJob(()).describe() | OPTIONS, (), "", states))
    with open(path, "rb") as file:
        data = file.read()
    text = PAGE.read_text()
    lines = re.findall(r"^[0-9a-f]{8}: (.{47})  (.*)$", text, re.MULTILINE)
    assert b"".join(bytes.fromhex(line) for line, _ in lines) == data
    assert "".join(shown for _, shown in lines) == "".join(chr(b) if 32 <= b < 127 else "." for b in data)
    assert f"mrcore 0.1.0: {len(data)} bytes." in text
    assert f"version 1, {len(read_sealed(path))} bytes, check" in text


# ---- inputs ---------------------------------------------------------------------------


def test_inputs_are_known_by_size_time_and_inode(files):
    for path, state in zip(files, input_states(files), strict=True):
        found = os.stat(path)
        assert state == InputState(path, 10, found.st_mtime_ns, found.st_ino)


def test_what_was_done_to_an_input_is_said(files):
    job = CountJob(())
    old = native(job, files)
    name = os.fsdecode(files[1])
    status = os.stat(files[1])

    os.utime(files[1], ns=(0, status.st_mtime_ns - 1))
    assert difference(old, native(job, files)) == f"input changed: {name}: it was written to"
    with open(files[1], "ab") as file:
        file.write(b"xy")
    assert difference(old, native(job, files)) == f"input changed: {name}: its size is 12, was 10"
    with open(files[1] + b"2", "wb") as file:
        file.write(b"b" * 10)
    os.rename(files[1] + b"2", files[1])
    os.utime(files[1], ns=(0, status.st_mtime_ns))
    assert difference(old, native(job, files)) == f"input changed: {name}: another file is in its place"


@pytest.mark.parametrize(("old", "new", "said"), [
    ((A, B), (A, B, C), "input is new: dir/c.txt"),
    ((B, C), (A, B, C), "input is new: dir/a.txt"),
    ((), (A,), "input is new: dir/a.txt"),
    ((A, B, C), (A, B), "input is gone: dir/c.txt"),
    ((A, B, C), (A, C), "input is gone: dir/b.txt"),
    ((A,), (), "input is gone: dir/a.txt"),
    ((A, B), (A, C), "input is new: dir/c.txt"),
    ((A, B), (B, A), "inputs are in another order: dir/b.txt is where dir/a.txt was"),
    ((A, B), (A, A, B), "inputs are in another order: dir/a.txt is where dir/b.txt was"),
    ((A,), (A, A), "input is new: dir/a.txt"),
    ((A, PIPE), (A, PIPE), "input cannot be read again: -: it is a stream"),
    ((InputState(b"-", 5, 1, 1),), (PIPE,), "input cannot be read again: -: it is a stream"),
    ((InputState(b"a\nb\xff", 5, 1, 1),), (), "input is gone: a\\nb\\xff"),
    ((A, B), (A, B), None),
    ((), (), None),
])  # fmt: skip
def test_inputs_that_come_and_go(old, new, said):
    assert difference(of_inputs(*old), of_inputs(*new)) == said


def test_streams_are_known_as_such(tmp_path):
    pipe = os.fsencode(tmp_path / "pipe")
    os.mkfifo(pipe)
    made_up = b"/proc/self/status"
    paths = [pipe, b"-", b"/dev/null", made_up]
    assert input_states(paths) == tuple(InputState(path, -1, 0, 0) for path in paths)
    assert [source.size for source in find_inputs([pipe, made_up])] == [None, None]


def test_an_empty_file_is_no_stream(tmp_path):
    (tmp_path / "empty").touch()
    (state,) = input_states([os.fsencode(tmp_path / "empty")])
    assert state.size == 0 and state.inode


def test_a_redirected_standard_input_is_the_file_behind_it_whichever_process_reads(files):
    saved, fd = os.dup(0), os.open(files[0], os.O_RDONLY)
    try:
        os.dup2(fd, 0)
        (source,) = find_inputs([b"-"])
        (state,) = input_states([source.path])
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(fd)
    assert source.path != b"-"
    (named,) = input_states(files[:1])
    assert state == msgspec.structs.replace(named, path=b"-")


def test_an_input_that_is_gone_is_said(tmp_path):
    with pytest.raises(InputError, match=r"cannot read: .*gone: no such file or directory"):
        input_states([os.fsencode(tmp_path / "gone")])


# ---- the job --------------------------------------------------------------------------


@pytest.mark.parametrize(("old", "new", "said"), [
    (CountJob(()), IndexJob(()), "the job is 'index', was 'wordcount'"),
    (CountJob(()), CountJob((), Keys(n_min=2, n_max=2)), "the job is 'ngrams', was 'wordcount'"),
    (CountJob((), Keys(n_min=2, n_max=2)), CountJob((), Keys(n_min=1, n_max=3)), "-n is 1-3, was 2"),
    (CountJob(()), CountJob((), Keys("ascii")), "--tokenizer is 'ascii', was 'whitespace'"),
    (CountJob((), Keys(lower=True)), CountJob(()), "--lower is not given, was given"),
    (CountJob(()), CountJob((), min_count=2), "--min-count is 2, was 1"),
    (CountJob((), top=5), CountJob(()), "--top is not given, was 5"),
    (IndexJob(()), IndexJob((), counts=True), "--counts is given, was not given"),
    (Pipeline(TextSource(()), (), "Old"), Pipeline(TextSource(()), (), "New"), "the job is 'New', was 'Old'"),
    (Pipeline(TextSource(()), (1,)), Pipeline(TextSource(()), (1, 2)), "the number of stages is 2, was 1"),
    (CountJob((), Keys("regex:" + "a" * 99)), CountJob((), Keys("regex:" + "a" * 98 + "b")), "--tokenizer changed"),
    (CountJob(()), CountJob((b"other",)), None),
])  # fmt: skip
def test_another_question_is_named(old, new, said):
    assert difference(native(old), native(new)) == said


@pytest.mark.parametrize(("old", "new", "said"), [
    ({"reducers": 8}, {"reducers": 4}, "--reducers is 4, was 8"),
    ({}, {"reducers": 4}, "--reducers is 4, was not given"),
    ({"split": 0}, {"split": 1 << 20}, "--split is 1048576, was file"),
    ({"split": 5}, {}, "--split is not given, was 5"),
])  # fmt: skip
def test_another_option_is_named(old, new, said):
    assert difference(native(CountJob(()), **old), native(CountJob(()), **new)) == said


def test_code_and_its_file():
    def of(code, job_file):
        return identity_of({}, {}, [], code, job_file)

    one, other = "1" * 32, "2" * 32
    assert difference(of([one], one), of([one], one)) is None
    assert difference(of([one], ""), of([other], "")) == "the code of the job changed"
    assert difference(of([one, one], ""), of([one, other], "")) == "the code of the job changed, in stage 2 of 2"
    assert difference(of([one], one), of([other], other)) == "JOB.py changed"
    assert difference(of([one], ""), of([one], other)) == "the job is of a file, was of a program"
    assert difference(of([one], one), of([one], "")) == "the job is of a program, was of a file"


def test_what_is_first_is_said():
    old = Identity("0.2", "3.11", {"verb": "wordcount", "reducers": 1}, CODE, "a", (A,))
    changes = {
        "version": "0.3", "python": "3.12", "job": {"verb": "index", "reducers": 2}, "job_file": "b",
        "code": ("1" * 32,), "inputs": (),
    }  # fmt: skip
    said = []
    while changes:
        said.append(difference(old, msgspec.structs.replace(old, **changes)))
        del changes[next(iter(changes))]
    assert said == [
        "mrcore is 0.3, was 0.2", "Python is 3.12, was 3.11", "the job is 'index', was 'wordcount'", "JOB.py changed",
        "the code of the job changed", "input is gone: dir/a.txt",
    ]  # fmt: skip


def test_the_bytes_of_the_job_file_count(tmp_path):
    (tmp_path / "job.py").write_bytes(b"x = 1\n")
    assert check_of_job_file(os.fsencode(tmp_path / "job.py")) == xxhash.xxh3_128_hexdigest(b"x = 1\n")
    with pytest.raises(InputError, match=r"cannot read: .*none\.py"):
        check_of_job_file(os.fsencode(tmp_path / "none.py"))
