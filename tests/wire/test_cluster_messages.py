"""Messages of coordinator and workers: they come back as sent, all fields have bounds, and nothing else gets in."""

from __future__ import annotations

import contextlib
import tracemalloc
from typing import get_args

import msgspec
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from mrcore.errors import ProtocolError
from mrcore.wire import cluster_fields as fields
from mrcore.wire import cluster_messages as wire
from mrcore.wire.cluster_messages import FROM_COORDINATOR, FROM_WORKER, FromCoordinator, FromWorker
from mrcore.wire.payloads import UnknownMessage

ID = fields.AttemptId("job-1", 0, 7, 1)
CHECK = bytes(range(8))
HELD = fields.HeldFile("map-00007.attempt-1", 1 << 40, CHECK)
INPUT = fields.InputFile("map-00003.attempt-0", 9, CHECK, ("host-2:7077", "[::1]:80"))

OF_WORKER = [
    wire.Register("worker-1", 0, 2, 8 << 30, "host-1", ("10.0.0.1:7077",)),
    wire.Heartbeat(3, 1, (fields.RunningAttempt(ID, 5),), 1 << 30, (HELD,), ("map-00001.attempt-0",)),
    wire.AttemptProgress(ID, 3, fields.INT64_MAX),
    wire.AttemptNoted(ID, 3, fields.NoteKind.LOG, "30 % of é"),
    wire.AttemptNoted(ID, 3, fields.NoteKind.STATUS, ""),
    wire.AttemptFinished(ID, 3, "map-00007.attempt-1", 12, CHECK, {"records": 5, "é": -(1 << 63)}, b"\0\xff",
                         (12, fields.INT64_MAX)),
    wire.AttemptFailed(ID, 3, fields.FailureClass.USER_CODE, "UserCodeError", "map raised: job.py:3", "Traceback", "",
                       fields.RecordPosition(b"/data/\xff.txt", 81), (0, 7)),
    wire.AttemptFailed(ID, 3, fields.FailureClass.OUT_OF_MEMORY, "BudgetError", ""),
    wire.OutputLost(3, "map-00003.attempt-0", fields.LossReason.CORRUPT, "worker-2"),
    wire.OutputLost(3, "map-00003.attempt-0", fields.LossReason.MISSING),
]  # fmt: skip
OF_COORDINATOR = [
    wire.Registered(4, 10_000_000_000, 3_000_000_000),
    wire.LeaseLost(3),
    wire.StartAttempt(ID, 4, b"\0 spec", 64 << 20, (INPUT,), 12, True, (fields.RecordPosition(b"/data/a", 9),)),
    wire.StartAttempt(ID, 4, b"", 0),
    wire.AddInputs(ID, 4, (INPUT, INPUT)),
    wire.CancelAttempt(ID, 4, fields.CancelReason.TWIN_COMMITTED),
]
OF_BOTH = [wire.Drain(4, 1), wire.Goodbye(0), wire.Goodbye(4, "the machine goes down")]
SAID = [(FROM_WORKER, message) for message in OF_WORKER + OF_BOTH]
SAID += [(FROM_COORDINATOR, message) for message in OF_COORDINATOR + OF_BOTH]
TYPES = sorted({*get_args(FromWorker), *get_args(FromCoordinator)}, key=lambda kind: kind.__name__)

every_message = pytest.mark.parametrize(("codec", "message"), SAID)


@every_message
def test_a_message_comes_back_as_sent(codec, message):
    assert codec.decode(codec.encode(message)) == message


def test_the_examples_are_of_every_type():
    assert {type(message) for _, message in SAID} == set(TYPES)


def values(kind):
    """A strategy of values inside the bounds of a type, from what msgspec knows of it."""
    match kind:
        case msgspec.inspect.IntType():
            return st.integers(kind.ge, kind.le)
        case msgspec.inspect.StrType(pattern=str(pattern)):
            return st.from_regex(pattern).filter(lambda text: len(text) <= kind.max_length)
        case msgspec.inspect.StrType():
            letters = st.characters(codec="utf-8")
            return st.text(letters, min_size=kind.min_length or 0, max_size=min(kind.max_length, 300))
        case msgspec.inspect.BytesType():
            return st.binary(min_size=kind.min_length or 0, max_size=min(kind.max_length, 300))
        case msgspec.inspect.BoolType():
            return st.booleans()
        case msgspec.inspect.NoneType():
            return st.none()
        case msgspec.inspect.EnumType():
            return st.sampled_from(kind.cls)
        case msgspec.inspect.UnionType():
            return st.one_of(*map(values, kind.types))
        case msgspec.inspect.VarTupleType():
            return st.lists(values(kind.item_type), max_size=min(kind.max_length, 5)).map(tuple)
        case msgspec.inspect.TupleType():
            return st.tuples(*map(values, kind.item_types))
        case msgspec.inspect.DictType():
            return st.dictionaries(values(kind.key_type), values(kind.value_type), max_size=min(kind.max_length, 5))
        case msgspec.inspect.StructType():
            return st.builds(consistent, st.just(kind.cls), *(values(field.type) for field in kind.fields))
    raise AssertionError(f"no values for {kind}")


def consistent(cls, *arguments):
    try:
        return cls(*arguments)
    except ValueError:
        reject()


@pytest.mark.parametrize("cls", TYPES)
def test_any_message_inside_its_bounds_comes_back_as_sent(cls):
    codec = FROM_WORKER if cls in get_args(FromWorker) else FROM_COORDINATOR

    @given(values(msgspec.inspect.type_info(cls)))
    def comes_back(message):
        assert codec.decode(codec.encode(message)) == message

    comes_back()


# Bounds.


def unbounded(kind, where):
    """Places in a type where a peer could send as much as it likes."""
    match kind:
        case msgspec.inspect.IntType():
            return [where] if kind.ge is None or kind.le is None else []
        case msgspec.inspect.StrType() | msgspec.inspect.BytesType():
            return [where] if kind.max_length is None else []
        case msgspec.inspect.UnionType():
            return [place for one in kind.types for place in unbounded(one, where)]
        case msgspec.inspect.VarTupleType():
            return ([where] if kind.max_length is None else []) + unbounded(kind.item_type, f"{where}[]")
        case msgspec.inspect.TupleType():
            return [place for one in kind.item_types for place in unbounded(one, f"{where}[]")]
        case msgspec.inspect.DictType():
            inside = unbounded(kind.key_type, f"{where} key") + unbounded(kind.value_type, f"{where} value")
            return ([where] if kind.max_length is None else []) + inside
        case msgspec.inspect.StructType():
            return [place for field in kind.fields for place in unbounded(field.type, f"{where}.{field.name}")]
        case msgspec.inspect.BoolType() | msgspec.inspect.NoneType() | msgspec.inspect.EnumType():
            return []
    return [f"{where}: {kind}"]


@pytest.mark.parametrize("cls", TYPES)
def test_every_field_of_every_message_has_bounds(cls):
    assert unbounded(msgspec.inspect.type_info(cls), cls.__name__) == []


@pytest.mark.parametrize(("codec", "bad"), [
    (FROM_WORKER, wire.Register("", 0, 2, 0, "h", ())),
    (FROM_WORKER, wire.Register("../w", 0, 2, 0, "h", ())),
    (FROM_WORKER, wire.Register(".w", 0, 2, 0, "h", ())),
    (FROM_WORKER, wire.Register("w\n", 0, 2, 0, "h", ())),
    (FROM_WORKER, wire.Register("w" * 129, 0, 2, 0, "h", ())),
    (FROM_WORKER, wire.Register("w", -1, 2, 0, "h", ())),
    (FROM_WORKER, wire.Register("w", 1 << 63, 2, 0, "h", ())),
    (FROM_WORKER, wire.Register("w", 1 << 64, 2, 0, "h", ())),
    (FROM_WORKER, wire.Register("w", 0, 0, 0, "h", ())),
    (FROM_WORKER, wire.Register("w", 0, 4097, 0, "h", ())),
    (FROM_WORKER, wire.Register("w", 0, 2.5, 0, "h", ())),
    (FROM_WORKER, wire.Register("w", 0, True, 0, "h", ())),
    (FROM_WORKER, wire.Register("w", 0, 2, 0, "", ())),
    (FROM_WORKER, wire.Register("w", 0, 2, 0, "h", ("a:1",) * 5)),
    (FROM_WORKER, wire.Register("w", 0, 2, 0, "h", ("a b",))),
    (FROM_WORKER, wire.Register("w", 0, 2, 0, "h\udcff", ())),
    (FROM_WORKER, wire.Heartbeat(0, 1, (), 0)),
    (FROM_WORKER, wire.Heartbeat(1, 1, (fields.RunningAttempt(ID, 0),) * 4097, 0)),
    (FROM_WORKER, wire.Heartbeat(1, 1, (), 0, (HELD,) * 4097)),
    (FROM_WORKER, wire.Heartbeat(1, 1, (), 0, (), ("a",) * 4097)),
    (FROM_WORKER, wire.AttemptProgress(fields.AttemptId("j", 0, 1 << 31, 0), 1, 0)),
    (FROM_WORKER, wire.AttemptFinished(ID, 1, "a/b", 0, CHECK, {})),
    (FROM_WORKER, wire.AttemptFinished(ID, 1, "a", 0, CHECK + b"x", {})),
    (FROM_WORKER, wire.AttemptFinished(ID, 1, "a", 0, CHECK, {"n": 1 << 63})),
    (FROM_WORKER, wire.AttemptFinished(ID, 1, "a", 0, CHECK, {str(n): n for n in range(2049)})),
    (FROM_WORKER, wire.AttemptFinished(ID, 1, "a", 0, CHECK, {"x" * 257: 1})),
    (FROM_WORKER, wire.AttemptFinished(ID, 1, "a", 0, CHECK, {}, bytes((1 << 20) + 1))),
    (FROM_WORKER, wire.AttemptFinished(ID, 1, "a", 0, CHECK, {}, b"", (0,))),
    (FROM_WORKER, wire.AttemptFinished(ID, 1, "a", 0, CHECK, {}, b"", (0, 1, 2))),
    (FROM_WORKER, wire.AttemptFinished(ID, 1, "a", 0, CHECK, {}, b"", (-1, 0))),
    (FROM_WORKER, wire.AttemptNoted(ID, 1, "shout", "")),
    (FROM_WORKER, wire.AttemptNoted(ID, 1, fields.NoteKind.LOG, "x" * 8193)),
    (FROM_WORKER, wire.AttemptNoted(ID, 0, fields.NoteKind.LOG, "")),
    (FROM_WORKER, wire.AttemptFailed(ID, 1, fields.FailureClass.DEFECT, "", "", printed=(0, -1))),
    (FROM_WORKER, wire.AttemptFailed(ID, 1, "bad luck", "", "")),
    (FROM_WORKER, wire.AttemptFailed(ID, 1, fields.FailureClass.DEFECT, "", "x" * 8193)),
    (FROM_WORKER, wire.AttemptFailed(ID, 1, fields.FailureClass.DEFECT, "", "", "x" * 65537)),
    (FROM_WORKER, wire.Goodbye(1, b"bytes")),
    (FROM_COORDINATOR, wire.StartAttempt(ID, 0, b"", 0)),
    (FROM_COORDINATOR, wire.AddInputs(ID, 1, (INPUT,) * 65537)),
    (FROM_COORDINATOR, wire.StartAttempt(ID, 1, b"", 0, skip=(fields.RecordPosition(b"", 0),) * 257)),
    (FROM_COORDINATOR, wire.Drain(1, 0)),
    (FROM_COORDINATOR, OF_WORKER[0]),
    (FROM_WORKER, OF_COORDINATOR[0]),
])  # fmt: skip
def test_a_field_out_of_bounds_is_neither_sent_nor_taken(codec, bad):
    with pytest.raises(ProtocolError):
        codec.encode(bad)
    with contextlib.suppress(UnicodeEncodeError, OverflowError), pytest.raises(ProtocolError, match="does not parse"):
        codec.decode(msgspec.msgpack.encode(bad))


@pytest.mark.parametrize("payload", [
    ["registered", 4, 10, 10], ["start_attempt", ["j", 0, 0, 0], 1, b"", 0, [["f", 1, CHECK, []]], 0],
])  # fmt: skip
def test_fields_that_contradict_each_other_are_refused(payload):
    with pytest.raises(ProtocolError, match="does not parse"):
        FROM_COORDINATOR.decode(msgspec.msgpack.encode(payload))


def test_the_largest_messages_that_the_bounds_allow_fit_their_frames():
    name, letter = "n" * 128, "\U0001f40d"
    key = fields.AttemptId(name, *[(1 << 31) - 1] * 3)
    top, held = fields.INT64_MAX, fields.HeldFile(name, fields.INT64_MAX, CHECK)
    running = (fields.RunningAttempt(key, top),) * fields.SLOTS_MAX
    counters = {f"{n:04}".ljust(fields.COUNTER_NAME_MAX, letter): -top for n in range(fields.COUNTERS_MAX)}
    traceback = letter * fields.TRACEBACK_MAX
    for message in (
        wire.Heartbeat(top, top, running, top, (held,) * fields.FILES_MAX, (name,) * fields.FILES_MAX),
        wire.AttemptFinished(key, top, name, top, CHECK, counters, bytes(fields.RESULT_BYTES_MAX)),
        wire.AttemptFailed(key, top, fields.FailureClass.BAD_INPUT, letter * 256, letter * fields.TEXT_MAX, traceback,
                           traceback, fields.RecordPosition(b"p" * fields.PATH_BYTES_MAX, top)),
    ):  # fmt: skip
        assert FROM_WORKER.decode(FROM_WORKER.encode(message)) == message
    one = msgspec.msgpack.encode(fields.InputFile(name, top, CHECK, ("a" * 264,) * fields.ADDRESSES_MAX))
    skips = len(msgspec.msgpack.encode(fields.RecordPosition(bytes(fields.PATH_BYTES_MAX), top))) * fields.SKIPS_MAX
    assert len(one) * fields.INPUTS_MAX + fields.SPEC_BYTES_MAX + skips + 1024 < FROM_COORDINATOR.size_max


def test_a_payload_above_the_limit_is_refused_whatever_it_is():
    with pytest.raises(ProtocolError, match=f"the limit is {FROM_WORKER.size_max}"):
        FROM_WORKER.decode(bytes(FROM_WORKER.size_max + 1))


# Hostile bytes.

HUGE = {"array": b"\xdd\xff\xff\xff\xff", "map": b"\xdf\xff\xff\xff\xff", "bytes": b"\xc6\xff\xff\xff\xff",
        "text": b"\xdb\xff\xff\xff\xff", "extension": b"\xc9\xff\xff\xff\xff\x01"}  # fmt: skip


def with_huge_sizes(value):
    """The bytes of a value, cut off where one part of it promises four billion elements."""
    yield from HUGE.values()
    if isinstance(value, list):
        head = bytes([0x90 + len(value)])
        for index, part in enumerate(value):
            before = head + b"".join(map(msgspec.msgpack.encode, value[:index]))
            yield from (before + inside for inside in with_huge_sizes(part))


@every_message
def test_no_size_in_a_message_makes_us_allocate(codec, message):
    payloads = list(with_huge_sizes(msgspec.msgpack.decode(codec.encode(message))))
    tracemalloc.start()
    try:
        for payload in payloads:
            for newer in (False, True):
                with pytest.raises(ProtocolError):
                    codec.decode(payload, peer_is_newer=newer)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("newer", [False, True])
@pytest.mark.parametrize("head", [b"", b"\xa7unheard", b"\xaalease_lost\x01"])
def test_deep_nesting_is_refused(head, newer):
    payload = bytes([0x94]) + head + b"\x91" * 200_000
    for codec in (FROM_WORKER, FROM_COORDINATOR):
        with pytest.raises(ProtocolError):
            codec.decode(payload, peer_is_newer=newer)


@every_message
def test_a_message_that_is_cut_off_is_refused(codec, message):
    payload = codec.encode(message)
    for size in range(len(payload)):
        for newer in (False, True):
            with pytest.raises(ProtocolError):
                codec.decode(payload[:size], peer_is_newer=newer)


@every_message
def test_every_flipped_byte_gives_a_message_or_a_protocol_error(codec, message):
    payload = codec.encode(message)
    for position in range(len(payload)):
        for mask in (0x01, 0x10, 0x80, 0xFF):
            changed = payload[:position] + bytes([payload[position] ^ mask]) + payload[position + 1 :]
            with contextlib.suppress(ProtocolError):
                again = codec.decode(changed)
                assert codec.decode(codec.encode(again)) == again, "what was taken can be said"


@given(payload=st.binary(max_size=80), newer=st.booleans())
def test_random_bytes_are_a_message_or_a_protocol_error(payload, newer):
    for codec in (FROM_WORKER, FROM_COORDINATOR):
        with contextlib.suppress(ProtocolError):
            assert codec.decode(payload, peer_is_newer=newer) is not None


plain = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(1 << 63), (1 << 64) - 1), st.floats(), st.text(max_size=5),
        st.binary(max_size=9),
    ),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@given(tag=st.sampled_from([cls.__struct_config__.tag for cls in TYPES]), body=st.lists(plain, max_size=9))
def test_any_values_behind_a_tag_are_a_message_or_a_protocol_error(tag, body):
    payload = msgspec.msgpack.encode([tag, *body])
    for codec in (FROM_WORKER, FROM_COORDINATOR):
        with contextlib.suppress(ProtocolError):
            assert codec.decode(payload) is not None


# Newer peers.


@every_message
def test_fields_that_a_newer_peer_adds_are_ignored(codec, message):
    longer = [*msgspec.msgpack.decode(codec.encode(message)), "new", {"and": ["more"]}]
    for newer in (False, True):
        assert codec.decode(msgspec.msgpack.encode(longer), peer_is_newer=newer) == message


def test_fields_that_a_newer_peer_adds_inside_are_ignored():
    payload = msgspec.msgpack.encode(["lease_lost", 3])
    assert FROM_COORDINATOR.decode(payload) == wire.LeaseLost(3)
    payload = msgspec.msgpack.encode(["attempt_progress", ["job-1", 0, 7, 1, "new"], 3, 5, "new"])
    assert FROM_WORKER.decode(payload) == wire.AttemptProgress(ID, 3, 5)


def test_an_unknown_message_is_skipped_from_a_newer_peer_and_refused_from_all_others():
    payload = msgspec.msgpack.encode(["rebalance", 3, {"x": [1]}])
    for codec in (FROM_WORKER, FROM_COORDINATOR):
        assert codec.decode(payload, peer_is_newer=True) == UnknownMessage("rebalance")
        with pytest.raises(ProtocolError, match="rebalance"):
            codec.decode(payload)


@pytest.mark.parametrize("payload", [
    ["lease_lost", -1], ["lease_lost"], [], ["x" * 65], [5], {"type": "lease_lost"}, "lease_lost", None,
    [["lease_lost"]],
])  # fmt: skip
def test_what_is_wrong_from_an_equal_peer_is_wrong_from_a_newer_one(payload):
    with pytest.raises(ProtocolError):
        FROM_COORDINATOR.decode(msgspec.msgpack.encode(payload), peer_is_newer=True)


@given(text=st.text(max_size=200), length_max=st.integers(8, 100))
def test_clipped_texts_fit_and_keep_both_ends(text, length_max):
    short = fields.clipped(text, length_max)
    assert len(short) <= length_max
    assert short == text or (len(text) > length_max and text.endswith(short.split("\n[...]\n")[-1]))
