"""Groups out of blocks of records: each key's values once, in their order, however records and blocks cut them."""
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
