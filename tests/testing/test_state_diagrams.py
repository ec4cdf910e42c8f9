"""The pages of docs/states are those of the tables, and a page says all that its table does."""

from __future__ import annotations

from pathlib import Path

import pytest

from mrcore.scheduler.states import Row, Table
from mrcore.testing.state_diagrams import KINDS, draw_kind, draw_page, draw_picture

PAGES = Path(__file__).resolve().parents[2] / "docs" / "states"
DOOR = Table(
    "door",
    "open",
    ("bricked up",),
    [
        Row("open", "pushed", "shut", "somebody left"),
        Row("open", "blown", "shut", "a draught"),
        Row("shut", "pushed", "shut", "it opens the other way"),
        Row("shut", "walled", "bricked up", "nobody came back"),
    ],
)


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_is_drawn_from_the_table(kind: str) -> None:
    page = (PAGES / f"{kind}.md").read_text(encoding="utf-8")
    assert page == draw_kind(kind), "run docs/states/make.py"


def test_there_is_no_page_without_a_table() -> None:
    assert sorted(path.stem for path in PAGES.glob("*.md")) == sorted(KINDS)


def test_events_between_two_states_share_an_arrow() -> None:
    assert draw_picture(DOOR) == [
        "stateDiagram-v2",
        "    [*] --> open",
        "    open --> shut: pushed, blown",
        "    shut --> shut: pushed",
        "    shut --> bricked_up: walled",
        "    bricked_up --> [*]",
        "    bricked_up: bricked up",
    ]


def test_a_page_has_every_row_and_no_markup_of_docstrings() -> None:
    page = draw_page(DOOR, "house/door.py", "A door: of :class:`house.Wall`.\n\nIt has a ``lock``.")
    assert page.startswith("# States of a door\n\nA door: of `house.Wall`.\n\nIt has a `lock`.\n\n")
    for row in DOOR.rows:
        assert row.why in page
    assert "| shut | pushed | the same | it opens the other way |\n" in page
    assert "`house/door.py`" in page
    assert "It begins as open. Final: bricked up." in page
