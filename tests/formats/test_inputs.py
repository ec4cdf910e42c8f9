"""Which files an input means, and in which order."""

import os
import socket

import pytest

from mrcore.errors import InputError
from mrcore.formats.inputs import Input, find_inputs

ODD = [b"plain", b"a b", b"new\nline", b"\xff\xfe", b"tab\t", "\u00e9\u2028".encode(), b"-", b"[x]", b".hidden", b"*"]


@pytest.fixture
def folder(tmp_path):
    return os.fsencode(tmp_path)


def put(folder, *names, content=b"x"):
    for name in names:
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)


def names(folder, *paths):
    found = find_inputs([os.path.join(folder, path) for path in paths])
    return [os.path.relpath(source.path, folder) for source in found]


def test_arguments_keep_their_order_and_may_repeat(folder):
    put(folder, b"b", b"a")
    assert names(folder, b"b", b"a", b"b") == [b"b", b"a", b"b"]


def test_str_bytes_and_sizes(folder, tmp_path):
    put(folder, b"f", content=b"12345")
    assert find_inputs([str(tmp_path / "f")]) == [Input(os.path.join(folder, b"f"), 5)]
    assert find_inputs([str(tmp_path / "f")])[0].bytes == 5


def test_a_folder_means_its_files_and_subfolders_by_path_bytes(folder):
    put(folder, b"d/z", b"d/a/2", b"d/a/10", b"d/a.txt", b"d/B", b"d/\xff")
    assert names(folder, b"d") == [b"d/B", b"d/a.txt", b"d/a/10", b"d/a/2", b"d/z", b"d/\xff"]
    assert names(folder, b"d/") == names(folder, b"d")


@pytest.mark.parametrize("name", ODD, ids=ascii)
def test_any_name_is_an_ordinary_name(folder, name):
    put(folder, name, b"other")
    assert names(folder, name) == [name]
    assert names(folder, b"") == sorted([name, b"other"])


def test_a_file_called_like_a_pattern_is_that_file(folder):
    put(folder, b"[ab]", b"a", b"b")
    assert names(folder, b"[ab]") == [b"[ab]"]


def test_a_pattern_means_the_files_it_matches_by_path_bytes(folder):
    put(folder, b"c.txt", b"a.txt", b"b.log", b"d/e.txt", b"d/f/g.txt")
    os.mkdir(os.path.join(folder, b"dir.txt"))
    assert names(folder, b"*.txt") == [b"a.txt", b"c.txt"]
    assert names(folder, b"**/*.txt") == [b"a.txt", b"c.txt", b"d/e.txt", b"d/f/g.txt"]
    assert names(folder, b"d/*/[f-h].txt", b"?.log") == [b"d/f/g.txt", b"b.log"]


@pytest.mark.parametrize(("path", "said"), [
    (b"missing", "missing: no such file"), (b"*.none", "no file matches"), (b"f/below", "not a directory"),
    (b"dangling", "dangling: no such file"), (b"loop", "symbolic links"), (b"socket", "is a socket"), (b"a\0b", "NUL"),
    (b"long" * 100, "name too long"), (b"new\nline", "new\\nline"),
])  # fmt: skip
def test_what_is_not_there_is_named_on_one_line(folder, path, said, monkeypatch):
    put(folder, b"f")
    os.symlink(b"nowhere", os.path.join(folder, b"dangling"))
    os.symlink(b"loop", os.path.join(folder, b"loop"))
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(b"socket")
    with pytest.raises(InputError) as error:
        names(folder, path)
    assert said in str(error.value)
    assert str(error.value).isprintable()


def test_an_unreadable_file_is_known_before_anything_runs(folder, monkeypatch):
    put(folder, b"f")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may read everything
    with pytest.raises(InputError, match="f: permission denied"):
        names(folder, b"f")


def test_links_to_files_count_links_to_folders_are_not_followed_and_dangling_ones_are_not_there(folder):
    put(folder, b"d/f", b"elsewhere/g")
    os.symlink(b"../elsewhere/g", os.path.join(folder, b"d/link"))
    os.symlink(b"../elsewhere", os.path.join(folder, b"d/folder"))
    os.symlink(b".", os.path.join(folder, b"d/loop"))
    os.symlink(b"nowhere", os.path.join(folder, b"d/dangling"))
    assert names(folder, b"d") == [b"d/f", b"d/link"]
    assert names(folder, b"d/folder") == [b"d/folder/g"], "but what is named is opened"


def test_a_fifo_is_a_stream_when_named_and_no_file_of_a_folder(folder):
    os.mkfifo(os.path.join(folder, b"fifo"))
    put(folder, b"f")
    assert find_inputs([os.path.join(folder, b"fifo"), b"/dev/null"]) == [
        Input(os.path.join(folder, b"fifo"), None), Input(b"/dev/null", None),
    ]  # fmt: skip
    assert names(folder, b"") == [b"f"]


def test_what_a_job_of_ours_wrote_beside_its_parts_is_not_input(folder):
    ours = [b"out/part-00000", b"out/_SUCCESS", b"out/_manifest.json", b"out/_work/map-00000.run"]
    put(folder, *ours, b"theirs/_manifest.json", b"theirs/_work/x")
    assert names(folder, b"out") == [b"out/part-00000"]
    assert names(folder, b"theirs") == [b"theirs/_manifest.json", b"theirs/_work/x"]
    assert names(folder, b"out/_manifest.json") == [b"out/_manifest.json"], "but what is named is taken"


def test_an_empty_folder_is_no_input_and_no_error(folder):
    assert names(folder, b"") == []


def test_a_folder_as_deep_as_a_path_may_be(folder):
    depth = (4000 - len(folder)) // 2
    for level in range(1, depth + 1):  # os.makedirs recurses
        os.mkdir(os.path.join(folder, b"/".join([b"d"] * level)))
    put(folder, b"d/f")
    try:
        assert names(folder, b"d") == [b"d/f"]
    finally:  # shutil.rmtree and pytest would recurse
        os.unlink(os.path.join(folder, b"d/f"))
        for level in range(depth, 0, -1):
            os.rmdir(os.path.join(folder, b"/".join([b"d"] * level)))


def test_a_file_whose_size_lies_is_a_stream(folder):
    """Files of /proc say 0 bytes and those of /sys 4096, whatever they hold."""
    assert find_inputs(["/proc/self/status"]) == [Input(b"/proc/self/status", None)]
    if os.path.exists("/sys/kernel/mm/transparent_hugepage/enabled"):
        assert find_inputs(["/sys/kernel/mm/transparent_hugepage/enabled"])[0].size is None


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 1 << 20])
def test_a_file_of_holes_has_the_size_it_says(folder, size):
    put(folder, b"holes", content=b"")
    os.truncate(os.path.join(folder, b"holes"), size)
    assert find_inputs([os.path.join(folder, b"holes")])[0].size == size


@pytest.fixture
def standard_input(folder):
    """Standard input is a file of ten bytes."""
    put(folder, b"f", content=b"0123456789")
    kept = os.dup(0)
    with open(os.path.join(folder, b"f"), "rb") as file:
        os.dup2(file.fileno(), 0)
    yield
    os.dup2(kept, 0)
    os.close(kept)


def test_a_redirected_file_is_a_file_that_others_can_open(standard_input, folder):
    (source,) = find_inputs(["-"])
    assert source.size == 10
    assert os.path.samefile(source.path, os.path.join(folder, b"f"))


def test_a_redirected_file_that_was_read_from_is_a_stream(standard_input):
    os.lseek(0, 4, os.SEEK_SET)
    assert find_inputs(["-"]) == [Input(b"-", None)]


def test_a_redirected_file_that_we_may_not_open_is_a_stream(standard_input, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert find_inputs(["-"]) == [Input(b"-", None)]


def test_a_pattern_finds_each_file_once_walks_matching_folders_and_skips_what_a_job_wrote_beside_its_parts(tmp_path):
    for name in ("in/a.txt", "in/sub/b.txt", "in/sub/deep/c.txt", "in/out/part-00000", "in/out/_SUCCESS"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "in/link").symlink_to(tmp_path / "in/sub", target_is_directory=True)
    everything = ["in/a.txt", "in/out/part-00000", "in/sub/b.txt", "in/sub/deep/c.txt"]
    for pattern, wanted in (("in/*", everything), ("in/out/*", everything[1:2]), ("in/s*", everything[2:])):
        found = find_inputs([str(tmp_path / pattern)])
        assert [source.path for source in found] == [str(tmp_path / name).encode() for name in wanted], pattern


def test_a_pipe_named_twice_is_read_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "same").symlink_to(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"x")
    names = [str(tmp_path / name) for name in ("pipe", "file", "same", "file")]
    assert [source.path for source in find_inputs(names)] == [os.fsencode(names[i]) for i in (0, 1, 3)]


def test_a_link_that_leads_to_itself_is_said_not_a_defect(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match="loop"):
        find_inputs([str(tmp_path)])
