"""A worker as the scheduler knows it: a lease that its heartbeats renew.

A worker is a name and a generation. A connection has one generation: whoever connects anew registers anew and gets
a new one, its attempts of the old one are over, and what is said under an old one no longer counts. That is the
fence against one that was taken for dead and comes back. What it holds on its disk belongs to the name.
"""

from __future__ import annotations

from mrcore.scheduler.states import Row, Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.scheduler.attempt import Attempt, AttemptId

TABLE = Table(
    "worker",
    "live",
    ("lost", "replaced"),
    [
        Row("live", "heard", "live", "a heartbeat: its lease is renewed"),
        Row("live", "disgraced", "avoided", "its attempts keep failing: it gets no new ones for a time"),
        Row("live", "drained", "draining", "it gets no new attempts, and ends what it runs"),
        Row("live", "silent", "lost", "no heartbeat within the lease"),
        Row("live", "ended", "absent", "its process or its connection ended; its disk may come back with it"),
        Row("live", "registered", "replaced", "it came back before anybody missed it"),
        Row("avoided", "heard", "avoided", "its lease is renewed"),
        Row("avoided", "pardoned", "live", "the time is over, or there is nobody else"),
        Row("avoided", "drained", "draining", "it ends what it runs"),
        Row("avoided", "silent", "lost", "no heartbeat within the lease"),
        Row("avoided", "ended", "absent", "its process or its connection ended"),
        Row("avoided", "registered", "replaced", "it came back before anybody missed it"),
        Row("draining", "heard", "draining", "its lease is renewed"),
        Row("draining", "silent", "lost", "no heartbeat within the lease"),
        Row("draining", "ended", "absent", "as it was asked to, or before its attempts did"),
        Row("draining", "registered", "replaced", "it was started again"),
        Row("absent", "heard", "absent", "a zombie: it is told that its lease is over"),
        Row("absent", "silent", "lost", "it did not come back within the lease: what it alone held is lost"),
        Row("absent", "registered", "replaced", "it is back, and what it held is there again"),
        Row("lost", "heard", "lost", "a zombie: it is told that its lease is over"),
    ],
)
LIVE, AVOIDED, DRAINING, ABSENT, LOST = map(TABLE.state, ("live", "avoided", "draining", "absent", "lost"))
HEARD, DISGRACED, DRAINED, SILENT, ENDED, REGISTERED, PARDONED = map(
    TABLE.event, ("heard", "disgraced", "drained", "silent", "ended", "registered", "pardoned")
)


class Worker:
    """One generation of a worker.

    Attributes:
        name: the same in all generations.
        generation: rises with each registration of any worker; 0 where a journal names one that was not seen yet.
        host: for locality.
        keeps_outputs: what it writes for later stages is on its own disk, and gone with it.
        slots, memory_bytes, cpu_milli: that its attempts may have together.
        free_slots, free_memory_bytes, free_cpu_milli: what new attempts may have.
        attempts: that hold a slot.
        expires_ns: when its lease is over.
        state: of the table.
        failures: attempts that failed since one finished, by the task they were of.
        avoidances: how often it was avoided since it registered.
        avoided_until_ns: when it is pardoned.
    """

    __slots__ = (
        "attempts", "avoidances", "avoided_until_ns", "cpu_milli", "expires_ns", "failures", "free_cpu_milli",
        "free_memory_bytes", "free_slots", "generation", "host", "keeps_outputs", "memory_bytes", "name", "slots",
        "state",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        generation: int,
        host: str = "",
        slots: int = 0,
        memory_bytes: int = 0,
        cpu_milli: int = 0,
        keeps_outputs: bool = True,
    ) -> None:
        self.name, self.generation, self.host, self.keeps_outputs = name, generation, host, keeps_outputs
        self.free_slots, self.free_memory_bytes, self.free_cpu_milli = slots, memory_bytes, cpu_milli
        self.slots, self.memory_bytes, self.cpu_milli = slots, memory_bytes, cpu_milli
        self.attempts: dict[AttemptId, Attempt] = {}
        self.expires_ns = 0
        self.state = LIVE
        self.failures: list[tuple[str, int, int]] = []
        self.avoidances = self.avoided_until_ns = 0
