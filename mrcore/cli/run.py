"""``mrcore run``: a job of the user's own, from a Python file."""

from __future__ import annotations

import argparse
import contextlib
import os
import stat
import sys

from mrcore.cli.options import add_common, add_verb, check_streams, options_of, progress_of, sink_of
from mrcore.cli.output import check_open, write_note, write_out
from mrcore.config import SPLIT_MIN
from mrcore.errors import InputError, UsageError, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, ModuleType
    from typing import Any

    from mrcore.runtime.pipeline import Pipeline, PipelinePlan
    from mrcore.runtime.pipeline_run import PipelineResult

_LOOKS_MAX = 16  # inputs that are looked at before the job is planned
_EXAMPLES = """\
  mrcore run count.py -o counts/ corpus/
  mrcore run jobs.py:Grep corpus/ -- 'err(or)?'

JOB.py[:NAME] names a class derived from mrcore.MapReduce, or a function that takes the inputs and
returns a dataset; NAME may be left out where there is one class. What follows -- is given to the
class, or to the function behind the inputs, as str. Modules beside JOB.py can be imported.
"""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb."""
    parser = add_verb(
        verbs,
        "run",
        short="run a job of your own, written in Python",
        about="Runs a MapReduce class or a pipeline function and prints 'key TAB value' lines, sorted by key.",
        examples=_EXAMPLES,
    )
    parser.set_defaults(run=run, job_arguments=[])
    parser.add_argument("job", metavar="JOB.py[:NAME]", help="the job")
    parser.add_argument("paths", nargs="*", metavar="PATH", default=[], help="input (default: standard input)")
    add_common(parser)
    parser.add_argument("--verify", action="store_true", help="look for values that show a combiner is not associative")


def run(arguments: argparse.Namespace, closed: set[int]) -> int:
    """Runs the verb; the exit status."""
    _start_workers(arguments)
    from mrcore.runtime.pipeline import plan_pipeline
    from mrcore.runtime.pipeline_run import run_pipeline

    if arguments.json and arguments.output is None:
        raise UsageError("--json without a place for the result: add -o PATH")
    check_streams(arguments, closed)
    if arguments.output is None or arguments.json or arguments.dry_run:
        check_open()
    progress = progress_of(arguments)
    try:
        with _prints_are_notes() as stdout:
            pipeline = load_job(arguments)
            options = options_of(arguments)._replace(job_file=_check_of(arguments))
            if not arguments.dry_run:
                result = run_pipeline(pipeline, options, sink_of(arguments, stdout), progress)
    finally:
        if progress is not None:
            progress.clear()
    if arguments.dry_run:
        write_out(_show_plan(pipeline, plan_pipeline(pipeline, options)))
        return 0
    if arguments.json:
        _print_json(pipeline, result)
    if arguments.verbose:
        _say(result)
    return 0


@contextlib.contextmanager
def _prints_are_notes() -> Iterator[int]:
    """What users' functions and their programs print goes to standard error; gives a descriptor for the result."""
    stdout = os.dup(1)
    try:
        os.dup2(2, 1)
        try:
            with contextlib.redirect_stdout(sys.stderr):
                yield stdout
        finally:
            os.dup2(stdout, 1)
    finally:
        os.close(stdout)


def _check_of(arguments: argparse.Namespace) -> str:
    """The checksum of the job's file, where it may be asked for."""
    from mrcore.runtime.identity import check_of_job_file

    return check_of_job_file(os.fsencode(_job_and_name(arguments)[0])) if arguments.output is not None else ""


def _job_and_name(arguments: argparse.Namespace) -> tuple[str, str]:
    path, _, name = arguments.job.rpartition(":") if not os.path.exists(arguments.job) else (arguments.job, "", "")
    return (path, name) if path else (name, "")


def load_job(arguments: argparse.Namespace) -> Pipeline:
    """The pipeline of a job in a file.

    Raises:
        InputError: the file is not there.
        UsageError: it has no such job, or the job does not take these arguments.
        UserCodeError: the file, or the job's constructor, raises.
    """
    from mrcore.dataflow.mapreduce import MapReduce, pipeline_of
    from mrcore.dataflow.python_dataset import PythonDataset
    from mrcore.engine.user_code import user_code

    path, name = _job_and_name(arguments)
    if not os.path.isfile(path):
        raise InputError(f"cannot read: {shown(path)}: no such file: name a Python file with a job in it")
    with user_code(lambda: f"while {shown(path)} was loaded"):
        module = _load(path, arguments.job_arguments)
    found = _find(module, name, path)
    name = getattr(found, "__name__", name)
    inputs = tuple(arguments.paths)
    with user_code(lambda: f"while {name} of {shown(path)} was made"):
        try:
            if isinstance(found, type):
                job = found(*arguments.job_arguments)
                return pipeline_of(job, inputs, verify=arguments.verify)
            made = found(list(inputs), *arguments.job_arguments)
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is None:  # the call itself
                raise UsageError(f"{name} does not take these arguments: {error}: see behind --") from error
            raise
    if isinstance(made, MapReduce):
        return pipeline_of(made, inputs, verify=arguments.verify)
    if not isinstance(made, PythonDataset):
        raise UsageError(f"{name} returned {type(made).__name__}: return a dataset not yet run")
    return (made.verify() if arguments.verify else made).pipeline(name)


def _start_workers(arguments: argparse.Namespace) -> None:
    """Has worker processes load while we load the job and plan it, where it will plainly have some."""
    if arguments.dry_run or arguments.workers == 0 or not arguments.paths or "-" in arguments.paths:
        return
    try:
        found = [os.stat(path) for path in arguments.paths[:_LOOKS_MAX]]
    except (OSError, ValueError):  # a pattern, or nothing
        return
    if not all(stat.S_ISREG(one.st_mode) or stat.S_ISDIR(one.st_mode) for one in found):
        return  # who reads a stream is started for it
    from mrcore import resources
    from mrcore.runtime.local_cluster import local_cluster

    cores, size = resources.cores(), sum(one.st_size for one in found)
    most = min(cores, arguments.workers or cores, 1 + size // SPLIT_MIN)
    cluster = local_cluster()
    cluster.soon(lambda: cluster.prepare(most, None))


def _load(path: str, arguments: list[str]) -> ModuleType:
    import importlib.util
    from importlib.machinery import SourceFileLoader

    import cloudpickle

    class Uncached(SourceFileLoader):
        """What stands in the file now, as of a script: bytecode of an edit ago has no say, and none is left behind."""

        def get_code(self, fullname: str) -> CodeType:
            return self.source_to_code(self.get_data(self.path), self.path)

    if not path.endswith(".py"):
        raise UsageError(f"not a Python file: {shown(path)}: name one that ends in .py")
    stem = os.path.splitext(os.path.basename(path))[0]
    name = stem if stem.isidentifier() and stem not in sys.modules else f"job_file_{len(sys.modules)}"
    full = os.path.abspath(path)  # tracebacks tell users' files by it, whatever folder the job goes to
    loader = Uncached(name, full)
    spec = importlib.util.spec_from_file_location(name, full, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, os.path.dirname(full))
    sys.argv = [path, *arguments]
    loader.exec_module(module)
    cloudpickle.register_pickle_by_value(module)  # a worker need not find it under its name
    return module


def _find(module: ModuleType, name: str, path: str) -> Callable[..., Any]:
    from mrcore.dataflow.mapreduce import MapReduce

    if name:
        found = getattr(module, name, None)
        if not callable(found):
            raise UsageError(f"no class or function is called {name}: {shown(path)}: name one of its own")
        named: Callable[..., Any] = found
        return named
    jobs = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, MapReduce) and value.__module__ == module.__name__
    ]
    if len(jobs) != 1:
        some = ", ".join(job.__name__ for job in jobs) or "none"
        raise UsageError(f"which job: {shown(path)} has {some}: write {shown(path)}:NAME")
    return jobs[0]


def _show_plan(pipeline: Pipeline, plan: PipelinePlan) -> str:
    from mrcore.dataflow.explain import explain_pipeline

    return explain_pipeline(pipeline, plan)


def _print_json(pipeline: Pipeline, result: PipelineResult) -> None:
    import json

    plan = result.plan
    about: dict[str, object] = {
        "job": pipeline.describe(),
        "workers": plan.workers,
        "counters": result.counters,
        "memory": {"budget": plan.memory, "task_share": plan.share, "task_peak": result.used["memory_peak"]},
        "tmp": {"limit": plan.tmp_limit, "peak": result.used["tmp_peak"]},
        "seconds": {phase: round(seconds, 6) for phase, seconds in result.seconds.items()},
        "outputs": list(result.outputs),
    }
    write_out(json.dumps(about))


def _say(result: PipelineResult) -> None:
    counters, seconds = result.counters, result.seconds
    rate = counters["bytes_in"] / 1e6 / max(seconds["total"], 1e-9)
    write_note(
        f"mrcore: {counters['records_in']:,} records, {counters['records_out']:,} results; "
        f"{counters['bytes_in']:,} bytes in {seconds['total']:.3f} s ({rate:,.1f} MB/s): "
        f"map {seconds.get('map', 0):.3f}, reduce {seconds.get('reduce', 0):.3f}; {counters['spills']:,} spills, "
        f"{result.used['tmp_peak']:,} bytes of intermediate files"
    )
