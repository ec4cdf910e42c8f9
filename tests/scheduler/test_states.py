"""Transition tables: what they refuse to be, and what stepping through one counts."""

import pytest

from mrcore.scheduler import attempt, job, stage, task, worker
from mrcore.scheduler.states import Machine, Row, Table

DOOR = [
    Row("shut", "pushed", "open", "it swings"),
    Row("open", "pushed", "open", "it is open already"),
    Row("open", "pulled", "shut", "it swings back"),
    Row("open", "burnt", "gone", "nothing is left"),
]


def test_states_and_events_are_numbered_as_the_rows_name_them():
    table = Table("door", "shut", ("gone",), DOOR)
    assert (table.states, table.events) == (("shut", "open", "gone"), ("pushed", "pulled", "burnt"))
    assert [table.state("gone"), table.event("pushed")] == [2, 0]


def test_a_machine_steps_and_counts():
    machine = Machine(Table("door", "shut", ("gone",), DOOR))
    state = 0
    for event in (0, 0, 1, 0, 2):
        state = machine.step(state, event)
    assert (state, machine.fired) == (2, [2, 1, 1, 1])


def test_what_a_table_does_not_know_is_a_defect_and_says_so():
    machine = Machine(Table("door", "shut", ("gone",), DOOR))
    with pytest.raises(AssertionError, match="a door that is shut was pulled"):
        machine.step(0, 1)
    assert machine.fired == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "rows, why",
    [
        ([*DOOR, Row("open", "pushed", "shut", "")], "begin alike"),
        ([*DOOR, Row("gone", "pushed", "shut", "")], "leaves its final state"),
        ([*DOOR, Row("ajar", "pushed", "open", "")], "never ajar"),
    ],
)
def test_a_table_that_makes_no_sense(rows, why):
    with pytest.raises(ValueError, match=why):
        Table("door", "shut", ("gone",), rows)


@pytest.mark.parametrize("kind", [attempt, job, stage, task, worker], ids=["attempt", "job", "stage", "task", "worker"])
def test_every_row_of_ours_says_why_and_every_state_fits_a_byte(kind):
    assert all(row.why for row in kind.TABLE.rows)
    assert len(kind.TABLE.states) < 256
