"""What every executor keeps: a suite of tests for whoever writes one (:mod:`mrcore.executors.base`).

It is run by pytest, from a class of one's own with a fixture that makes executors::

    class TestMine(ExecutorContract):
        @pytest.fixture
        def make_executor(self):
            return lambda folder: MyExecutor(folder)

``make_executor(folder)`` answers an executor that has not been entered, with ``folder``, a directory as bytes that is
there and empty, as the place of its outputs. It may be called more than once in a test. Each test enters what it
makes, and leaves it.

Assertions say more when they fail with ``pytest.register_assert_rewrite("mrcore.testing.executor_contract")``.

The yardstick is :class:`mrcore.executors.inline.Inline`: an executor writes the bytes that it writes.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
from collections import Counter

import msgspec

from mrcore import resources
from mrcore.engine.program import Program, write_program
from mrcore.engine.spec import Keys, MapSpec, PythonMapSpec, ReduceSpec, Span
from mrcore.errors import CorruptionError, InputError, UsageError, UserCodeError
from mrcore.executors.base import Merge, Step
from mrcore.executors.inline import Inline
from mrcore.storage.partfile import file_check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import Any

    from mrcore.engine.spec import TaskResult
    from mrcore.executors.base import Executor

    MakeExecutor = Callable[[bytes], Executor]

MEMORY = 16 << 20
PARTITIONS = 3


class ExecutorContract:
    """See the module."""

    # ---- results ---------------------------------------------------------------------------

    def test_each_task_has_one_result_and_the_second_half_follows_the_first(
        self, make_executor: MakeExecutor, tmp_path: Path
    ) -> None:
        """Tasks end in any order; halves do not mix."""
        work = Work(tmp_path)
        with make_executor(work.folder) as executor:
            results = list(executor.run(work.count_step(7)))
        assert sorted((half, result.task) for half, result in results) == [
            *((0, task) for task in range(7)),
            *((1, task) for task in range(PARTITIONS)),
        ]
        assert [half for half, _ in results] == [0] * 7 + [1] * PARTITIONS

    def test_a_part_has_the_bytes_and_the_checksum_that_its_result_says(
        self, make_executor: MakeExecutor, tmp_path: Path
    ) -> None:
        """It can be read when its result is there, and is right."""
        work = Work(tmp_path)
        written = b""
        with make_executor(work.folder) as executor:
            for half, result in executor.run(work.count_step(4)):
                if half == 1:
                    assert file_check(result.output) == (result.bytes_out, result.check)
                    written += read(result.output)
        assert sorted(written.splitlines()) == work.answer()

    def test_parts_stay_and_nothing_else_does(self, make_executor: MakeExecutor, tmp_path: Path) -> None:
        """What the first half wrote is gone with the step, and sockets and the like with the executor."""
        work = Work(tmp_path)
        with make_executor(work.folder) as executor:
            parts = [result.output for half, result in executor.run(work.count_step(4)) if half == 1]
        assert len(set(parts)) == PARTITIONS
        assert sorted(work.files()) == sorted(parts)

    def test_what_the_first_half_wrote_stays_if_it_is_to_be_kept(
        self, make_executor: MakeExecutor, tmp_path: Path
    ) -> None:
        """It is the caller's to remove."""
        work = Work(tmp_path)
        with make_executor(work.folder) as executor:
            results = [result for _, result in executor.run(work.count_step(4)._replace(keep=True))]
        assert sorted(work.files()) == sorted(result.output for result in results)
        for result in results:
            assert file_check(result.output) == (result.bytes_out, result.check)

    def test_a_step_of_one_half_leaves_its_files(self, make_executor: MakeExecutor, tmp_path: Path) -> None:
        """They are final."""
        work = Work(tmp_path)
        with make_executor(work.folder) as executor:
            results = [result for _, result in executor.run(Step("map", work.map_specs(3)))]
        assert sorted(work.files()) == sorted(result.output for result in results)
        for result in results:
            assert file_check(result.output) == (result.bytes_out, result.check)

    def test_no_tasks_are_done_at_once(self, make_executor: MakeExecutor, tmp_path: Path) -> None:
        """Nothing is yielded, and nothing is left."""
        work = Work(tmp_path)
        with make_executor(work.folder) as executor:
            assert list(executor.run(Step("map", ()))) == []
        assert work.files() == []

    def test_a_second_half_of_nothing_still_has_its_parts(self, make_executor: MakeExecutor, tmp_path: Path) -> None:
        """A merge of no files writes empty parts."""
        work = Work(tmp_path)
        with make_executor(work.folder) as executor:
            results = list(executor.run(work.count_step(0)))
        assert sorted((half, result.task, result.bytes_out) for half, result in results) == [
            (1, task, 0) for task in range(PARTITIONS)
        ]

    def test_it_writes_what_inline_writes(self, make_executor: MakeExecutor, tmp_path: Path) -> None:
        """Byte for byte, and its results say the same."""
        said = []
        for name, make in (("inline", Inline), ("this one", make_executor)):
            work = Work(tmp_path / name, text=tmp_path / "in")
            with make(work.folder) as executor:
                results = list(executor.run(work.count_step(5)._replace(keep=True)))
            said.append(
                [
                    # What a process holds at most depends on the tasks that it had before.
                    (half, msgspec.structs.replace(result, output=b"", memory=0), read(result.output))
                    for half, result in sorted(results, key=lambda each: (each[0], each[1].task))
                ]
            )
        assert said[0] == said[1]

    def test_the_second_half_is_made_of_the_results_of_the_first_in_task_order(
        self, make_executor: MakeExecutor, tmp_path: Path
    ) -> None:
        """And once."""
        work = Work(tmp_path)
        asked: list[list[int]] = []

        def specs(results: Sequence[TaskResult]) -> Sequence[ReduceSpec]:
            asked.append([result.task for result in results])
            return work.reduce_specs()

        with make_executor(work.folder) as executor:
            list(executor.run(Step("map", work.map_specs(6), Merge("reduce", PARTITIONS, specs))))
        assert asked == [list(range(6))]

    def test_steps_follow_each_other_and_do_not_share_files(self, make_executor: MakeExecutor, tmp_path: Path) -> None:
        """A later step may read what an earlier one wrote."""
        work = Work(tmp_path)
        with make_executor(work.folder) as executor:
            maps = [result for _, result in executor.run(Step("map", work.map_specs(3)))]
            once = [result.output for half, result in executor.run(work.count_step(2)) if half == 1]
            runs = tuple(result.output for result in sorted(maps, key=lambda result: result.task))
            again = [result.output for _, result in executor.run(Step("reduce", work.reduce_specs(runs)))]
        assert sorted(work.files()) == sorted([*(result.output for result in maps), *once, *again])
        assert lines_of(once) == lines_of(again) == work.answer()

    # ---- what is said on the way -------------------------------------------------------------

    def test_progress_adds_up_to_the_input(self, make_executor: MakeExecutor, tmp_path: Path) -> None:
        """When the step is over; the second half reads no input."""
        work = Work(tmp_path)
        told: list[int] = []
        with make_executor(work.folder) as executor:
            results = list(executor.run(work.count_step(5), told.append))
        assert sum(told) == sum(result.bytes_in for half, result in results if half == 0) == len(work.text)

    def test_what_functions_say_is_heard_in_the_calling_thread(
        self, make_executor: MakeExecutor, tmp_path: Path
    ) -> None:
        """Kind and text."""
        work = Work(tmp_path)
        heard: list[tuple[str, str]] = []
        with make_executor(work.folder) as executor:
            step = Step("map", work.python_specs(2, _talkative))
            list(executor.run(step, noted=lambda kind, text: heard.append((kind, text))))
        assert sorted(heard) == [("log", "task 0 was here"), ("log", "task 1 was here")]

    # ---- failures ------------------------------------------------------------------------------

    def test_an_error_ends_the_step_with_its_own_kind_and_text(
        self, make_executor: MakeExecutor, tmp_path: Path
    ) -> None:
        """As if it had been raised here."""
        work = Work(tmp_path)
        specs = work.map_specs(4)
        specs[2] = msgspec.structs.replace(specs[2], spans=(Span(b"/missing\n", 0, 1, 1),))
        with make_executor(work.folder) as executor, fails(InputError) as error:
            list(executor.run(Step("map", specs)))
        assert str(error[0]) == "cannot read: /missing\\n: no such file or directory"

    def test_an_error_of_a_function_has_its_traceback(self, make_executor: MakeExecutor, tmp_path: Path) -> None:
        """It is where its author looks."""
        work = Work(tmp_path)
        with make_executor(work.folder) as executor, fails(UserCodeError) as error:
            list(executor.run(Step("map", work.python_specs(1, _failing))))
        assert "ValueError: no such luck" in str(error[0])
        assert isinstance(error[0], UserCodeError)
        assert error[0].user_traceback.endswith("ValueError: no such luck")

    def test_a_failed_task_leaves_no_file(self, make_executor: MakeExecutor, tmp_path: Path) -> None:
        """Its output is not there, in part or whole."""
        work = Work(tmp_path)
        bad = msgspec.structs.replace(work.reduce_specs()[0], runs=(work.path,))
        with make_executor(work.folder) as executor, fails(CorruptionError) as error:
            list(executor.run(Step("reduce", [bad])))
        assert "not a run file" in str(error[0])
        assert work.files() == []

    def test_an_error_while_the_second_half_is_made_is_the_steps(
        self, make_executor: MakeExecutor, tmp_path: Path
    ) -> None:
        """The same object or one like it."""
        work = Work(tmp_path)

        def refuse(results: Sequence[TaskResult]) -> Sequence[ReduceSpec]:
            raise UsageError("these results do not fit together")

        with make_executor(work.folder) as executor, fails(UsageError) as error:
            list(executor.run(Step("map", work.map_specs(3), Merge("reduce", PARTITIONS, refuse))))
        assert str(error[0]) == "these results do not fit together"

    def test_an_error_of_progress_ends_the_step(self, make_executor: MakeExecutor, tmp_path: Path) -> None:
        """It passes as it is, Ctrl-C too."""
        work = Work(tmp_path)

        def stop(count: int) -> None:
            raise KeyboardInterrupt

        with make_executor(work.folder) as executor, fails(KeyboardInterrupt):
            list(executor.run(work.count_step(3), stop))
        assert work.is_quiet()

    def test_an_error_of_whoever_takes_the_results_ends_the_step(
        self, make_executor: MakeExecutor, tmp_path: Path
    ) -> None:
        """Tasks that have not begun are not run."""
        work = Work(tmp_path)
        with fails(ZeroDivisionError), make_executor(work.folder) as executor:
            for _, result in executor.run(Step("map", [*work.map_specs(3), work.endless_spec(3)])):
                result.task // 0
        assert work.is_quiet()

    # ---- leaving ---------------------------------------------------------------------------------

    def test_who_leaves_early_leaves_nothing_running(self, make_executor: MakeExecutor, tmp_path: Path) -> None:
        """Even where a task would never end."""
        work = Work(tmp_path)
        before = resources.children(os.getpid())
        with make_executor(work.folder) as executor:
            running = executor.run(Step("map", [*work.map_specs(3), work.endless_spec(3)]))
            next(iter(running))
        assert set(resources.children(os.getpid())) <= set(before)
        assert work.is_quiet()

    def test_one_that_was_never_asked_for_anything_leaves_nothing(
        self, make_executor: MakeExecutor, tmp_path: Path
    ) -> None:
        """Nor does asking it to grow start anything."""
        work = Work(tmp_path)
        before = resources.children(os.getpid())
        with make_executor(work.folder) as executor:
            workers = executor.workers
            executor.grow(workers)
            assert executor.workers == workers
        assert set(resources.children(os.getpid())) <= set(before)
        assert work.files() == []


class Work:
    """A directory for outputs, and beside it a text that tasks read.

    Args:
        place: a directory; made if it is not there.
        text: the file with the text, if it is to be another one than the directory's own; made if it is not there.
    """

    def __init__(self, place: Path, text: Path | None = None) -> None:
        self.folder = os.fsencode(place / "work")
        self.path = os.fsencode(text or place / "in")
        self._place = os.fsencode(place)
        os.makedirs(self.folder)
        rng = random.Random(5)
        words = [b"%x" % rng.randrange(2000) for _ in range(60_000)]
        self.text = b" ".join(words)
        write(self.path, self.text)

    def files(self) -> list[bytes]:
        """What is in the directory for outputs."""
        return [os.path.join(self.folder, name) for name in os.listdir(self.folder)]

    def is_quiet(self) -> bool:
        """Whether no process of this machine has anything open in the directory for outputs."""
        return not any(target.startswith(self.folder) for target in _open_anywhere())

    def answer(self) -> list[bytes]:
        """The lines of all parts, sorted."""
        return sorted(b"%s\t%d" % pair for pair in Counter(self.text.split()).items())

    def map_specs(self, count: int) -> list[MapSpec]:
        """Tasks that count the text's words together."""
        size = len(self.text)
        cuts = [size * index // max(1, count) for index in range(count + 1)]
        return [
            MapSpec(
                task, b"", (Span(self.path, start, stop, size),), Keys(), PARTITIONS, None, MEMORY, sync=False
            )
            for task, (start, stop) in enumerate(itertools.pairwise(cuts))
        ]  # fmt: skip

    def reduce_specs(self, runs: tuple[bytes, ...] = ()) -> list[ReduceSpec]:
        """Tasks that write lines."""
        return [ReduceSpec(task, b"", runs, MEMORY, sync=False) for task in range(PARTITIONS)]

    def count_step(self, tasks: int) -> Step:
        """The whole word count."""
        return Step("map", self.map_specs(tasks), Merge("reduce", PARTITIONS, lambda results: self.reduce_specs()))

    def endless_spec(self, task: int) -> MapSpec:
        """A task that waits for a pipe that nobody writes to."""
        fifo = os.path.join(self._place, b"fifo-%d" % task)
        os.mkfifo(fifo)
        return MapSpec(task, b"", (Span(fifo, 0, 0, -1),), Keys("ascii"), PARTITIONS, None, MEMORY, sync=False)

    def python_specs(self, count: int, mapper: Callable[..., Any]) -> list[PythonMapSpec]:
        """Tasks that call a function for the lines of the text."""
        code = write_program(os.path.join(self._place, b"code"), Program((("map_record", mapper),)))
        size = len(self.text)
        return [
            PythonMapSpec(
                task, b"", code, MEMORY, (Span(self.path, 0, size, size),), emit="lines", sync=False
            )
            for task in range(count)
        ]  # fmt: skip


def _open_anywhere() -> Iterator[bytes]:
    """What the descriptors of all processes lead to, as far as they may be looked at."""
    for pid in os.listdir(b"/proc"):
        with contextlib.suppress(OSError):
            for fd in os.listdir(b"/proc/%s/fd" % pid):
                with contextlib.suppress(OSError):
                    yield os.readlink(b"/proc/%s/fd/%s" % (pid, fd))


def _talkative(record: Any, ctx: Any) -> Iterator[tuple[int, int]]:
    ctx.log(f"task {ctx.task} was here")
    yield 1, 1


def _failing(record: Any, ctx: Any) -> Any:
    raise ValueError("no such luck")


def read(path: bytes) -> bytes:
    """The bytes of a file."""
    with open(path, "rb") as file:
        return file.read()


def write(path: bytes, data: bytes) -> None:
    """Writes a file."""
    with open(path, "wb") as file:
        file.write(data)


def lines_of(paths: Sequence[bytes]) -> list[bytes]:
    """The lines of some files, sorted."""
    return sorted(b"".join(map(read, paths)).splitlines())


@contextlib.contextmanager
def fails(kind: type[BaseException]) -> Iterator[list[BaseException]]:
    """Runs the body, which must raise this; a list that holds the error then."""
    raised: list[BaseException] = []
    try:
        yield raised
    except kind as error:
        assert type(error) is kind, f"{error!r} is not just a {kind.__name__}"
        raised.append(error)
    else:
        raise AssertionError(f"no {kind.__name__} was raised")
