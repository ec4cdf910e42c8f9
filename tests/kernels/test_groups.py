"""Groups out of blocks of records: each key's values once, in their order, however records and blocks cut them."""
import pickle

import pytest

from mrcore.kernels.chain import Chain
from mrcore.kernels.codec import KeyCodec, ValueCodec, encode_key, encode_values
from mrcore.kernels.groups import Values, ValuesReadError
from mrcore.kernels.output import Output
from mrcore.kernels.reduce import Reducer
from mrcore.testing import reference


def block_of(*records: tuple[int, list[object]]) -> bytes:
    coded = [(encode_key(key)[0], encode_values(values, None)) for key, values in records]
    return reference.encode_bytes_records(coded)


def reduced(function: object, *blocks: bytes) -> None:
    """Runs ``function(key, values, ctx)`` on the groups of the blocks."""
    output, codec = Output(lambda view: None, columns=2), ValueCodec(None, None)
    reducer = Reducer(blocks, KeyCodec("i"), codec, Chain([], output), output, reduce=function)
    while reducer.run(1):
        pass


def test_values_of_a_former_group_are_refused_and_those_of_the_last_one_too() -> None:
    kept: list[Values] = []

    def reduce(key: int, values: Values, ctx: object) -> list[object]:
        kept.append(values)
        return []

    reduced(reduce, block_of((1, [10]), (2, [20, 21])), block_of((3, [30])))
    for values in kept:
        with pytest.raises(ValuesReadError, match="after it had ended"):
            list(values)


def test_a_value_that_reads_on_while_it_is_loaded_is_refused() -> None:
    kept: list[Values] = []
    coded = encode_values([(1, {2}, "text"), 4, 5], pickle.dumps)

    def loads(data: bytes) -> object:
        with pytest.raises(ValuesReadError, match="while one of them was being loaded"):
            next(iter(kept[0]))
        return pickle.loads(data)

    def reduce(key: int, values: Values, ctx: object) -> list[object]:
        kept.append(values)
        assert list(values) == [(1, {2}, "text"), 4, 5]
        return []

    output = Output(lambda view: None, columns=2)
    block = reference.encode_bytes_records([(encode_key(1)[0], coded)])
    Reducer([block], KeyCodec("i"), ValueCodec(None, loads), Chain([], output), output, reduce=reduce).run(2)
    assert kept


def test_an_iterator_that_nobody_filled_is_empty() -> None:
    kinds: list[type] = []
    reduced(lambda key, values, ctx: kinds.append(type(iter(values))) or [], block_of((1, [1])))
    assert list(kinds[0]()) == []
