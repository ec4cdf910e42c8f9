"""The trace: its text, what is kept of it, and a digest that every line changes."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from mrcore.testing.simulation.trace import Trace

WORDS = st.one_of(st.text(max_size=3), st.integers(), st.binary(max_size=3))
LINES = st.lists(st.tuples(st.integers(0, 10**12), st.sampled_from("ab"), st.lists(WORDS, max_size=3)), max_size=8)


def test_a_line_has_seconds_a_node_and_words():
    trace = Trace()
    trace.add(0, "coordinator", "starts")
    trace.add(12_000_000_345, "worker-3", "runs", 7, b"key\xff")
    assert trace.text() == "0.000000000 coordinator starts\n12.000000345 worker-3 runs 7 key\\xff\n"


def test_a_line_stays_one_line():
    trace = Trace()
    trace.add(0, "a", "one\ntwo\x1b[0m", "\udcff")
    assert trace.text() == "0.000000000 a one\\ntwo\\x1b[0m \\udcff\n"


@given(LINES)
def test_the_digest_is_that_of_all_lines_whatever_is_kept(lines):
    everything, nothing, written = Trace(kept_max=None), Trace(kept_max=0), []
    writing = Trace(write=written.append)
    for time_ns, node, words in lines:
        for trace in (everything, nothing, writing):
            trace.add(time_ns, node, *words)
    text = everything.text()
    assert text.count("\n") == len(lines) == len(everything)
    assert everything.digest() == nothing.digest() == hashlib.sha256(text.encode()).hexdigest()
    writing.flush()
    assert "".join(written) == text


def test_asking_for_the_digest_in_between_does_not_change_it():
    asked, not_asked = Trace(), Trace()
    for number in range(10_000):
        for trace in (asked, not_asked):
            trace.add(number, "a", "line", number)
        if number % 1000 == 0:
            asked.digest()
    assert asked.digest() == not_asked.digest()
    asked.add(10_000, "a", "")
    assert asked.digest() != not_asked.digest()


def test_only_the_last_lines_are_kept():
    trace = Trace(kept_max=2)
    for number in range(9000):
        trace.add(number, "a", number)
    assert trace.text() == "... 8,998 lines before\n0.000008998 a 8998\n0.000008999 a 8999\n"
    assert len(trace) == 9000
