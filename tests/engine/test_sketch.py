"""Sketches: an estimate that is near, and the same however the text is shared out."""

import itertools
import os

import pytest

from mrcore.engine.sketch import PRECISION, Sketch, merge_sketches
from mrcore.engine.spec import Keys, MapSpec, Span
from mrcore.engine.task import TaskEnv, run_task
from mrcore.errors import CorruptionError, InputError
from mrcore.kernels.hyperloglog import HyperLogLog
from mrcore.testing import reference

STANDARD_ERROR = 1.04 / 2 ** (PRECISION / 2)


@pytest.fixture
def words(tmp_path):
    """A file of 100,000 distinct words, each twice."""
    path = tmp_path / "words"
    path.write_bytes(b"".join(b"%x\n" % (i % 100_000 * 2654435761 % (1 << 40)) for i in range(200_000)))
    return os.fsencode(path)


def run(words, spans, folder, keys=Keys(), memory=64 << 20):  # noqa: B008 - a value, not a list
    """Results of one map task a span."""
    size = os.path.getsize(words)
    results = []
    for task, (start, stop) in enumerate(spans):
        output = os.path.join(os.fsencode(folder), b"sketch-%d" % task)
        spec = MapSpec(task, output, (Span(words, start, stop, size),), keys, 1, None, memory, "sketch", sync=False)
        results.append(run_task(spec, TaskEnv()))
    return results


def test_the_estimate_is_near_and_does_not_depend_on_splits(words, tmp_path):
    size = os.path.getsize(words)
    seen = set()
    for count in (1, 2, 7, 100):
        cuts = [size * i // count for i in range(count + 1)]
        results = run(words, itertools.pairwise(cuts), tmp_path)
        seen.add(merge_sketches(results).estimate())
        for result in results:
            assert (result.records_out, result.bytes_out) == (1, 1 << PRECISION)
            os.unlink(result.output)
    assert len(seen) == 1
    assert seen.pop() == pytest.approx(100_000, rel=3 * STANDARD_ERROR)


@pytest.mark.parametrize("keys", [
    Keys(), Keys("ascii", True), Keys("unicode"), Keys("lines"), Keys("regex:[0-9]+"), Keys(n_max=2),
], ids=str)  # fmt: skip
def test_its_registers_are_those_of_the_keys(tmp_path, keys):
    (tmp_path / "in").write_bytes(b"to be or\nnot 22 33\n\nTO BE")
    (result,) = run(os.fsencode(tmp_path / "in"), [(0, 25)], tmp_path, keys)
    tokens = {
        "whitespace": b"to be or not 22 33 TO BE".split(), "ascii": b"to be or not 22 33 to be".split(),
        "unicode": b"to be or not 22 33 TO BE".split(), "lines": [b"to be or", b"not 22 33", b"", b"TO BE"],
        "regex:[0-9]+": [b"22", b"33"],
    }[keys.tokenizer]  # fmt: skip
    if keys.ngrams:
        tokens = [*tokens, b"to be", b"be or", b"not 22", b"22 33", b"TO BE"]
    with open(result.output, "rb") as file:
        assert list(file.read()) == reference.hyperloglog(tokens, PRECISION)


def test_no_sketches_are_no_keys():
    assert merge_sketches([]).estimate() == 0


def test_a_sketch_that_changed_is_corrupt(words, tmp_path):
    (result,) = run(words, [(0, 1000)], tmp_path)
    with open(result.output, "r+b") as file:
        file.seek(77)
        file.write(b"\x30")
    with pytest.raises(CorruptionError):
        merge_sketches([result])
    os.truncate(result.output, 100)
    with pytest.raises((CorruptionError, InputError)):
        merge_sketches([result])


def test_what_it_holds_is_16_kib():
    sketch = Sketch("whitespace", False, 1 << 20)
    assert (1 << PRECISION) <= sketch.memory_bytes <= (1 << PRECISION) + 4096
    assert sketch.registers == HyperLogLog(PRECISION).registers


def test_a_token_of_any_length_below_the_window_is_taken(words, tmp_path):
    (tmp_path / "in").write_bytes(b"a " + b"g" * 700_000 + b" b")
    (result,) = run(os.fsencode(tmp_path / "in"), [(0, 700_004)], tmp_path, memory=4 << 20)
    assert round(merge_sketches([result]).estimate()) == 3


def test_ordinary_text_is_fed_whatever_the_memory():
    sketch = Sketch("whitespace", False, 4 << 20)
    text = b"word " * (sketch.window // 5)
    assert sketch.feed(text, 0, len(text), True) == len(text)
