"""An attempt as a simulated worker runs it: inputs are fetched and looked at, time passes, an output is written.

What befalls an attempt by itself is drawn when it begins: it fails, hangs, meets a bad record, or is forgotten. It ends
once: finished, failed, or cancelled by its process.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import xxhash

from mrcore.runtime.cluster_translation import encode_check, parse_output_name
from mrcore.testing.simulation.computation import SPEC, compute
from mrcore.testing.simulation.scenario import number_at, position_of
from mrcore.wire import cluster_fields as fields
from mrcore.wire import cluster_messages as wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mrcore.testing.simulation.clock import Timer
    from mrcore.testing.simulation.process import Process
    from mrcore.testing.simulation.stream import End

S = 1_000_000_000
RETRY_NS = 1_500_000_000
"""After this an input that could not be fetched is tried again."""

_FETCH_NS = 20_000_000


class Execution:
    """One attempt in one process.

    Attributes:
        attempt: its name, as on the wire.
        generation: that it was started under, and that it speaks under.
        end: of the connection on which it was started.
        name: of its output.
    """

    __slots__ = (
        "_failure", "_forgets", "_got", "_hangs", "_is_over", "_known", "_process", "_skip", "_spec", "_started_ns",
        "_timer", "_total", "_work_ns", "attempt", "end", "generation", "name",
    )  # fmt: skip

    def __init__(self, process: Process, message: wire.StartAttempt, name: str, end: End) -> None:
        plan, rng = process.plan, process.rng
        self._process, self._total = process, message.inputs_total
        self.attempt, self.generation, self.name, self.end = message.attempt, message.generation, name, end
        self._spec = SPEC.decode(message.spec)
        self._skip = [number_at(position) for position in message.skip]
        self._known: dict[tuple[int, int], fields.InputFile] = {}
        self._got: dict[tuple[int, int], bytes] = {}
        self._work_ns = self._spec.duration_ns * plan.slowness
        self._started_ns = -1  # when it had its inputs
        drawn = rng.random()
        self._failure = rng.choice(plan.failures) if drawn < plan.fails else None
        self._hangs = plan.fails <= drawn < plan.fails + plan.hangs
        self._forgets = rng.random() < plan.forgets
        self._timer: Timer | None = None
        self._is_over = False
        self.add_inputs(message.inputs)
        if not self._total:
            self._work()

    def add_inputs(self, inputs: Iterable[fields.InputFile]) -> None:
        """It is told of inputs; of one task the last counts."""
        for file in inputs:
            _, stage, task, _ = parse_output_name(file.name)
            self._known[stage, task] = file
        if self._started_ns < 0 and self._timer is None and not self._is_over and len(self._known) > len(self._got):
            self._after(_FETCH_NS, self._fetch)

    def stop(self) -> None:
        """It does nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._is_over = True

    def progress_bytes(self, now_ns: int) -> int:
        """What it says of itself."""
        if self._process.plan.lies:
            self._process.count("lie")
            return self._process.rng.choice((0, 1, self._spec.input_bytes, fields.INT64_MAX))
        if self._started_ns < 0:
            return self._spec.input_bytes * len(self._got) // (2 * self._total)
        if self._hangs:
            return self._spec.input_bytes // 2
        done_ns = self._work_ns + min(self._work_ns, now_ns - self._started_ns)
        return self._spec.input_bytes * done_ns // (2 * self._work_ns)

    def _after(self, delay_ns: int, callback: Callable[[], None]) -> None:
        self._timer = self._process.after(delay_ns, self._go_on, callback)

    def _go_on(self, callback: Callable[[], None]) -> None:
        if not self._is_over:  # while its process was stalled, perhaps
            self._timer = None
            callback()

    def _fetch(self) -> None:
        process, got = self._process, self._got
        failed = False
        for key, file in self._known.items():
            if key not in got:
                found = process.cluster.fetch(process.name, file)
                if isinstance(found, bytes):
                    got[key] = found
                    continue
                failed = True
                process.count(f"fetch_{found.value}")
                holder = file.addresses[0].partition(":")[0] if file.addresses else None
                process.say(wire.OutputLost(self.generation, file.name, found, holder), self.end)
        if len(got) == self._total:
            self._work()
        elif failed and process.rng.random() < 0.1:
            self._fail(fields.FailureClass.CORRUPT_INPUT)
        elif failed:
            self._after(RETRY_NS, self._fetch)

    def _work(self) -> None:
        process, work_ns = self._process, self._work_ns
        self._started_ns = process.cluster.clock.now_ns
        if self._forgets:
            process.count("forget")
            process.finished(self)
        elif self._hangs:
            process.count("hang")
        elif self._failure is not None:
            self._after(process.rng.randrange(work_ns), self._fail_by_itself)
        elif bad := [number for number in self._spec.bad if number not in self._skip]:
            self._after(work_ns * bad[0] // self._spec.records, self._meet_bad_record)
        else:
            self._after(work_ns, self._finish)

    def _fail_by_itself(self) -> None:
        assert self._failure is not None
        self._fail(fields.FailureClass(self._failure.value))

    def _meet_bad_record(self) -> None:
        bad = next(number for number in self._spec.bad if number not in self._skip)
        self._process.count("bad_record")
        self._fail(fields.FailureClass.USER_CODE, position_of(bad))

    def _finish(self) -> None:
        process = self._process
        data, counters = compute(self._spec, self._got, self._skip)
        try:
            process.write_output(self.name, data, self._spec.is_final)
        except OSError as error:
            process.count("disk_full" if error.errno == errno.ENOSPC else "disk_error")
            is_full = error.errno == errno.ENOSPC
            self._fail(fields.FailureClass.DISK_FULL if is_full else fields.FailureClass.LOST_WORKER)
            return
        if not process.alive:
            return  # its machine lost its power in the midst of it
        check = encode_check(xxhash.xxh3_64_intdigest(data))
        if self._known and process.rng.random() < process.plan.slanders:
            victim = process.rng.choice(list(self._known.values()))
            process.after(process.rng.randint(1, 8 * S), process.slander, victim.name, self.generation)
        process.finished(self)
        message = wire.AttemptFinished(self.attempt, self.generation, self.name, len(data), check, counters)
        process.say(message, self.end)

    def _fail(self, failure: fields.FailureClass, record: fields.RecordPosition | None = None) -> None:
        process = self._process
        process.count(f"fail_{failure.value}")
        process.finished(self)
        text = f"simulated: {failure.value}"
        process.say(wire.AttemptFailed(self.attempt, self.generation, failure, "", text, record=record), self.end)
