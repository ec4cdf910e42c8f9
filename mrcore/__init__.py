"""mrcore: MapReduce and streams over big corpora, native kernels driven from Python.

>>> import mrcore as mr
>>> counts = mr.read_text("corpus/").words(lower=True).count()
>>> counts.top(20).collect()                          # [(b"the", 12345), ...]
>>> counts.write_tsv("out/", executor=mr.Local(workers=4))

The names below are loaded when they are first used, so that importing mrcore costs nothing.
"""

from __future__ import annotations

__version__ = "0.1.0"

_HOMES = {
    "read_text": "mrcore.dataflow.dataset",
    "Inline": "mrcore.dataflow.executors",
    "Local": "mrcore.dataflow.executors",
    "JobResult": "mrcore.runtime.job",
    "Context": "mrcore.engine.context",
    "MapReduce": "mrcore.dataflow.mapreduce",
    "run": "mrcore.dataflow.mapreduce",
    "from_items": "mrcore.dataflow.python_dataset",
    "PipelineResult": "mrcore.runtime.pipeline_run",
    **dict.fromkeys(
        ("Aggregate", "Collect", "Count", "First", "Max", "Mean", "Min", "Sum", "TopK"), "mrcore.engine.aggregates"
    ),
    **dict.fromkeys(
        (
            "MrcoreError", "UsageError", "InputError", "BadRecordError", "OutputExistsError", "BudgetError",
            "DiskFullError", "UserCodeError", "SerializationError", "CorruptionError", "WorkerLostError",
            "JobCancelledError", "ProtocolError", "AuthenticationError",
        ),
        "mrcore.errors",
    ),
}  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.dataflow.dataset import read_text as read_text
    from mrcore.dataflow.executors import Inline as Inline
    from mrcore.dataflow.executors import Local as Local
    from mrcore.dataflow.mapreduce import MapReduce as MapReduce
    from mrcore.dataflow.mapreduce import run as run
    from mrcore.dataflow.python_dataset import from_items as from_items
    from mrcore.engine.aggregates import Aggregate as Aggregate
    from mrcore.engine.aggregates import Collect as Collect
    from mrcore.engine.aggregates import Count as Count
    from mrcore.engine.aggregates import First as First
    from mrcore.engine.aggregates import Max as Max
    from mrcore.engine.aggregates import Mean as Mean
    from mrcore.engine.aggregates import Min as Min
    from mrcore.engine.aggregates import Sum as Sum
    from mrcore.engine.aggregates import TopK as TopK
    from mrcore.engine.context import Context as Context
    from mrcore.errors import AuthenticationError as AuthenticationError
    from mrcore.errors import BadRecordError as BadRecordError
    from mrcore.errors import BudgetError as BudgetError
    from mrcore.errors import CorruptionError as CorruptionError
    from mrcore.errors import DiskFullError as DiskFullError
    from mrcore.errors import InputError as InputError
    from mrcore.errors import JobCancelledError as JobCancelledError
    from mrcore.errors import MrcoreError as MrcoreError
    from mrcore.errors import OutputExistsError as OutputExistsError
    from mrcore.errors import ProtocolError as ProtocolError
    from mrcore.errors import SerializationError as SerializationError
    from mrcore.errors import UsageError as UsageError
    from mrcore.errors import UserCodeError as UserCodeError
    from mrcore.errors import WorkerLostError as WorkerLostError
    from mrcore.runtime.job import JobResult as JobResult
    from mrcore.runtime.pipeline_run import PipelineResult as PipelineResult


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
