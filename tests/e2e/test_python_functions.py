"""Users' Python functions through the native shuffle: right results, and the same bytes whatever runs them."""

import hashlib
import importlib
import os
import random
from pathlib import Path

import pytest

import mrcore as mr
from mrcore.engine import collector
from mrcore.engine.context import RESERVED
from mrcore.kernels.groups import Values

HERE = Path(__file__).parent
PATHS = {  # constants that decide which way a pair takes
    "little room": {"BUFFER_BYTES": 1}, "past the table": {"DIRECT_RATIO": -1, "DIRECT_PAIRS": 100},
    "sampled early": {"SAMPLE_PAIRS": 10}, "little room, sampled late": {"BUFFER_BYTES": 1, "SAMPLE_PAIRS": 50_000},
}  # fmt: skip


@pytest.fixture
def jobs(shell, monkeypatch):
    """The jobs beside this file; the test works in the shell's folder."""
    monkeypatch.chdir(shell.folder)
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setenv("TMPDIR", os.fspath(shell.tmp))
    return importlib.import_module("python_jobs")


@pytest.fixture
def texts(shell, text):
    """Files of odd text, small ones among them, by name in their order; no final newline at any file's end."""
    (shell.folder / "in").mkdir()
    found = {f"in/{index}": text[index * 5_000 : (index + 1) * 5_000] for index in range(5)}
    found |= {
        "in/empty": b"",
        "in/newlines": b"\n\r\n\n",
        "in/tiny": b"a",
        "in/é": "été \xff\n été".encode() + b"\xff\0 \0",
    }
    for name, content in found.items():
        shell.write(name, content)
    return found


def digests(folder):
    """Digest of each file of an output folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in Path(folder).iterdir()}


NAMES = ["Words", "Grouped", "Combined", "Gathered", "Best", "Average", "Sorted"]
WAYS = [  # executor, split
    (mr.Inline(), None), (mr.Inline(), "file"), (mr.Inline(), 999), (mr.Local(1), "7KiB"),
    (mr.Local(2, memory="20MiB"), 2000),
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_results_are_those_of_plain_python_and_the_same_bytes_in_all_ways(jobs, texts, name):
    job = getattr(jobs, name)
    assert [job.__name__ for job in jobs.JOBS] == NAMES
    wanted, seen = jobs.expected(job, texts), []
    for number, (executor, split) in enumerate(WAYS):
        result = mr.run(job, "in", f"out-{number}", reducers=5, executor=executor, split=split)
        seen.append(digests(f"out-{number}"))
        assert sorted(result.read(), key=lambda pair: pair[0]) == wanted
    assert seen == [seen[0]] * len(WAYS)
    assert len(seen[0]) == 5 + 2
    result = mr.run(job, "in", "one", reducers=1, executor=mr.Inline())
    assert list(result.read()) == list(mr.run(job, "in", executor=mr.Inline(), split="file").read()) == wanted


@pytest.mark.parametrize("name", NAMES)
def test_whichever_way_pairs_take_the_bytes_are_the_same(jobs, shell, text, monkeypatch, name):
    job, spills = getattr(jobs, name), []
    shell.write("in", text)
    mr.run(job, "in", "first", reducers=3, executor=mr.Inline())
    for path, constants in PATHS.items():
        with monkeypatch.context() as patch:
            for constant, value in constants.items():
                patch.setattr(collector, constant, value)
            spills.append(mr.run(job, "in", path, reducers=3, executor=mr.Inline()).counters["spills"])
        assert digests(path) == digests("first"), path
    assert not any(spills[1:3])
    assert (spills[0] > 0) == (name in ("Grouped", "Combined", "Sorted"))


@pytest.mark.parametrize("name", NAMES)
def test_the_command_with_any_hash_seed_and_any_executor(shell, jobs, texts, name):
    file = f"{HERE / 'python_jobs.py'}:{name}"
    for seed, workers in ((0, "0"), (1, "2")):
        shell.env["PYTHONHASHSEED"] = str(seed)
        done = shell.run("run", file, "in", "-j", workers, "-R", "3", "-o", f"out-{seed}", "--split", "9K")
        assert (done.status, done.out, done.err) == (0, b"", b"")
    assert digests(shell.folder / "out-0") == digests(shell.folder / "out-1")
    done = shell.run("run", file, "in", "-j", "1")
    assert (done.status, done.err) == (0, b"")
    mr.run(getattr(jobs, name), "in", "one", single=True, executor=mr.Inline())
    assert (shell.folder / "one").read_bytes() == done.out


# ---- keys and values of all types -------------------------------------------------------------------------

RNG = random.Random(3)
KEYS = {
    "int": [0, 1, -1, 127, 128, -128, 1 << 62, (1 << 63) - 1, -(1 << 63), 255, 256, -256],
    "float": [0.0, 1.5, -1.5, float("inf"), float("-inf"), 5e-324, -5e-324, 1e308, 0.1, 2.0**53],
    "str": ["", "a", "a\0", "\0", "b", "é", "e\u0301", "\uffff", "\U00010000", "a\tb", "\\n", "x" * 3000],
    "bytes": [b"", b"\0", b"\0\0", b"a", b"a\0", b"\xff", b"\xff\xff", b"\\\t\n", b"y" * 5000],
    "tuple": [("", 0), ("", -1), ("a", 1), ("a\0", 0), ("a\0\0b", 0), ("a", -(1 << 63)), ("\0", 5)],
    "nested": [((b"", 1.0), ()), ((b"\0", -1.0), ()), ((b"\0\xff", 0.0), ()), ((b"a", float("inf")), ())],
}
VALUES = [
    None, True, False, 0, -1, (1 << 63) - 1, -(1 << 63), 1 << 63, -(1 << 200), 0.0, -0.0, 1e-320, float("inf"), "",
    "tab\t nl\n back\\ nul\0", "\\:", "\\!", "\ud800", "é\U0001f600", b"", b"\t\n\\\0\xff", b"\\:1", (), (1,),
    (1, ("a", b"b", None)), [], [1, [2.5, {"a": (b"x",)}]], {}, {"k": [None], 2: b"\n"}, {1}, frozenset({"x"}),
    range(3), 1 + 2j, bytearray(b"\t"), float("-inf"), [float("inf")], "1", b"1", 10**5000, ("x" * 70_000,),
]  # fmt: skip


def typed(value):
    """The value with its types, where equality says too little."""
    if type(value) is tuple:
        return tuple(map(typed, value))
    return type(value), repr(value) if type(value).__module__ == "builtins" and type(value) is not int else value


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("executor", [mr.Inline(), mr.Local(2)], ids=["inline", "workers"])
def test_keys_of_every_type_ascend_as_python_sorts_them(jobs, monkeypatch, executor, kind):
    if isinstance(executor, mr.Inline):
        monkeypatch.setattr(collector, "SAMPLE_PAIRS", 7)
    pairs = [(key, number) for number in range(3) for key in RNG.sample(KEYS[kind], len(KEYS[kind]))]
    wanted = [(key, [0, 1, 2]) for key in sorted(KEYS[kind], key=lambda k: k.encode() if type(k) is str else k)]
    dataset = mr.from_items(pairs).group_by_key()
    assert dataset.collect(executor) == wanted
    parts = dataset.write_tsv("parts", reducers=4, executor=executor)
    assert sorted(map(repr, parts.read())) == sorted(map(repr, wanted))
    one = dataset.write_tsv("one", single=True, executor=executor)
    assert [(typed(key), value) for key, value in one.read()] == [(typed(key), value) for key, value in wanted]


@pytest.mark.parametrize("executor", [mr.Inline(), mr.Local(2)], ids=["inline", "workers"])
@pytest.mark.parametrize("first", range(0, len(VALUES), 6))
def test_values_of_every_type_come_back_as_they_were(jobs, executor, first):
    """Whichever stands first decides how its column is written."""
    values = [*VALUES[first:], *VALUES[:first]]
    if first % 12 == 0:
        values.append(jobs.Point(first, "a\n"))
    pairs = [(index, value) for index, value in enumerate(values)]
    dataset = mr.from_items(pairs).partition_by(3)
    assert list(map(typed, dataset.collect(executor))) == list(map(typed, pairs))
    for how in ({"single": True}, {"reducers": 2}):
        found = dataset.write_tsv("-".join(how), executor=executor, **how).read()
        assert sorted(map(typed, found), key=lambda pair: pair[0][1]) == list(map(typed, pairs))


# ---- groups ----------------------------------------------------------------------------------------------


def test_a_group_larger_than_the_memory_streams_to_the_reducer(jobs, shell, monkeypatch):
    """30 MB in one group, 1 MB of buffer: the values arrive one by one, in input order."""
    monkeypatch.setattr(collector, "BUFFER_BYTES", 1 << 20)

    class Large(mr.MapReduce):
        def map(self, record, ctx):
            for index in range(30):
                yield "all", (int(record), index, "x" * 1000)

        def reduce(self, key, values, ctx):
            assert type(values) is Values
            last = (-1,)
            many = 0
            for value in values:
                assert last < value
                last, many = value, many + 1
            yield key, many

    shell.write("numbers", b"".join(b"%d\n" % n for n in range(1000)))
    result = mr.run(Large, "numbers", executor=mr.Inline(memory="9MiB"))
    assert list(result.read()) == [("all", 30_000)]
    assert result.counters["spills"] > 20
    assert result.used["memory_peak"] < 9 << 20


READS = {
    "twice": (
        "list(values); return [(key, x) for x in values]",
        "were read twice: they can be read once, in their order",
    ),
    "iter twice": ("sum(1 for _ in values); return iter(values)", "were read twice"),
    "kept": (
        "self.kept = self.__dict__.get('kept', []) + [values]\n"
        "        yield key, 1 if len(self.kept) == 1 else list(self.kept[0])",
        "after it had ended",
    ),
}


@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize("how", READS)
def test_the_values_of_a_group_can_be_read_once(shell, how, workers):
    body, said = READS[how]
    shell.write("job.py", (
        "import mrcore as mr\nclass Job(mr.MapReduce):\n    def map(self, record, ctx): yield record, 1\n"
        f"    def reduce(self, key, values, ctx):\n        {body}\n"
    ).encode())  # fmt: skip
    shell.write("in", b"a\nb\na\nb\n")
    done = shell.run("run", "job.py", "in", "-j", workers)
    assert (done.status, done.out) == (1, b"")
    last = done.err.decode().splitlines()[-1]
    assert last.startswith("mrcore: the values of a group were read") and said in last and "key b'" in last
    assert "job.py" in done.err.decode()


def test_what_a_reducer_leaves_unread_is_skipped(jobs, shell):
    class FirstTwo(mr.MapReduce):
        def map(self, record, ctx):
            yield record[:1], record

        def reduce(self, key, values, ctx):
            yield key, [next(values), next(values, None)] if key != b"b" else []

    shell.write("in", b"a1\nb1\na2\na3\nc1\nb2\nc2\nc3\n")
    for executor in (mr.Inline(), mr.Local(1)):
        found = list(mr.run(FirstTwo, "in", executor=executor).read())
        assert found == [(b"a", [b"a1", b"a2"]), (b"b", []), (b"c", [b"c1", b"c2"])]


# ---- context ---------------------------------------------------------------------------------------------


def test_counters_are_exact_and_tasks_are_set_up_once(jobs, texts):
    lines = [line for content in texts.values() for _, line in jobs.lines(content)]
    keys = len({len(line) % 10 for line in lines})
    for executor, split in WAYS:
        result = mr.run(jobs.Counting, "in", "out", reducers=3, executor=executor, split=split, overwrite=True)
        counters = result.counters
        maps, reduces = counters["map_tasks"], counters["reduce_tasks"]
        assert {name: counters[name] for name in counters if name not in RESERVED} == {
            "lines": len(lines), "bytes": sum(map(len, lines)), "keys": keys, "values": len(lines),
            "setup map": maps, "teardown map": maps, "seen map": len(lines),
            "setup reduce": reduces, "teardown reduce": reduces, "seen reduce": keys,
        }  # fmt: skip
        assert (counters["records_in"], counters["map_pairs"], counters["records_out"]) == (len(lines),) * 3
        assert counters["bytes_in"] == sum(map(len, texts.values()))
        assert (maps == 1, reduces) == (split is None, 3)


def test_input_is_the_file_and_the_offset_of_the_record(jobs, texts):
    wanted = [(name, at, line[:20]) for name, text in texts.items() for at, line in jobs.lines(text)]
    for executor, split in WAYS:
        result = mr.run(jobs.Counting, "in", "out", executor=executor, split=split, overwrite=True)
        assert sorted(value for _, value in result.read()) == sorted(wanted)


def test_teardown_may_yield(jobs, texts):
    class Lengths(mr.MapReduce):
        def setup(self, ctx):
            self.longest = 0

        def map(self, record, ctx):
            self.longest = max(self.longest, len(record))
            return ()

        def reduce(self, key, values, ctx):
            self.longest = max(values)
            return ()

        def teardown(self, ctx):
            yield ctx.phase, self.longest

    for executor, split in WAYS:
        found = mr.run(Lengths, "in", executor=executor, split=split).read()
        assert list(found) == [("reduce", max(len(line) for text in texts.values() for _, line in jobs.lines(text)))]


def test_tasks_share_no_objects_with_each_other_or_the_program(jobs, shell):
    class Remembering(mr.MapReduce):
        def __init__(self):
            self.seen = ["program"]

        def map(self, record, ctx):
            self.seen.append(ctx.input.offset)
            yield ctx.task, list(self.seen)

    job = Remembering()
    shell.write("in", b"".join(b"%d\n" % n for n in range(10)))
    for executor in (mr.Inline(), mr.Local(1), mr.Local(2)):
        found = list(mr.run(job, "in", executor=executor, split=4).read())
        assert found == [
            (task, ["program", *range(4 * task, at + 1, 2)]) for task in range(5) for at in (4 * task, 4 * task + 2)
        ]
    assert job.seen == ["program"]
