"""Transition tables: what a job, stage, task, attempt or worker may become, and upon what.

A table is data: rows of (state, event, next state, why). The scheduler steps through it and
through nothing else, the diagrams in ``docs/states/`` are drawn from it, and the simulator counts
how often each row fired. An event that a state has no row for is a defect, and raises.

States and events have names for people and numbers for arrays: a million tasks are a million bytes.
"""

from __future__ import annotations

from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Row(NamedTuple):
    """One transition. Where ``target`` is ``source`` the event is allowed and changes nothing."""

    source: str
    event: str
    target: str
    why: str


class Table:
    """The transitions of one kind of thing. States and events are numbered in the order in which rows name them.

    Args:
        name: of the kind.
        initial: state of a new one; its number is 0.
        final: states that nothing leaves.
        rows: the transitions; of a state and an event there is one.

    Raises:
        ValueError: two rows begin alike, a final state is left, or a state is never reached.
    """

    def __init__(self, name: str, initial: str, final: Sequence[str], rows: Sequence[Row]) -> None:
        self.name, self.initial, self.final, self.rows = name, initial, tuple(final), tuple(rows)
        self.states = tuple(dict.fromkeys([initial, *(state for row in rows for state in (row.source, row.target))]))
        self.events = tuple(dict.fromkeys(row.event for row in rows))
        if len({(row.source, row.event) for row in rows}) != len(rows):
            raise ValueError(f"two transitions of a {name} begin alike")
        if left := [row for row in rows if row.source in final and row.target != row.source]:
            raise ValueError(f"a {name} leaves its final state: {left[0]}")
        reached = {initial}
        for _ in self.states:
            reached |= {row.target for row in rows if row.source in reached}
        if unreached := [state for state in self.states if state not in reached]:
            raise ValueError(f"a {name} is never {unreached[0]}")

    def state(self, name: str) -> int:
        """The number of a state."""
        return self.states.index(name)

    def event(self, name: str) -> int:
        """The number of an event."""
        return self.events.index(name)


class Machine:
    """Steps through a table and counts the rows that fire.

    Args:
        table: whose states its things have.

    Attributes:
        fired: how often each row did, in the order of ``table.rows``.
    """

    __slots__ = ("_rows", "_targets", "_width", "fired", "table")

    def __init__(self, table: Table) -> None:
        self.table = table
        self.fired = [0] * len(table.rows)
        self._width = len(table.events)
        self._rows = [-1] * (len(table.states) * self._width)
        self._targets = [table.state(row.target) for row in table.rows]
        for number, row in enumerate(table.rows):
            self._rows[table.state(row.source) * self._width + table.event(row.event)] = number

    def step(self, state: int, event: int) -> int:
        """The next state.

        Raises:
            AssertionError: the table does not know this event in this state: a defect of the scheduler.
        """
        row = self._rows[state * self._width + event]
        if row < 0:
            table = self.table
            raise AssertionError(f"a {table.name} that is {table.states[state]} was {table.events[event]}")
        self.fired[row] += 1
        return self._targets[row]
