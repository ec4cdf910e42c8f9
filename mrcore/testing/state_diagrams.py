"""Pages of ``docs/states``: the picture and the rows of a transition table, in Markdown.

``docs/states/make.py`` writes them, and a test compares: a picture that is not its table's does not last.
The introduction of a page is the docstring of the module that has the table.
"""

from __future__ import annotations

import importlib
import inspect
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mrcore.scheduler.states import Row, Table

KINDS = ("job", "stage", "task", "attempt", "worker")
"""The modules of ``mrcore.scheduler`` that have a ``TABLE``, from the largest thing to the smallest."""


def draw_kind(kind: str) -> str:
    """The page of one of ``KINDS``."""
    module = importlib.import_module(f"mrcore.scheduler.{kind}")
    return draw_page(module.TABLE, f"mrcore/scheduler/{kind}.py", inspect.getdoc(module) or "")


def draw_page(table: Table, path: str, introduction: str) -> str:
    """A page: what the thing is, its picture, a row for each transition.

    Args:
        table: to be drawn.
        path: of the file that has it.
        introduction: a docstring, its first paragraph ``Name: what it is``; roles become plain code.
    """
    final = ", ".join(table.final) if table.final else "none: each may be left again"
    parts = [
        f"# States of {_article(table.name)} {table.name}",
        _plain(introduction),
        f"Drawn from the table in `{path}` by `docs/states/make.py`. It begins as {table.initial}. Final: {final}.",
        "\n".join(["```mermaid", *draw_picture(table), "```"]),
        "\n".join(["| state | event | next | why |", "|---|---|---|---|", *map(_line, table.rows)]),
    ]
    return "\n\n".join(parts) + "\n"


def draw_picture(table: Table) -> list[str]:
    """The lines of a Mermaid state diagram. Events that lead from one state to the same other one share an arrow."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for row in table.rows:
        arrows.setdefault((row.source, row.target), []).append(row.event)
    return [
        "stateDiagram-v2",
        f"    [*] --> {_name(table.initial)}",
        *(f"    {_name(old)} --> {_name(new)}: {', '.join(events)}" for (old, new), events in arrows.items()),
        *(f"    {_name(state)} --> [*]" for state in table.final),
        *(f"    {_name(state)}: {state}" for state in table.states if " " in state),
    ]


def _line(row: Row) -> str:
    target = "the same" if row.target == row.source else row.target
    return f"| {row.source} | {row.event} | {target} | {row.why} |"


def _name(state: str) -> str:
    return state.replace(" ", "_")


def _article(name: str) -> str:
    return "an" if name[0] in "aeiou" else "a"


def _plain(docstring: str) -> str:
    """A docstring as Markdown: ``:class:`mrcore.a.B``` is `mrcore.a.B`, double backquotes are single ones."""
    return re.sub(r":\w+:`", "`", docstring).replace("``", "`").strip()
