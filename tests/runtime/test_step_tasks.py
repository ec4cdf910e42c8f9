"""The tasks of a step: whose words the error is in that ends it."""

import queue

import msgspec
import pytest

from mrcore.engine.spec import Span
from mrcore.errors import BudgetError, UserCodeError, WorkerLostError
from mrcore.executors.base import Step
from mrcore.runtime.step_tasks import StepTasks
from mrcore.scheduler.attempt import AttemptId
from mrcore.testing.executor_contract import Work
from mrcore.wire.cluster_fields import AttemptId as WireAttempt
from mrcore.wire.cluster_fields import FailureClass
from mrcore.wire.cluster_messages import AttemptFailed

FIRST, SECOND = AttemptId("p0", 0, 1, 0), AttemptId("p0", 0, 2, 0)


@pytest.fixture
def tasks(tmp_path):
    work = Work(tmp_path)
    return StepTasks("p0", Step("map", work.map_specs(3)), work.folder, None, queue.SimpleQueue())


def failed(attempt, error, text, user_traceback=""):
    return AttemptFailed(WireAttempt(*attempt), 1, FailureClass.BAD_INPUT, error, text, user_traceback, "where")


def test_the_error_is_in_the_words_of_the_attempt_that_ended_the_job_not_of_one_that_failed_after_it(tasks):
    tasks.fail(FIRST, failed(FIRST, "BudgetError", "no room: raise --tmp-limit"))
    tasks.fail(SECOND, failed(SECOND, "UserCodeError", "another one"))
    tasks.end_job("p0", "failed", f"{FIRST}: no room: raise --tmp-limit\nwhere")
    assert type(tasks.error) is BudgetError
    assert str(tasks.error) == "no room: raise --tmp-limit"


def test_the_error_of_a_users_function_has_its_traceback(tasks):
    tasks.fail(SECOND, failed(SECOND, "UserCodeError", "ValueError: 1", "their traceback"))
    tasks.end_job("p0", "failed", f"{SECOND}: ValueError: 1\ntheir traceback")
    assert type(tasks.error) is UserCodeError
    assert tasks.error.user_traceback == "their traceback"


def test_the_end_of_a_process_is_told_with_the_task_that_it_ran(tasks):
    tasks.end_job("p0", "failed", f"{SECOND}: a worker process ended: pid 7, killed by SIGKILL\nno line of the error")
    assert type(tasks.error) is WorkerLostError
    said, _, where = str(tasks.error).partition(", while it ran map task 2 (")
    assert said == "a worker process ended: pid 7, killed by SIGKILL"
    assert where.count("\n") == 0


def test_a_stream_that_would_be_read_again_is_the_error_of_the_attempt_that_read_it(tasks):
    stream = msgspec.structs.replace(tasks.step.tasks[2], spans=(Span(b"-", 0, 0, -1),))
    tasks.step = tasks.step._replace(tasks=[*tasks.step.tasks[:2], stream])
    assert tasks.is_stream
    tasks.spec("p0", 0, 2)
    tasks.fail(FIRST, failed(FIRST, "BudgetError", "of another task"))
    with pytest.raises(WorkerLostError, match="a stream, which cannot be read again"):
        tasks.spec("p0", 0, 2)
    tasks.fail(SECOND, failed(SECOND, "UserCodeError", "ValueError: 1", "their traceback"))
    with pytest.raises(UserCodeError, match="ValueError: 1") as error:
        tasks.spec("p0", 0, 2)
    assert error.value.user_traceback == "their traceback"


def test_the_first_error_counts(tasks):
    for text in ("first", "second"):
        tasks.end_job("p0", "failed", f"{SECOND}: {text}")
    assert str(tasks.error).startswith("first, while it ran map task 2 (")
