"""Work directories: private, locked, removed; the sweep takes what the dead left and nothing else."""

import fcntl
import os
import stat
import subprocess
import sys
import time

import pytest

from mrcore.errors import OutputExistsError
from mrcore.storage import workdir
from mrcore.storage.workdir import LOCK, PREFIX, YOUNG_S, WorkDir, default_tmp, temporary


@pytest.fixture
def tmp(tmp_path):
    return os.fsencode(tmp_path)


def leave_behind(tmp, name=b"mrcore-1-0123dead", age=2 * YOUNG_S, lock=LOCK):
    """What a job leaves that was killed ``age`` seconds ago; the lock's path."""
    path = os.path.join(tmp, name)
    os.mkdir(path)
    for file in (lock, b"map-00000.run"):
        open(os.path.join(path, file), "wb").close()
    os.utime(os.path.join(path, lock), (time.time() - age,) * 2)
    return os.path.join(path, lock)


def test_it_is_private_and_goes_away(tmp):
    with temporary(tmp) as work:
        assert os.path.basename(work.path).startswith(PREFIX)
        assert stat.S_IMODE(os.stat(work.path).st_mode) == 0o700
        open(work.file("map-00000.run"), "wb").close()
        assert sorted(os.listdir(work.path)) == [b"lock", b"map-00000.run"]
    assert os.listdir(tmp) == []


def test_it_goes_away_on_an_error_too(tmp):
    with pytest.raises(ZeroDivisionError), temporary(tmp):
        raise ZeroDivisionError
    assert os.listdir(tmp) == []


def test_removing_twice_is_harmless(tmp):
    work = temporary(tmp)
    work.remove()
    work.remove()
    assert os.listdir(tmp) == []


def test_a_signal_in_the_middle_of_removing_does_not_stop_it(tmp, monkeypatch):
    work, real, calls = temporary(tmp), workdir.shutil.rmtree, []

    def interrupted(path, ignore_errors):
        calls.append(path)
        if len(calls) == 1:
            raise KeyboardInterrupt
        real(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(workdir.shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        work.remove()
    assert os.listdir(tmp) == []


def test_nothing_is_left_when_it_cannot_be_locked(tmp, monkeypatch):
    def refuse(fd, how):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(workdir.fcntl, "flock", refuse)
    with pytest.raises(OutputExistsError, match="no locks available"):
        WorkDir(os.path.join(tmp, b"work"))
    assert os.listdir(tmp) == []


def test_what_is_there_already_is_refused_and_kept(tmp):
    with pytest.raises(OutputExistsError, match="file exists"):
        WorkDir(tmp)
    assert os.path.isdir(tmp)


def test_a_place_that_is_not_there(tmp):
    with pytest.raises(OutputExistsError, match=r"cannot write: .*missing: no such file"):
        temporary(os.path.join(tmp, b"missing"))


def test_the_sweep_takes_what_a_dead_job_left(tmp):
    leave_behind(tmp)
    with temporary(tmp) as work:
        assert os.listdir(tmp) == [os.path.basename(work.path)]


@pytest.mark.parametrize("how", [
    {"age": 0}, {"name": b"mrcor-1"}, {"name": b"other"}, {"lock": b"no-lock"},
], ids=str)  # fmt: skip
def test_the_sweep_leaves_the_young_and_what_is_not_ours(tmp, how):
    left = os.path.dirname(leave_behind(tmp, **how))
    temporary(tmp).remove()
    assert len(os.listdir(left)) == 2


def test_the_sweep_leaves_what_a_living_job_holds(tmp):
    lock = leave_behind(tmp)
    hold = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, 2); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-P", "-c", hold, lock]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        temporary(tmp).remove()
        assert os.path.exists(lock)
        holder.stdin.close()
    temporary(tmp).remove()
    assert os.listdir(tmp) == []


def test_the_sweep_does_not_follow_links(tmp, tmp_path_factory):
    elsewhere = os.path.dirname(leave_behind(os.fsencode(tmp_path_factory.mktemp("elsewhere"))))
    os.symlink(elsewhere, os.path.join(tmp, b"mrcore-link"))
    os.mkdir(os.path.join(tmp, b"mrcore-2"))
    os.symlink(os.path.join(elsewhere, LOCK), os.path.join(tmp, b"mrcore-2", LOCK))
    temporary(tmp).remove()
    assert len(os.listdir(elsewhere)) == 2
    assert sorted(os.listdir(tmp)) == [b"mrcore-2", b"mrcore-link"]


def test_the_default_place_follows_tmpdir(monkeypatch):
    monkeypatch.setenv("TMPDIR", "/some/where")
    assert default_tmp() == b"/some/where"
    monkeypatch.setenv("TMPDIR", "")
    assert default_tmp() == b"/tmp"


def test_one_that_is_kept_stays_and_its_lock_is_free(tmp):
    with temporary(tmp) as work:
        open(work.file("journal"), "wb").close()
        work.keep()
    assert sorted(os.listdir(work.path)) == [b"journal", b"lock"]
    lock = os.open(os.path.join(work.path, LOCK), os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with WorkDir(work.path, lock) as again:
        again.keep()
        again.keep()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(lock)
    assert os.path.isdir(work.path)


def test_one_that_is_gone_on_with_goes_away_like_any_other(tmp):
    with temporary(tmp) as work:
        work.keep()
    with WorkDir(work.path, os.open(os.path.join(work.path, LOCK), os.O_RDWR)):
        pass
    assert os.listdir(tmp) == []


def test_clearing_leaves_the_lock_only(tmp):
    with temporary(tmp) as work:
        os.makedirs(os.path.join(work.path, b"journal-p0", b"deep"))
        open(work.file("p0.0.0.0"), "wb").close()
        open(os.path.join(work.path, b"journal-p0", b"deep", b"file"), "wb").close()
        os.symlink(tmp, work.file("link"))
        work.clear()
        assert os.listdir(work.path) == [b"lock"]
        work.clear()
        assert os.listdir(work.path) == [b"lock"]


@pytest.mark.parametrize("sizes", [(), (0,), (1, 70_000)])
def test_its_size_is_that_of_the_intermediate_files_in_it(tmp, sizes):
    with temporary(tmp) as work:
        with open(work.file("p0r1.1.17"), "wb") as file:  # finished
            file.write(bytes(1000))
        for index, size in enumerate(sizes):
            with open(work.file(f"p0.0.0.{index}"), "wb") as file:
                file.write(bytes(size))
        os.mkdir(work.file("journal-p0"))
        with open(os.path.join(work.path, b"journal-p0", b"journal"), "wb") as file:
            file.write(bytes(99))
        os.symlink(work.file("p0.0.0"), work.file("link"))
        assert work.size() == sum(sizes)
