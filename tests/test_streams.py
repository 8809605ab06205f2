"""Bytes at offsets become a stream that gives all of them, in small pieces and in large ones, and tells of losses."""

import io
import os

import pytest

from atop_timeline.errors import EvidenceError
from atop_timeline.streams import READ_BYTES, Hashed, buffered
from tests.servers import sha256

DATA = os.urandom(5 * READ_BYTES + 77)
SIZES = [1000, READ_BYTES - 1, READ_BYTES, READ_BYTES + 1, 6 * READ_BYTES, -1, None]
BAD = 3 * READ_BYTES + 512  # where a sector cannot be read


def read(offset: int, size: int) -> bytes:
    return DATA[offset : offset + size]


def read_around_bad(offset: int, size: int) -> bytes:
    if offset < BAD + 512 and offset + size > BAD:
        raise OSError(f"offset {offset}: bad")
    return read(offset, size)


@pytest.mark.parametrize("size", SIZES)
def test_pieces_make_up_the_whole(size: int | None) -> None:
    stream = buffered(read, len(DATA))
    assert b"".join(iter(lambda: stream.read(size), b"")) == DATA
    assert (stream.tell(), stream.read(size)) == (len(DATA), b"")


@pytest.mark.parametrize("size", SIZES)
def test_small_and_large_reads_go_on_where_the_last_ended(size: int | None) -> None:
    stream, plain = buffered(read, len(DATA)), io.BytesIO(DATA)
    for start in (0, 10, READ_BYTES + 5, 2 * READ_BYTES, len(DATA) - 5, len(DATA) + 5):
        assert stream.seek(start) == plain.seek(start)
        assert [stream.read(each) for each in (7, size, 100)] == [plain.read(each) for each in (7, size, 100)]
        assert stream.tell() == plain.tell()


def test_few_bytes_at_a_time_are_no_end() -> None:
    stream = buffered(lambda offset, size: read(offset, min(size, 1000)), len(DATA))
    assert stream.read(2 * READ_BYTES) == DATA[: 2 * READ_BYTES]


@pytest.mark.parametrize("size", [512, READ_BYTES, 6 * READ_BYTES])
def test_unreadable_sector_is_told_and_all_around_it_given(size: int) -> None:
    stream = buffered(read_around_bad, len(DATA))
    assert stream.read(BAD) == DATA[:BAD]
    with pytest.raises(OSError, match=f"offset {BAD}: bad"):
        stream.read(size)
    stream.seek(BAD + 512)
    assert stream.read() == DATA[BAD + 512 :]


@pytest.mark.parametrize("size", [1, READ_BYTES, -1])
def test_missing_end_is_told_to_who_reads_on(size: int) -> None:
    stream = buffered(read, len(DATA), missing="more")
    stream.seek(len(DATA))
    with pytest.raises(EvidenceError, match="more"):
        stream.read(size)


def test_stream_that_ends_too_early_is_told() -> None:
    with pytest.raises(EvidenceError, match=f"offset {len(DATA)}: nothing more, expected {len(DATA) + 1} bytes"):
        buffered(read, len(DATA) + 1).read()


@pytest.mark.parametrize("size", SIZES)
def test_digest_is_of_all_bytes_whatever_was_read(size: int | None) -> None:
    hashed = Hashed(buffered(read, len(DATA)))
    hashed.reader.seek(2 * READ_BYTES)
    data = hashed.reader.read(size)
    assert data == DATA[2 * READ_BYTES :][: size if size and size > 0 else None]
    assert hashed.sha256() == sha256(DATA)


def test_there_is_no_digest_of_what_cannot_all_be_read() -> None:
    hashed = Hashed(buffered(read_around_bad, len(DATA)))
    assert hashed.reader.read(READ_BYTES) == DATA[:READ_BYTES]
    assert hashed.sha256() is None
