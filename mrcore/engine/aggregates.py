"""Aggregates: what becomes of a key's values. One object serves as combiner and as reducer.

A map task folds the values of a key into a few *states*, the reduce task folds those into the
result; how often and in which grouping is not specified, so folding must be associative. Sum,
Count, Mean, Min, Max and First are folded by native code (:mod:`mrcore.kernels.fold`), the
others by Python.
"""

from __future__ import annotations

import copy
import functools
import heapq
from typing import Any, Protocol

from mrcore.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Aggregation(Protocol):
    """What the engine asks of an aggregate."""

    native: str | None  # a kind of mrcore.kernels.fold, where native code does all of it
    ones: bool  # every value counts as the int 1

    def fold(self, values: Iterable[Any]) -> Iterable[Any]:
        """States for values of one key, in their order."""
        ...

    def finish(self, states: Iterable[Any]) -> Any:
        """The result for the states of one key, in their order."""
        ...


class _Native:
    ones = False
    native: str | None = None

    def fold(self, values: Iterable[Any]) -> Iterable[Any]:
        """Never asked: native code folds."""
        raise NotImplementedError

    def finish(self, states: Iterable[Any]) -> Any:
        """Never asked: native code finishes."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"mr.{type(self).__name__}()"


class Sum(_Native):
    """The sum of ints and floats.

    Of ints it is exact, however large. With a float among them it is the float nearest to the
    exact sum, as ``math.fsum`` rounds, so neither order nor grouping shows; beyond the largest
    float it is an infinity.
    """

    native = "sum"


class Count(_Native):
    """How many values there are, whatever they are."""

    native, ones = "sum", True


class Mean(_Native):
    """The mean of ints and floats: the float nearest to the exact one."""

    native = "mean"


class Min(_Native):
    """The least value; of equal ones the first. NaN is refused."""

    native = "min"


class Max(_Native):
    """The largest value; of equal ones the first. NaN is refused."""

    native = "max"


class First(_Native):
    """The first value in input order."""

    native = "first"


class TopK:
    """The ``k`` largest values as a list, largest first; of equal ones the first come first. NaN is refused.

    Args:
        k: how many, at least 1.
        key: what to compare instead of the values themselves.
    """

    native, ones = None, False

    def __init__(self, k: int, key: Callable[[Any], Any] | None = None) -> None:
        if type(k) is not int or k < 1:
            raise UsageError(f"TopK of {k!r}: write 1 or more")
        self.k, self.key = k, key

    def fold(self, values: Iterable[Any]) -> Iterable[Any]:
        """The largest ones are the states."""
        if self.key is None:
            return heapq.nlargest(self.k, (value for value in values if value == value or _refuse_nan()))
        return heapq.nlargest(self.k, values, self._compared)

    def _compared(self, value: Any) -> Any:
        assert self.key is not None
        found = self.key(value)
        if found != found:
            _refuse_nan()
        return found

    def finish(self, states: Iterable[Any]) -> list[Any]:
        """The largest of the largest."""
        return heapq.nlargest(self.k, states, self.key)

    def __repr__(self) -> str:
        return f"mr.TopK({self.k})"


def _refuse_nan() -> bool:
    from mrcore.kernels.chain import YieldError

    raise YieldError("TopK of NaN, which has no place in an order")


class Collect:
    """All values as a list, in input order. The list of one key is held in memory, beside the budget."""

    native, ones = None, False

    def fold(self, values: Iterable[Any]) -> Iterable[Any]:
        """Nothing to fold."""
        return values

    def finish(self, states: Iterable[Any]) -> list[Any]:
        """The list."""
        return list(states)

    def __repr__(self) -> str:
        return "mr.Collect()"


class Aggregate:
    """An aggregate of one's own.

    Args:
        zero: the state of no values, or a function that makes one; what is no function is copied.
        add: ``add(state, value)`` gives the state with one more value. It may change ``state``.
        merge: ``merge(state, later)`` gives the state of both; must be associative.
        finish: ``finish(state)`` gives the result; by default it is the state.
        commutative: ``merge`` takes its arguments in either order.
        idempotent: merging a state with itself changes nothing.
        exact: results are equal, not only close, in whatever grouping. ``verify=True`` tests what is
            promised here on the values of the job.
    """

    native, ones = None, False

    def __init__(
        self,
        zero: Any,
        add: Callable[[Any, Any], Any],
        merge: Callable[[Any, Any], Any],
        finish: Callable[[Any], Any] | None = None,
        *,
        commutative: bool = False,
        idempotent: bool = False,
        exact: bool = True,
    ) -> None:
        for name, function in (("add", add), ("merge", merge), ("finish", finish)):
            if not callable(function) and not (function is None and name == "finish"):
                raise UsageError(f"Aggregate({name}=...) is not a function: {function!r}")
        self.zero, self.add, self.merge, self.end = zero, add, merge, finish
        self.commutative, self.idempotent, self.exact = commutative, idempotent, exact

    def start(self) -> Any:
        """The state of no values."""
        return self.zero() if callable(self.zero) else copy.deepcopy(self.zero)

    def fold(self, values: Iterable[Any]) -> Iterable[Any]:
        """One state for all values."""
        state = self.start()
        for value in values:
            state = self.add(state, value)
        return [state]

    def finish(self, states: Iterable[Any]) -> Any:
        """The result of the merged states."""
        each = iter(states)
        state = next(each)  # a group has one state at least
        for later in each:
            state = self.merge(state, later)
        return state if self.end is None else self.end(state)

    def __repr__(self) -> str:
        return f"mr.Aggregate(add={getattr(self.add, '__qualname__', self.add)})"


class Reduce:
    """Values brought together two by two by a function of the user's: ``function(a, b)``, associative.

    Args:
        function: ``b`` comes after ``a`` in input order.
    """

    native, ones = None, False

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        self.function = function

    def fold(self, values: Iterable[Any]) -> Iterable[Any]:
        """One state, which is a value."""
        return [functools.reduce(self.function, values)]

    def finish(self, states: Iterable[Any]) -> Any:
        """The same again."""
        return functools.reduce(self.function, states)

    def __repr__(self) -> str:
        return f"reduce_by_key({getattr(self.function, '__qualname__', self.function)})"



def check_aggregate(found: object) -> None:
    """Refuses what is no aggregate.

    Raises:
        UsageError: naming what was given, and the likely remedy.
    """
    if isinstance(found, type) and hasattr(found, "fold"):
        raise UsageError(f"not an aggregate but its class: {found.__name__}: write mr.{found.__name__}()")
    if not all(hasattr(found, name) for name in ("native", "ones", "fold", "finish")):
        raise UsageError(
            f"not an aggregate: {found!r}: write mr.Sum(), another of its kind, or mr.Aggregate(zero, add, merge)"
        )
