"""What counts against a task, and what does not."""

from mrcore.scheduler import actions as do
from mrcore.scheduler import events as of
from mrcore.scheduler.job import StageSpec

S = 1_000_000_000
EARLY = (StageSpec(2), StageSpec(1, (0,), fetch_from_percent=0))


def pass_seconds(told, seconds):
    """Maps read on, the reducer reads nothing; which attempts are timed out, after how long."""
    begun_ns, late = told.now_ns, []
    for _ in range(seconds):
        told.now_ns += S
        running = tuple((name, told.now_ns if name.stage == 0 else 0) for name in told.running)
        told.tell(of.HeartbeatReceived("w", told.workers["w"], running))
        told.tell(of.TimePassed())
        late += [((told.now_ns - begun_ns) // S, cancel.attempt) for cancel in told.said(do.CancelAttempt)]
    return late


def test_the_time_limit_of_a_reader_begins_when_its_inputs_are_there(told):
    told.worker("w", slots=3)
    told.submit(*EARLY, timeout_ns=5 * S)
    first, second, reader = told.running
    assert pass_seconds(told, 60) == [], "it waits for maps, and that is not its fault"
    told.finish(first)
    told.finish(second)
    assert pass_seconds(told, 6) == [(6, reader)]


def test_the_time_limit_forgives_what_the_coordinator_slept(told):
    told.worker("w", slots=3)
    told.submit(*EARLY, timeout_ns=5 * S)
    first, second, reader = told.running
    pass_seconds(told, 60)
    told.finish(first)
    told.finish(second)
    pass_seconds(told, 1)
    told.now_ns += 9 * S
    assert pass_seconds(told, 5) == [(5, reader)]
