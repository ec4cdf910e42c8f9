"""Keys and values as bytes: keys ascend as their bytes do, values come back, and no bytes do harm."""
import pytest

from mrcore.errors import CorruptionError
from mrcore.kernels.codec import decode_key, decode_values


def test_bytes_that_no_value_is_encoded_as_are_refused_not_obeyed() -> None:
    for data in (b"\x05\x01\xff", b"\x07\x01" * 101 + b"\0", b"\x07\x01" * 1_000_000 + b"\0"):
        with pytest.raises(CorruptionError):
            decode_values(data, None)
    assert decode_values(b"\x07\x01" * 100 + b"\0", None) != [None]
    with pytest.raises(CorruptionError, match="not UTF-8"):
        decode_key(b"\xff", "s")
