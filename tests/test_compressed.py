"""Every byte of a compressed log that can be had is given, in place; what cannot is told behind them."""

import bz2
import gzip
import io
import lzma
import os
import resource
import sys
import tempfile
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atop_timeline.compressed import KINDS, decompressed
from atop_timeline.errors import EvidenceError
from tests.servers import BIG, LITTLE, PACK, TEST_DATA

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BIG_LOG = TEST_DATA / "logs/debian-2.8.1-s390x/atop_raw"

each_kind = pytest.mark.parametrize("kind", PACK)


def contents(data: bytes, kind: str) -> tuple[bytes, str]:
    """All bytes there are, and what is told at their end and beyond it, each time."""
    with decompressed(io.BytesIO(data), kind) as stream:
        size = stream.seek(0, os.SEEK_END)
        told = {told_at(stream, offset) for offset in (size, size, size + 9, max(size - 1, 0))}
        assert len(told) == 1
        stream.seek(0)
        return stream.read(size), told.pop()


def told_at(stream: io.BufferedReader, offset: int, size: int = 2) -> str:
    stream.seek(offset)
    try:
        stream.read(size)
    except EvidenceError as error:
        return str(error)
    return ""


@cache
def packed(data: bytes, kind: str) -> bytes:
    return PACK[kind](data)


def flipped(data: bytes, offset: int) -> bytes:
    changed = bytearray(data)
    changed[offset] ^= 0x10
    return bytes(changed)


def test_every_kind_is_tested() -> None:
    assert set(PACK) == KINDS


@each_kind
@pytest.mark.parametrize(
    ("parts", "padding"),
    [([LITTLE], 0), ([LITTLE, BIG], 0), ([b"", LITTLE, b"", b"", BIG, b""], 0), ([LITTLE], 10_000), ([b""], 0)],
    ids=["one member", "two members", "empty members", "zeros behind it", "nothing in it"],
)
def test_whole(kind: str, parts: list[bytes], padding: int) -> None:
    data = b"".join(packed(part, kind) for part in parts)
    assert contents(data + bytes(padding), kind) == (b"".join(parts), "")


def test_zstd_frames_to_be_skipped() -> None:
    skipped = b"\x5e\x2a\x4d\x18\x03\0\0\0abc"
    data = skipped + packed(LITTLE, "zstd") + skipped + packed(BIG, "zstd") + skipped
    assert contents(data, "zstd") == (LITTLE + BIG, "")


def test_xz_of_several_blocks() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 16}]
    data = lzma.compress(LITTLE, filters=filters) + bytes(4) + lzma.compress(BIG, check=lzma.CHECK_SHA256)
    assert contents(data, "xz") == (LITTLE + BIG, "")


# What is damaged, measured by what the libraries give byte by byte.

LIBRARIES: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "xz": lzma.LZMADecompressor,
    "bzip2": bz2.BZ2Decompressor,
    "zstd": zstd.ZstdDecompressor,
}


def bytewise(data: bytes, kind: str) -> list[bytes]:
    """What each byte of a member gives, as far as no error comes."""
    library, outputs = LIBRARIES[kind](), [b""]
    with suppress(zlib.error, lzma.LZMAError, zstd.ZstdError, OSError):
        for offset in range(len(data)):
            rest = data[offset : offset + 1]
            outputs.append(b"")
            while not library.eof and (output := library.decompress(rest, 1)):
                outputs[-1] += output
                rest = getattr(library, "unconsumed_tail", b"")
    return outputs


@each_kind
def test_truncated(kind: str) -> None:
    data = packed(LITTLE, kind)
    outputs = bytewise(data, kind)
    for cut in [*range(6, len(data), 997), *range(len(data) - 40, len(data))]:
        expected = b"".join(outputs[: cut + 1])
        assert contents(data[:cut], kind) == (expected, f"{kind}: ends at offset {cut} without its end marker")
    assert LITTLE.startswith(expected)


@each_kind
@pytest.mark.parametrize("part", range(1, 20))
def test_flipped_bit_in_the_second_of_three_members(kind: str, part: int) -> None:
    first, third = packed(BIG, kind), packed(BIG, kind)
    second = flipped(packed(LITTLE, kind), len(packed(LITTLE, kind)) * part // 20)
    inside, told = contents(first + second + third, kind)
    assert inside.startswith(BIG + b"".join(bytewise(second + third, kind)))
    assert inside.endswith(BIG)
    assert told.startswith(f"{kind}: member at offset {len(first)} is damaged at offset ")


@pytest.mark.parametrize(
    ("kind", "offset"), [("gzip", -8), ("gzip", -1), ("xz", -30), ("bzip2", -4), ("zstd", -4)], ids=str
)
def test_wrong_checksum(kind: str, offset: int) -> None:
    inside, told = contents(flipped(packed(LITTLE, kind), offset) + packed(BIG, kind), kind)
    assert inside == LITTLE + BIG
    assert told.startswith(f"{kind}: is damaged at offset ")


@each_kind
@pytest.mark.parametrize("second", [BIG, b"short"], ids=["long", "short"])
def test_member_cut_short_by_the_next(kind: str, second: bytes) -> None:
    data = packed(LITTLE, kind)
    for cut in range(40, len(data), 4999):
        inside, told = contents(data[:cut] + packed(second, kind), kind)
        assert inside.endswith(second)
        assert told


@each_kind
def test_what_is_no_member_is_passed_over(kind: str) -> None:
    data = packed(LITTLE, kind)
    inside, told = contents(data + b"text" + bytes(100_000) + data + b"\0\0end", kind)
    assert inside == LITTLE + LITTLE
    assert told == (
        f"{kind}: no member at offset {len(data)}, but 74 65 78 74; 100004 bytes passed over / "
        f"no member at offset {2 * len(data) + 100_006}, but 65 6e 64; 3 bytes passed over"
    )


@each_kind
def test_of_many_losses_the_first_are_told(kind: str) -> None:
    inside, told = contents((packed(b"log", kind) + b"x") * 5, kind)
    assert inside == b"log" * 5
    assert told.count("passed over") == 3
    assert told.endswith(" / 2 more")


def test_after_too_many_losses_nothing_is_read() -> None:
    member = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    _, told = contents(member * 10_010, "gzip")
    assert told.endswith(" / 9998 more / not read further than offset 100010")


class Unreadable(io.BytesIO):
    """Evidence of which only the first half can be read."""

    def read(self, size: int | None = -1, /) -> bytes:  # noqa: D102
        if self.tell() >= len(self.getvalue()) // 2:
            raise OSError(5, "Input/output error")
        return super().read(size)


@each_kind
def test_evidence_that_cannot_be_read(kind: str) -> None:
    stream = decompressed(Unreadable(packed(b"log", kind) * 20_000), kind)
    with stream:
        size = stream.seek(0, os.SEEK_END)
        assert size > 20_000
        assert told_at(stream, size) == f"{kind}: cannot be read: Input/output error"


# What is made to hurt.


@each_kind
def test_bomb(kind: str) -> None:
    data = PACK[kind](bytes(1 << 20)) * 90
    limit = (64 << 20) + 100 * len(data)
    tracemalloc.start()
    with decompressed(io.BytesIO(data), kind) as stream:
        size = stream.seek(0, os.SEEK_END)
        told = told_at(stream, size)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert limit - (1 << 20) < size <= limit
    assert told == f"{kind}: inflates to more than {limit} bytes, which no atop log does; not read further"
    assert peak < 16 << 20


GREEDY = {
    "xz": (lzma.compress(LITTLE, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}]), "Memory usage limit"),
    "zstd": (b"\x28\xb5\x2f\xfd\0\xa0" + b"\x01\0\0", "requires too much memory"),  # window: 1 GiB
}


@pytest.mark.parametrize("kind", GREEDY)
def test_what_needs_too_much_memory_is_passed_over(kind: str) -> None:
    member, why = GREEDY[kind]
    inside, told = contents(member + packed(LITTLE, kind), kind)
    assert inside == LITTLE
    assert told.startswith(f"{kind}: is damaged at offset ")
    assert why in told


class Counting(io.BytesIO):
    """Counts the bytes that are read."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:  # noqa: D102
        data = super().read(size)
        self.count += len(data)
        return data


HOSTILE = {
    "empty": gzip.compress(b""),
    "damaged": flipped(gzip.compress(b"log"), -8),
    "overlapping": b"\x1f\x8b\x08\0\0\0\0\0\0\xff\0\xff\xff\0\0",
    "without the end of a name": b"\x1f\x8b\x08\x08aaaa\0\xff",
}


@pytest.mark.parametrize("member", HOSTILE.values(), ids=HOSTILE)
def test_work_grows_with_the_size_alone(member: bytes) -> None:
    stream = Counting(member * 8000)
    with decompressed(stream, "gzip") as inside:
        inside.seek(0, os.SEEK_END)
        assert stream.count < 120 * len(member) * 8000


# A file as any other.


@given(
    st.sampled_from(list(PACK)),
    st.sampled_from([b"", b"text"]),
    st.lists(
        st.one_of(
            st.tuples(st.just("read"), st.integers(0, len(BIG))),
            st.tuples(st.just("seek"), st.integers(-len(BIG), len(BIG) + 10), st.sampled_from([0, 1, 2])),
        )
    ),
)
def test_reads_and_seeks_as_any_file(kind: str, behind: bytes, steps: list[tuple[Any, ...]]) -> None:
    data = packed(BIG[:9000], kind) + packed(BIG[9000:], kind)
    with BIG_LOG.open("rb") as plain, decompressed(io.BytesIO(data + behind), kind) as stream:
        for name, *arguments in steps:
            if behind and name == "read" and arguments[0] and plain.tell() + arguments[0] > len(BIG):
                assert told_at(stream, plain.tell(), arguments[0])
                stream.seek(plain.tell())
            else:
                assert outcome(stream, name, *arguments) == outcome(plain, name, *arguments)
            assert stream.tell() == plain.tell()


def outcome(stream: BinaryIO, name: str, *arguments: int) -> object:
    try:
        return getattr(stream, name)(*arguments)
    except (ValueError, OSError):
        return "refused"


@each_kind
def test_more_than_memory_holds(kind: str) -> None:
    with decompressed(io.BytesIO(packed(BIG, kind) * 200), kind) as stream:
        assert stream.read(len(BIG)) == BIG
        stream.seek(150 * len(BIG))
        assert stream.read(len(BIG)) == BIG
        stream.seek(len(BIG))
        assert stream.read(200 * len(BIG)) == 199 * BIG


@each_kind
def test_nothing_beyond_what_is_asked_for_is_decompressed(kind: str) -> None:
    packed_stream = io.BytesIO(packed(BIG, kind) * 200)
    with decompressed(packed_stream, kind) as stream:
        assert stream.read(4) == BIG[:4]
        assert packed_stream.tell() < 12 * len(packed(BIG, kind))


@each_kind
@pytest.mark.parametrize("behind", [b"", b"text"], ids=["whole", "damaged"])
def test_closes_all_it_opened(kind: str, behind: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = opened()
    packed_stream = io.BytesIO(packed(BIG, kind) * 200 + behind)
    with decompressed(packed_stream, kind) as stream:
        stream.seek(150 * len(BIG))
        assert stream.read(4) == BIG[:4]
        assert len(opened()) == len(before) + 1
    assert packed_stream.closed
    assert opened() == before


def opened() -> set[Path]:
    """What this process has open, and what lies where temporary files do."""
    return {*Path("/proc/self/fd").iterdir(), *Path(tempfile.gettempdir()).iterdir()}


@each_kind
@pytest.mark.parametrize("room", [0, 4_500_000], ids=["none", "some"])
def test_no_room_for_the_temporary_file(kind: str, room: int) -> None:
    data, limits = packed(BIG, kind) * 200, resource.getrlimit(resource.RLIMIT_FSIZE)
    with decompressed(io.BytesIO(data), kind) as stream:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
        size = stream.seek(0, os.SEEK_END)
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert size == room
        assert told_at(stream, size).startswith(f"{kind}: no room for more than {room} decompressed bytes: ")
        stream.seek(0)
        assert stream.read(size) == (BIG * 200)[:size]
