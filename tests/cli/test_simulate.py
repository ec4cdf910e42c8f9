"""mrcore simulate: what it prints, and what it says of bad usage."""

import re

import pytest


def test_a_seed_ends_in_one_line_with_the_digest_of_its_story(shell):
    first, second = shell.run("simulate", "--seed", "5"), shell.run("simulate", "--seed", "5")
    assert (first.status, first.err, first.out) == (0, b"", second.out)
    assert re.fullmatch(rb"seed 5: [\d.]+ s, [\d,]+ lines, job-0 \w+.*; digest [0-9a-f]{64}\n", first.out)


def test_a_seed_tells_the_same_under_any_hash_seed(shell):
    told = []
    for hash_seed in ("1", "2"):
        shell.env["PYTHONHASHSEED"] = hash_seed
        told.append([shell.run("simulate", "--seed", seed).out for seed in ("7", "8", "40", "155")])
    assert told[0] == told[1]


def test_verbose_prints_every_line(shell):
    done = shell.run("simulate", "--seed", "5", "--verbose")
    *lines, last = done.out.decode().splitlines()
    assert f", {len(lines):,} lines, " in last
    assert all(re.match(r"\d+\.\d{9} \S+ ", line) for line in lines)


def test_several_seeds_and_what_happened_in_them(shell):
    done = shell.run("simulate", "--seeds", "0:6", "--coverage")
    head, *rows, last = done.out.decode().splitlines()
    assert head.split() == ["count", "seeds", "name"]
    counts = {name: int(count.replace(",", "")) for count, _, name in (row.split(None, 2) for row in rows)}
    assert counts["row.task.pending.started"] > 0
    assert {"row.stage.closed.restored", "worker.slander", "disk.torn_write"} <= counts.keys(), "also what is at zero"
    assert re.fullmatch(r"6 stories of [\d.]+ hours in [\d.]+ s: no law was broken", last)


@pytest.mark.parametrize(
    "words, why",
    [
        ("", "--seed"),
        ("--seed x", "not a seed: 'x'"),
        ("--seed -1", "--seed"),
        ("--seed 4294967296", "not a seed"),
        ("--seeds 5", "not a range of seeds: '5'"),
        ("--seeds 5:5", "no seeds"),
        ("--seeds 5:4", "no seeds"),
        ("--seed 1 --seeds 1:2", "not allowed with"),
    ],
)
def test_bad_usage(shell, words, why):
    assert shell.run("simulate", *words.split()).failed(2, why)


def test_only_one_story_is_told(shell):
    done = shell.run("simulate", "--seeds", "1:2", "--verbose")
    assert (done.status, done.out) == (2, b"")
    assert done.err.endswith(b"--verbose tells one story: add --seed N\n")
