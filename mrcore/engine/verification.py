"""``verify=True``: looks for values that a combiner or an aggregate does not treat as it promises.

A map task's groups are samples of real values. Each is combined in several groupings, which must
come to the same result; the first that do not are shown. Finding nothing proves nothing: it is a
test on some values, not on all.
"""

from __future__ import annotations

import copy
import functools
import itertools
import math
from typing import Any

from mrcore.engine.aggregates import Aggregate, Reduce
from mrcore.errors import UserCodeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mrcore.engine.context import Context
    from mrcore.engine.program import Shuffle

VALUES_MAX = 6  # of a group that are tried
SHOWN_MAX = 300  # letters of a value in a counterexample


def verified(shuffle: Shuffle, key: Any, values: Iterable[Any], ctx: Context) -> Iterator[Any]:
    """The values again, after the first of them have been tried.

    Raises:
        UserCodeError: with a counterexample.
    """
    each = iter(values)
    some = list(itertools.islice(each, VALUES_MAX))
    aggregate: object = shuffle.aggregate
    if isinstance(aggregate, Aggregate):
        _check_aggregate(aggregate, key, some)
    elif isinstance(aggregate, Reduce):
        _check_aggregate(_Pairwise(aggregate.function), key, some)
    elif shuffle.combine is not None:
        _check_combine(shuffle, key, some, ctx)
    if len(some) < VALUES_MAX:  # that was all
        return iter(some)
    return itertools.chain(some, each)


class _Pairwise(Aggregate):
    """A function of two values as an aggregate, whose states are values."""

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        super().__init__(None, function, function)

    def fold(self, values: Iterable[Any]) -> Iterable[Any]:
        """One value."""
        return [functools.reduce(self.add, values)]


def _check_combine(shuffle: Shuffle, key: Any, some: list[Any], ctx: Context) -> None:
    ctx = ctx.on_trial()

    def combined(values: list[Any]) -> list[Any]:
        assert shuffle.combine is not None
        return [value for _, value in shuffle.combine(key, iter(copy.deepcopy(values)), ctx)]

    def reduced(values: list[Any]) -> list[Any]:
        made = combined(values)
        return made if shuffle.reduce is None else list(shuffle.reduce(key, iter(made), ctx))

    whole = reduced(some)
    for cut in range(1, len(some)):
        apart = reduced(combined(some[:cut]) + combined(some[cut:]))
        if not _same(whole, apart, exact=True):
            raise _broken(
                "combine() is not associative", key,
                f"of the values {_show(some)} at once it comes to {_show(whole)}, "
                f"of {_show(some[:cut])} and {_show(some[cut:])} apart to {_show(apart)}",
            )  # fmt: skip


def _check_aggregate(aggregate: Aggregate, key: Any, some: list[Any]) -> None:
    def state(values: list[Any]) -> Any:
        return next(iter(aggregate.fold(copy.deepcopy(values))))

    def end(found: Any) -> Any:
        return found if aggregate.end is None else aggregate.end(found)

    def merge(a: Any, b: Any) -> Any:
        return aggregate.merge(copy.deepcopy(a), copy.deepcopy(b))

    whole = end(state(some))
    for cut in range(1, len(some)):
        a, b = state(some[:cut]), state(some[cut:])
        apart = end(merge(a, b))
        if not _same(whole, apart, exact=aggregate.exact):
            raise _broken(
                "the aggregate is not associative", key,
                f"of the values {_show(some)} at once it comes to {_show(whole)}, "
                f"of {_show(some[:cut])} and {_show(some[cut:])} merged to {_show(apart)}",
            )  # fmt: skip
        if aggregate.commutative and not _same(apart, turned := end(merge(b, a)), exact=aggregate.exact):
            raise _broken(
                "the aggregate is not commutative", key,
                f"{_show(a)} and {_show(b)} merge to {_show(apart)}, the other way round to {_show(turned)}",
            )  # fmt: skip
    if aggregate.idempotent and not _same(end(merge(state(some), state(some))), whole, exact=aggregate.exact):
        raise _broken(
            "the aggregate is not idempotent", key,
            f"{_show(state(some))} merged with itself comes to {_show(end(merge(state(some), state(some))))}, "
            f"by itself to {_show(whole)}",
        )  # fmt: skip


def _same(a: Any, b: Any, *, exact: bool) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (a != a and b != b) or (not exact and math.isclose(a, b))
    if type(a) is type(b) and isinstance(a, list | tuple):
        return len(a) == len(b) and all(_same(x, y, exact=exact) for x, y in zip(a, b, strict=True))
    same = a == b
    every = getattr(same, "all", None)  # of NumPy arrays each element is compared
    return bool(every() if callable(every) else same)


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "..."


def _broken(what: str, key: Any, how: str) -> UserCodeError:
    return UserCodeError(f"{what}: key {_show(key)}: {how}: leave it out, or make it so")
