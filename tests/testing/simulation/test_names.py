"""Names across a loss of power: each change is there or not, as a whole, until its directory is synced."""

import random

from hypothesis import given
from hypothesis import strategies as st

from mrcore.testing.simulation.blocks import Content
from mrcore.testing.simulation.names import Names

PATHS = st.sampled_from(["a/x", "a/y", "b/x"])
STEPS = st.lists(st.tuples(st.sampled_from(["add", "remove", "rename", "sync"]), PATHS, PATHS), max_size=12)


def play(names, steps):
    for kind, path, target in steps:
        if kind == "add" and path not in names.live:
            names.add(path, Content())
        elif kind == "remove" and path in names.live:
            names.remove(path)
        elif kind == "rename" and path in names.live and path != target:
            names.rename(path, target)
        elif kind == "sync":
            names.sync(path[0])


@given(steps=STEPS, seed=st.integers(0, 2**32))
def test_synced_names_survive_every_crash(steps, seed):
    names = Names()
    play(names, [*steps, ("sync", "a/x", "")])
    before = {path: content for path, content in names.live.items() if path[0] == "a"}
    names.crash(random.Random(seed))
    assert {path: content for path, content in names.live.items() if path[0] == "a"} == before


@given(steps=STEPS, seed=st.integers(0, 2**32))
def test_after_a_crash_names_are_those_that_some_changes_made(steps, seed):
    names = Names()
    play(names, steps)
    names.crash(random.Random(seed))
    after = dict(names.live)
    assert len({id(content) for content in after.values()}) == len(after), "no file has two names"
    assert names.crash(random.Random(seed)) == [] and names.live == after, "it is all on the disk now"


def test_a_rename_that_was_not_synced_leaves_the_old_file_or_the_new_one():
    seen = set()
    for seed in range(50):
        names, old, new = Names(), Content(), Content()
        names.add("a/journal", old)
        names.add("a/new", new)
        names.sync("a")
        names.rename("a/new", "a/journal")
        names.crash(random.Random(seed))
        found = {path: "old" if content is old else "new" for path, content in names.live.items()}
        assert found in ({"a/journal": "old", "a/new": "new"}, {"a/journal": "new"})
        seen.add(len(found))
    assert seen == {1, 2}


def test_of_two_renames_of_a_file_the_second_may_survive_alone_and_leaves_no_first_name():
    seen = set()
    for seed in range(100):
        names, content = Names(), Content()
        names.add("a/x", content)
        names.sync("a")
        names.rename("a/x", "a/y")
        names.rename("a/y", "a/z")
        names.crash(random.Random(seed))
        assert list(names.live.values()) == [content]
        seen.update(names.live)
    assert seen == {"a/x", "a/y", "a/z"}


def test_changes_that_were_not_synced_are_lost_in_no_order():
    seen = set()
    for seed in range(200):
        names = Names()
        for path in ("a/1", "a/2", "a/3"):
            names.add(path, Content())
        kinds = names.crash(random.Random(seed))
        assert kinds.count("kept_entry") == len(names.live)
        seen.add(tuple(names.live))
    assert len(seen) == 8


def test_a_move_between_directories_is_synced_by_either_with_what_led_to_it():
    for directory in "ab":
        names, content = Names(), Content()
        names.add("a/x", content)
        names.rename("a/x", "b/x")
        names.sync(directory)
        names.crash(random.Random(0))
        assert names.live == {"b/x": content}


def test_names_of_a_directory_come_in_order():
    names = Names()
    for path in ("a/b", "a/a", "ab/c"):
        names.add(path, Content())
    assert names.inside("a") == ["a", "b"]
