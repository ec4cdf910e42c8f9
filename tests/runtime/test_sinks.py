"""Sinks: the result is there whole or not at all, and what stood there before is safe until it is."""

import contextlib
import errno
import fcntl
import json
import os
import shutil

import pytest
import xxhash

from mrcore.engine.spec import TaskResult
from mrcore.errors import DiskFullError, OutputExistsError
from mrcore.runtime.sinks import DescriptorSink, DirectorySink, FileSink, MemorySink, copy_file

LINES = [b"a\t1\n", b"b\t2\nc\t3\n"]


def tree(folder):
    """Every file below the folder and what it holds."""
    found = {}
    for where, _, files in os.walk(folder):
        for path in (os.path.join(where, name) for name in files):
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = file.read()
    return found


@pytest.fixture
def out(tmp_path):
    (tmp_path / "tmp").mkdir()
    return os.fsencode(tmp_path / "out")


@pytest.fixture
def tmp(tmp_path, out):
    return os.fsencode(tmp_path / "tmp")


def fill(sink, tmp):
    """Opens a sink and gives it two parts; its work directory."""
    with contextlib.ExitStack() as undo:
        work = undo.enter_context(sink.open(tmp))
        for task, lines in enumerate(LINES):
            path = work.file(f"part-{task}.attempt-0")
            with open(path, "wb") as file:
                file.write(lines)
            check = xxhash.xxh3_64_hexdigest(lines)
            sink.take(TaskResult(task, path, 0, len(lines), 0, lines.count(b"\n"), check))
        undo.pop_all()
    return work


def publish(sink, tmp):
    with fill(sink, tmp):
        return sink.commit({"verb": "wordcount"})


@pytest.mark.filterwarnings("ignore::ResourceWarning")
class TestDirectory:
    def test_it_holds_parts_manifest_and_marker(self, out, tmp):
        assert publish(DirectorySink(out), tmp) == (out + b"/part-00000", out + b"/part-00001")
        found = tree(out)
        manifest = json.loads(found.pop(b"_manifest.json"))
        assert found == {b"part-00000": LINES[0], b"part-00001": LINES[1], b"_SUCCESS": b""}
        assert manifest == {
            "format": "mrcore-output", "version": 1, "job": {"verb": "wordcount"},
            "parts": [
                {"file": f"part-0000{i}", "records": i + 1, "bytes": len(LINES[i]),
                 "xxh3": xxhash.xxh3_64_hexdigest(LINES[i])} for i in range(2)
            ],
        }  # fmt: skip

    @pytest.mark.parametrize("name", [b"new", b"a/b/c", b"slash/", b"a/b//"])
    def test_missing_folders_are_made(self, tmp_path, tmp, name):
        publish(DirectorySink(os.path.join(os.fsencode(tmp_path), name)), tmp)
        assert b"_SUCCESS" in tree(os.path.join(os.fsencode(tmp_path), name))

    def test_an_empty_folder_is_taken(self, out, tmp):
        os.mkdir(out)
        publish(DirectorySink(out), tmp)

    @pytest.mark.parametrize("name", [b"file", b"_SUCCESS", b".hidden"])
    def test_one_with_anything_in_it_is_refused_and_kept(self, out, tmp, name):
        os.mkdir(out)
        open(os.path.join(out, name), "wb").close()
        with pytest.raises(OutputExistsError, match=r"output exists: .*out: name another directory.*--overwrite"):
            DirectorySink(out).open(tmp)
        assert tree(out) == {name: b""}

    def test_an_unfinished_one_is_called_that(self, out, tmp):
        os.makedirs(out + b"/_work")
        with pytest.raises(OutputExistsError, match="unfinished"):
            DirectorySink(out).open(tmp)

    def test_overwriting_replaces_what_is_ours_and_nothing_else(self, out, tmp):
        os.makedirs(out + b"/_work")
        for name in (b"part-00000", b"part-00007", b"_SUCCESS", b"_manifest.json", b"part-x", b"theirs", b"_work/map"):
            with open(os.path.join(out, name), "wb") as file:
                file.write(b"old")
        publish(DirectorySink(out, overwrite=True), tmp)
        found = tree(out)
        assert set(found) == {b"part-00000", b"part-00001", b"_SUCCESS", b"_manifest.json", b"part-x", b"theirs"}
        assert (found[b"part-00000"], found[b"theirs"], found[b"part-x"]) == (LINES[0], b"old", b"old")

    def test_until_it_commits_the_old_result_stands(self, out, tmp):
        publish(DirectorySink(out), tmp)
        before = tree(out)
        sink = DirectorySink(out, overwrite=True)
        with fill(sink, tmp):
            pass
        sink.abandon()
        assert tree(out) == before

    @pytest.mark.parametrize("name", [b"out", b"out/b/c"])
    def test_abandoning_removes_what_it_made_and_no_more(self, tmp_path, tmp, name):
        sink = DirectorySink(os.path.join(os.fsencode(tmp_path), name))
        with fill(sink, tmp):
            pass
        sink.abandon()
        assert os.listdir(tmp_path) == ["tmp"]

    def test_abandoning_keeps_what_others_put_there(self, out, tmp):
        sink = DirectorySink(out + b"/deep")
        with fill(sink, tmp):
            open(out + b"/theirs", "wb").close()
        sink.abandon()
        assert tree(out) == {b"theirs": b""}

    @pytest.mark.parametrize("step", range(5))
    def test_an_error_in_the_middle_of_committing_leaves_nothing(self, out, tmp, monkeypatch, step):
        from mrcore.runtime import sinks

        real, calls = sinks.publish, []

        def refuse(source, target):
            calls.append(target)
            if len(calls) > step:
                raise OutputExistsError("refused")
            real(source, target)

        monkeypatch.setattr(sinks, "publish", refuse)
        sink = DirectorySink(out)
        try:
            publish(sink, tmp)
        except OutputExistsError:
            sink.abandon()
            assert not os.path.exists(out)
        else:
            assert step == 4

    def test_a_job_that_still_runs_there_is_not_disturbed(self, out, tmp):
        first = DirectorySink(out)
        with fill(first, tmp):
            with pytest.raises(OutputExistsError, match=r"another job writes there: .*out: wait"):
                DirectorySink(out, overwrite=True).open(tmp)
            first.commit({})
        assert b"_SUCCESS" in tree(out)

    def test_work_that_is_no_directory(self, out, tmp):
        os.mkdir(out)
        open(out + b"/_work", "wb").close()
        with pytest.raises(OutputExistsError, match="not a directory"):
            DirectorySink(out, overwrite=True).open(tmp)

    @pytest.mark.parametrize("name", [b"file", b"file/below", b"dangling"])
    def test_a_place_that_cannot_be_a_folder(self, tmp_path, tmp, name):
        (tmp_path / "file").write_bytes(b"kept")
        (tmp_path / "dangling").symlink_to("nowhere")
        name = os.path.join(os.fsencode(tmp_path), name)
        with pytest.raises(OutputExistsError, match="cannot write"):
            DirectorySink(name).open(tmp)
        assert (tmp_path / "file").read_bytes() == b"kept"

    def test_a_current_directory_that_is_gone(self, tmp_path, tmp, monkeypatch):
        (tmp_path / "gone").mkdir()
        monkeypatch.chdir(tmp_path / "gone")
        os.rmdir(tmp_path / "gone")
        with pytest.raises(OutputExistsError, match="no such file"):
            DirectorySink(b"out").open(tmp)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
class TestFile:
    def test_it_appears_when_it_is_complete(self, out, tmp):
        sink = FileSink(out)
        with fill(sink, tmp):
            assert not os.path.exists(out)
            assert sink.commit({}) == (out,)
        assert tree(os.path.dirname(out)) == {b"out": b"".join(LINES)}
        assert os.stat(out).st_mode & 0o777 == 0o666 & ~_umask()

    def test_what_is_there_is_refused_and_kept(self, out, tmp):
        with open(out, "wb") as file:
            file.write(b"old")
        with pytest.raises(OutputExistsError, match=r"output exists: .*out: .*--overwrite"):
            FileSink(out).open(tmp)
        assert tree(os.path.dirname(out)) == {b"out": b"old"}

    def test_overwriting_replaces_it_at_the_end(self, out, tmp):
        with open(out, "wb") as file:
            file.write(b"old")
        sink = FileSink(out, overwrite=True)
        with fill(sink, tmp):
            assert tree(os.path.dirname(out))[b"out"] == b"old"
            sink.commit({})
        assert tree(os.path.dirname(out)) == {b"out": b"".join(LINES)}

    def test_abandoning_leaves_what_was_there(self, out, tmp):
        with open(out, "wb") as file:
            file.write(b"old")
        sink = FileSink(out, overwrite=True)
        with fill(sink, tmp):
            pass
        sink.abandon()
        sink.abandon()
        assert tree(os.path.dirname(out)) == {b"out": b"old"}

    def test_a_link_to_a_file_stays_a_link(self, out, tmp):
        os.symlink(b"target", out)
        publish(FileSink(out), tmp)
        assert os.readlink(out) == b"target"
        assert tree(os.path.dirname(out))[b"target"] == b"".join(LINES)

    @pytest.mark.parametrize("path", [b"/dev/null", b"/dev/full"])
    def test_a_device_is_never_replaced(self, path, tmp):
        before = os.stat(path)
        for overwrite in (False, True):
            with pytest.raises(OutputExistsError, match="output"):
                FileSink(path, overwrite=overwrite).open(tmp)
        assert os.stat(path).st_rdev == before.st_rdev
        assert os.listdir(tmp) == []

    def test_a_fifo_is_never_replaced(self, out, tmp):
        os.mkfifo(out)
        with pytest.raises(OutputExistsError, match="not a regular file"):
            FileSink(out, overwrite=True).open(tmp)

    def test_a_directory_is_refused_with_a_hint(self, out, tmp):
        os.mkdir(out)
        with pytest.raises(OutputExistsError, match=r"output is a directory: .*leave --single away"):
            FileSink(out, overwrite=True).open(tmp)

    def test_what_a_crash_left_is_taken_over(self, out, tmp):
        with open(os.path.join(os.path.dirname(out), b".out.mrcore"), "wb") as file:
            file.write(b"half a result that is longer than the new one")
        publish(FileSink(out), tmp)
        assert tree(os.path.dirname(out)) == {b"out": b"".join(LINES)}

    def test_another_jobs_is_left_alone(self, out, tmp):
        with open(os.path.join(os.path.dirname(out), b".out.mrcore"), "wb") as theirs:
            fcntl.flock(theirs, fcntl.LOCK_EX)
            with pytest.raises(OutputExistsError, match="another job writes there"):
                FileSink(out).open(tmp)
            assert os.path.exists(theirs.name)

    def test_no_temporary_directory_leaves_no_hidden_file(self, out, tmp):
        with pytest.raises(OutputExistsError, match="nowhere"):
            FileSink(out).open(tmp + b"/nowhere")
        assert tree(os.path.dirname(out)) == {}


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_descriptor_gets_the_parts_in_order(out, tmp):
    with open(out, "wb") as file:
        assert publish(DescriptorSink(file.fileno()), tmp) == ()
    assert tree(os.path.dirname(out)) == {b"out": b"".join(LINES)}


@pytest.mark.parametrize("mode", ["ab", "wb"])
def test_a_file_goes_to_appending_descriptors_too(out, tmp, mode):
    with open(out, mode) as file:
        for lines in LINES:
            with open(os.path.join(tmp, b"part"), "wb") as part:
                part.write(lines)
            copy_file(os.path.join(tmp, b"part"), file.fileno())
    assert tree(os.path.dirname(out))[b"out"] == b"".join(LINES)


def test_a_full_device_is_a_disk_full_error_and_a_closed_pipe_the_callers(tmp):
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(DiskFullError, match="standard output"):
        publish(DescriptorSink(full.fileno()), tmp)
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(BrokenPipeError):
        publish(DescriptorSink(writing), tmp)
    os.close(writing)
    assert os.listdir(tmp) == []


def test_memory_keeps_the_parts(tmp):
    sink = MemorySink()
    publish(sink, tmp)
    assert sink.parts == LINES


@pytest.mark.parametrize("kind", [DirectorySink, FileSink])
def test_a_full_disk_at_any_step_leaves_nothing(small_disk, tmp, kind):
    """The disk has room for 0, 1, 2, ... more pages, until all fits."""
    fitted = []
    for pages in range(12):
        room = os.statvfs(small_disk).f_bavail * 4096
        (small_disk / "fill").write_bytes(b"\0" * (room - pages * 4096))
        sink = kind(os.fsencode(small_disk / "out"))
        try:
            publish(sink, tmp)
            fitted.append(pages)
            shutil.rmtree(small_disk / "out") if kind is DirectorySink else (small_disk / "out").unlink()
        except (DiskFullError, OSError) as error:  # an OSError is of fill(), which writes the parts by itself
            assert isinstance(error, DiskFullError) or error.errno == errno.ENOSPC
            sink.abandon()
        assert os.listdir(small_disk) == ["fill"]
        (small_disk / "fill").unlink()
    assert 0 < len(fitted) < 12
