"""Thousands of mutations, the same every time: what comes out is an error of ours, or what the reference says too.

Run files are changed in two ways: any bytes, which the checksums must notice; and numbers whose
checksums are then made right, which leaves only the comparisons of the numbers with each other.
Records and posting lists are changed below the checksums, where the native code reads them.
"""

import itertools
import os
import random
import runpy
import struct
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from mrcore.cli.inspect import check_segment, read_records
from mrcore.errors import CorruptionError, MrcoreError
from mrcore.kernels.merge import Merge, decode
from mrcore.kernels.postings import PostingsText, pack
from mrcore.kernels.postings import decode as decode_postings
from mrcore.storage.runfile import RunReader
from mrcore.testing import reference

FOLDER = Path(__file__).parent
MADE = runpy.run_path(os.fspath(FOLDER / "generate_corpus.py"))
SOUND = MADE["sound"]()
U64 = (1 << 64) - 1
NUMBERS = [0, 1, 2, 3, 7, 8, 15, 16, 17, 23, 24, 25, 40, 55, 56, 57, 254, 255, 256, 4096, 1 << 31, 1 << 32, 1 << 60,
           1 << 63, U64 - 56, U64 - 1, U64]  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return os.fsencode(tmp_path / "run")


def content(path):
    """All records, by segment."""
    found = []
    with RunReader(path) as reader:
        for segment in reader.check_footer():
            assert segment in reader.segments(segment.partition)
            found.append((segment, list(read_records(reader, segment))))
            check_segment(reader, segment)
    return found


def read(path, data):
    """What the file says, or None when it says that it is damaged; nothing else may happen."""
    with open(path, "wb") as file:
        file.write(data)
    try:
        return content(path)
    except CorruptionError as error:
        assert "run, byte " in str(error)
        return None


def damage(rng, data):
    """A few bytes changed, cut out, doubled, moved, or a number put over them."""
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        at, size = rng.randrange(len(out) + 1), rng.choice([1, 1, 2, 8, 24, 56])
        kind = rng.randrange(7)
        if kind == 0 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(out):
            out[at] = rng.randrange(256)
        elif kind == 2:
            del out[at : at + size]
        elif kind == 3:
            out[at:at] = out[at : at + size]
        elif kind == 4:
            out[at : at + 8] = struct.pack("<Q", rng.choice(NUMBERS))
        elif kind == 5:
            out[at:at] = rng.randbytes(size)
        elif len(out) > 1:
            del out[at:]
        out = out or bytearray(b"\0")
    return bytes(out)


def test_bytes_of_run_files(path):
    rng = random.Random(1)
    files = [file.encode() for file in SOUND.values()]
    before = {data: read(path, data) for data in files}
    noticed = 0
    for _ in range(1500):
        data = rng.choice(files)
        changed = damage(rng, data)
        if changed != data:
            assert read(path, changed) is None
            noticed += 1
    assert noticed > 1200
    assert all(read(path, data) == before[data] is not None for data in files)


def lie(rng, file):
    """The file with one or two numbers, or the place of a segment, changed under right checksums."""
    for _ in range(rng.choice([1, 1, 2])):
        kind = rng.randrange(5)
        if kind == 0:
            name = rng.choice(["footer", "segments", "partitions"])
            file = replace(file, wrong=file.wrong | {name: number(rng, 300)})
        elif kind == 1 and file.segments:
            index = rng.randrange(len(file.segments))
            name = rng.choice(["partition", "offset", "size", "records", "raw_bytes", "block_max"])
            segment = file.segments[index]
            file = with_segment(file, index, replace(segment, wrong=segment.wrong | {name: number(rng, 300)}))
        elif kind == 2 and file.segments:
            order = list(range(len(file.segments)))
            rng.shuffle(order)
            order[rng.randrange(len(order))] = rng.randrange(len(order))
            file = replace(file, order=tuple(order))
        elif kind == 3 and file.segments:
            index = rng.randrange(len(file.segments))
            file = with_segment(file, index, lie_of_a_block(rng, file.segments[index]))
        else:
            file = replace(file, kind=rng.choice([0, 1, 1, 2, U64]))
    return file


def with_segment(file, index, segment):
    return replace(file, segments=(*file.segments[:index], segment, *file.segments[index + 1 :]))


def lie_of_a_block(rng, segment):
    index = rng.randrange(len(segment.blocks))
    block = segment.blocks[index]
    kind = rng.randrange(3)
    if kind == 0:
        block = replace(block, raw_size=number(rng, block.raw))
    elif kind == 1:
        block = replace(block, stored_size=number(rng, len(block.stored)))
    else:
        block = replace(block, stored=damage(rng, block.stored), raw_size=rng.choice([None, block.raw]))
    return replace(segment, blocks=(*segment.blocks[:index], block, *segment.blocks[index + 1 :]))


def number(rng, near):
    return rng.choice(NUMBERS) if rng.random() < 0.5 else max(0, rng.randrange(2 * near + 2))


def test_numbers_of_run_files_under_right_checksums(path):
    """Some lies are true, such as more partitions, or other records; then everything in the file agrees."""
    rng = random.Random(2)
    files = list(SOUND.values())
    noticed = 0
    tracemalloc.start()
    try:
        for _ in range(1200):
            found = read(path, lie(rng, rng.choice(files)).encode())
            noticed += found is None
            for segment, records in found or ():
                assert len(records) == segment.records
                keys = [key for key, _ in records]
                assert keys == sorted(keys if any(isinstance(value, tuple) for _, value in records) else set(keys))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert 600 < noticed < 1200


# ---- records, below the checksums ------------------------------------------------------------------------


def some_records(rng, edges=False):
    pieces = [b"", b"\0", b"a", b"b", b"a" * 7, b"a" * 8, b"\xff"]
    keys = sorted({rng.choice(pieces) * rng.randrange(3) for _ in range(6)})
    values = [0, 1, -1, 63, -65, 1 << 40] + ([(1 << 63) - 1, -(1 << 63)] if edges else [])
    return [(key, rng.choice(values)) for key in keys]


def sums_of(runs):
    """What a merge of these runs of blocks gives; None: corrupt, ``OverflowError``: a sum is too large."""
    pairs = []
    for blocks in runs:
        try:
            run = [pair for block in blocks for pair in reference.decode_records(block)]
        except ValueError:
            return None
        if any(a[0] > b[0] for a, b in itertools.pairwise(run)):
            return None
        pairs.append(run)
    return reference.merge(pairs)


def test_records_of_merges():
    rng = random.Random(3)
    sound = corrupt = large = 0
    for _ in range(4000):
        runs = [[reference.encode_records(some_records(rng, edges=True))] for _ in range(rng.randrange(1, 5))]
        if rng.random() < 0.8:
            blocks = rng.choice(runs)
            blocks[0] = damage(rng, blocks[0])
        try:
            expected = sums_of(runs)
        except OverflowError:
            expected = OverflowError
        emit = rng.choice(["records", "lines", "nothing"])
        try:
            merge = Merge(runs, emit, room=rng.choice([1, 200, 1 << 16]))
            out = b"".join(map(bytes, merge))
        except CorruptionError:
            assert expected in (None, OverflowError)
            corrupt += 1
        except MrcoreError:
            assert expected in (None, OverflowError)
            large += 1
        else:
            encode = {"records": reference.encode_records, "lines": reference.encode_lines, "nothing": lambda _: b""}
            assert out == encode[emit](expected)
            assert merge.records_out == len(expected)
            sound += 1
    assert min(sound, corrupt, large) > 100


def test_blocks_of_records():
    rng = random.Random(4)
    for _ in range(4000):
        block = damage(rng, reference.encode_records(some_records(rng)))
        try:
            expected = reference.decode_records(block)
        except ValueError:
            with pytest.raises(CorruptionError):
                decode(block)
        else:
            assert decode(block) == expected


# ---- postings --------------------------------------------------------------------------------------------


def some_groups(rng, first=0):
    groups = []
    for _ in range(rng.randrange(1, 4)):
        documents = sorted(rng.sample(range(first, first + 40), rng.randrange(1, 5)))
        groups.append(reference.encode_postings([(document, rng.choice([1, 2, 200])) for document in documents]))
        first = documents[-1]
    return b"".join(groups)


def test_posting_lists():
    rng = random.Random(5)
    sound = 0
    for _ in range(4000):
        value = damage(rng, some_groups(rng))
        try:
            expected = reference.decode_postings(value)
        except (ValueError, OverflowError):
            for reading in (decode_postings, pack):
                with pytest.raises(MrcoreError):
                    reading(value)
        else:
            assert decode_postings(value) == expected
            assert decode_postings(pack(value)) == expected
            assert len(pack(value)) <= len(value)
            sound += 1
    assert 200 < sound < 3500


def posting_block(lists):
    varint = reference.encode_varint
    return b"".join(varint(len(key)) + key + varint(len(value)) + value for key, value in lists)


def test_blocks_of_postings_through_the_merge_and_into_text():
    """The merge joins the lists' bytes and leaves the lists to whoever writes them as text."""
    rng = random.Random(6)
    paths = [b"file-%d" % index for index in range(500)]
    lines = errors = 0
    for _ in range(3000):
        runs = []
        for index in range(rng.randrange(1, 4)):
            keys = sorted(rng.sample([b"", b"a", b"b", b"a" * 8, b"a" * 9], rng.randrange(1, 5)))
            runs.append([posting_block([(key, some_groups(rng, 130 * index)) for key in keys])])
        changed = rng.random() < 0.7
        if changed:
            blocks = rng.choice(runs)
            blocks[0] = damage(rng, blocks[0])
        merge = Merge(runs, "records", room=rng.choice([1, 300]), kind="posting")
        try:
            text = b"".join(bytes(chunk) for chunk in PostingsText(paths, True, 100).lines(merge))
        except MrcoreError:
            assert changed
            errors += 1
            continue
        words = [line.split(b"\t")[0] for line in text.splitlines()]
        assert len(text.split(b"\n")) - 1 == merge.records_out
        if not changed:
            assert words == sorted({key for blocks in runs for key, _ in lists_of(blocks[0])})
            lines += 1
    assert min(lines, errors) > 500


def lists_of(block):
    at, found = 0, []
    while at < len(block):
        key_end = at + 1 + block[at]
        size = reference.decode_varints(block[key_end : key_end + 1 + (block[key_end] >> 7)])[0]
        value = key_end + 1 + (block[key_end] >> 7)
        found.append((block[at + 1 : key_end], block[value : value + size]))
        at = value + size
    return found
