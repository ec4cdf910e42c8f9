"""What a heartbeat says of the attempts that it lists, and of those that it does not."""

from mrcore.scheduler import actions as do
from mrcore.scheduler import events as of
from mrcore.scheduler.job import StageSpec

S = 1_000_000_000


def test_an_attempt_that_is_not_listed_is_dropped_though_strangers_are_listed_in_its_place(told):
    told.worker("w")
    told.submit(StageSpec(1))
    (attempt,) = told.running
    stranger = attempt._replace(job="ghost")
    for second in range(1, 11):
        told.now_ns = second * S
        told.tell(of.HeartbeatReceived("w", told.workers["w"], ((stranger, 1),)))
        cancelled = [cancel.attempt for cancel in told.said(do.CancelAttempt)]
        assert cancelled == ([stranger] if second < 10 else [stranger, attempt])
    assert told.placed() == [("w", 0, 0)]
