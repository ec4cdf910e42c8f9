"""Groups through aggregate, reducer and chain into the output."""
import pytest

from mrcore.errors import CorruptionError
from mrcore.kernels.chain import Chain
from mrcore.kernels.codec import KeyCodec, ValueCodec
from mrcore.kernels.output import Output
from mrcore.kernels.reduce import Reducer
from mrcore.testing import reference


def test_a_key_without_its_partition_is_corrupt() -> None:
    output = Output(lambda view: None, columns=2, literal=lambda value, marked: b"None")
    block = reference.encode_bytes_records([(b"\0\1", b"\0"), (b"\1", b"\0")])
    reducer = Reducer([block], KeyCodec("b"), ValueCodec(None, None), Chain([], output), output, prefix=2, each=True)
    with pytest.raises(CorruptionError, match="without its partition"):
        reducer.run(2)
