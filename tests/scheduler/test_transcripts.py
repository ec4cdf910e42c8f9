"""Stories in ``transcripts/``: what the scheduler answers is what is written there.

``MRCORE_UPDATE_TRANSCRIPTS=1`` writes it anew; then the diff is to be read.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mrcore.testing.transcripts import play

TRANSCRIPTS = sorted(Path(__file__).with_name("transcripts").glob("*.txt"))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(path: Path) -> None:
    written = path.read_text(encoding="utf-8")
    played = play(written)
    if os.environ.get("MRCORE_UPDATE_TRANSCRIPTS"):
        path.write_text(played, encoding="utf-8")
    else:
        assert played == written, "if this is better, MRCORE_UPDATE_TRANSCRIPTS=1 writes it"


@pytest.mark.parametrize(
    "line", ["w9 finishes j/0/0/0", "w1 sings", "worker", "at noon nothing", "job j stages three", "at 0.5s nothing"]
)
def test_a_line_that_says_nothing_known_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="line 4: "):
        play(f"coordinator starts\nworker w1 registers\nat 1s nothing\n{line}\n")


def test_a_worker_ends_only_what_it_runs() -> None:
    story = "coordinator starts\nworker w1 registers\njob j stages 1\nw1 finishes j/0/0/0\n"
    with pytest.raises(ValueError, match=r"line 5: .*w1 runs nothing"):
        play(f"{story}w1 finishes j/0/0/0\n")
    assert play(f"{story}w1@1.1 finishes j/0/0/0\n").endswith("finishes j/0/0/0\n")


def test_old_answers_and_remarks_are_no_input() -> None:
    story = "# A worker comes.\ncoordinator starts\n    nonsense\n\nworker w1 registers\n"
    assert play(story) == play(play(story))
    assert "nonsense" not in play(story)
