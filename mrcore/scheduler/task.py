"""A task: one part of a stage, to be committed once, whatever becomes of its attempts.

A task is no object: there may be millions. Its state is a byte in its stage's array, and all else that is known of it
stands in other arrays at the same index (:class:`mrcore.scheduler.stage.Stage`,
:class:`mrcore.scheduler.ledger.StageLedger`).
"""

from __future__ import annotations

from mrcore.scheduler.states import Row, Table

TABLE = Table(
    "task",
    "pending",
    (),
    [
        Row("pending", "started", "running", "a worker was told to run it"),
        Row("running", "doubled", "running", "a second attempt on another worker, because the first is slow"),
        Row("running", "left to its twin", "running", "one of two attempts ended, and the other goes on"),
        Row("running", "put back", "pending", "its last attempt ended by no fault of its own"),
        Row("running", "paused", "waiting", "its last attempt failed; it is tried again after the back-off"),
        Row("running", "committed", "committed", "the journal names an attempt's output"),
        Row("waiting", "released", "pending", "the back-off is over"),
        Row("committed", "robbed", "pending", "its output is lost, and somebody still has to read it"),
        Row("committed", "robbed unread", "vanished", "its output is lost, and nobody has to read it"),
        Row("vanished", "wanted", "pending", "a reader of its output has to run again"),
    ],
)
PENDING, RUNNING, WAITING, COMMITTED, VANISHED = map(
    TABLE.state, ("pending", "running", "waiting", "committed", "vanished")
)
STARTED, DOUBLED, LEFT, PUT_BACK, PAUSED, COMMIT, RELEASED, ROBBED, ROBBED_UNREAD, WANTED = map(
    TABLE.event,
    (
        "started", "doubled", "left to its twin", "put back", "paused", "committed", "released", "robbed",
        "robbed unread", "wanted",
    ),
)  # fmt: skip
