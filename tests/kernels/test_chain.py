"""Chains of users' functions: what comes out, and what is said of what cannot be taken."""

from __future__ import annotations

import pytest

from mrcore.kernels.chain import Chain, YieldError
from mrcore.kernels.codec import ValueCodec
from mrcore.kernels.output import Output, elements_of


def run(steps: list[tuple[str, object]], elements: list[object], ctx: object = None) -> list[object]:
    blocks: list[bytes] = []
    output = Output(lambda view: blocks.append(bytes(view)), ValueCodec(None, None), columns=0, keyed=True)
    chain = Chain(steps, output, ctx)
    for element in elements:
        chain.push(element)
    output.finish()
    return [element for block in blocks for element in elements_of(block, None)]


def test_steps_run_in_their_order_on_one_element_after_the_other() -> None:
    seen: list[int] = []

    def halves(n: int) -> object:
        seen.append(n)
        yield n // 2
        seen.append(-n)
        yield n - n // 2

    steps = [("map", lambda n: n + 1), ("filter", lambda n: n % 2), ("flat_map", halves), ("key_by", lambda n: n % 2)]
    assert run(steps, [1, 2, 3, 4]) == [(1, 1), (0, 2), (0, 2), (1, 3)]
    assert seen == [3, -3, 5, -5]


def test_a_function_of_records_is_given_the_context() -> None:
    assert run([("map_record", lambda record, ctx: [(record, ctx)])], ["a"], "ctx") == [("a", "ctx")]


@pytest.mark.parametrize(
    ("made", "said"),
    [(None, "returned None"), ("ab", "its letters"), (b"ab", "its letters"), (7, "not iterable")],
)
def test_what_is_no_iterable_is_named_with_the_remedy(made: object, said: str) -> None:
    with pytest.raises(YieldError, match=said):
        run([("flat_map", lambda element: made)], [1])


def test_a_functions_own_exception_passes_as_it_is() -> None:
    def fails(element: int) -> object:
        yield element
        raise KeyError(element)

    with pytest.raises(KeyError):
        run([("flat_map", fails)], [1])


def test_the_line_of_the_generator_is_told() -> None:
    def pairs(element: int) -> object:
        yield element, 1
        yield element

    output = Output(lambda view: None, columns=2)
    with pytest.raises(YieldError) as caught:
        Chain([("flat_map", pairs)], output).push(1)
    assert caught.value.place is not None
    assert caught.value.place[0] == __file__
    assert caught.value.place[2] == "pairs"


def test_a_stop_iteration_of_the_users_is_an_error_not_an_end() -> None:
    def stops(element: int) -> object:
        raise StopIteration
        yield

    with pytest.raises(RuntimeError):
        run([("flat_map", stops)], [1])


def test_an_iterable_whose_iter_fails_shows_its_own_error() -> None:
    class Bad:
        def __iter__(self) -> object:
            raise TypeError("of its own")

    with pytest.raises(TypeError, match=r"^of its own$"):
        run([("flat_map", lambda n: Bad())], [1])
