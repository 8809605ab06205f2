"""What must hold of a compressed file, however it is damaged."""

import io
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from atop_timeline.compressed import decompressed
from atop_timeline.errors import EvidenceError, UnknownLayout, WrongParser
from atop_timeline.rawlog import RawLog

_MOST_BYTES, _MOST_INFLATION = 1 << 26, 100
_PIECE_BYTES = 4099


class Member(NamedTuple):
    """Bytes, compressed and as they were."""

    packed: bytes
    inside: bytes


class Contents(NamedTuple):
    """What was in a compressed file, and what was lost of it."""

    data: bytes
    lost: str


def check_compressed(data: bytes, kind: str, members: Sequence[Member]) -> None:
    """Asserts all of it for one file; `members` may be somewhere in it."""
    found = contents(data, kind)
    assert contents(data, kind) == found, "not the same twice"
    assert len(found.data) <= _MOST_BYTES + _MOST_INFLATION * len(data)
    assert not set(found.lost) & set("\r\n\0\x1b")
    for member in members:
        assert member.packed not in data or member.inside in found.data, "an intact member is lost"
    with decompressed(io.BytesIO(data), kind) as stream, suppress(WrongParser, UnknownLayout):
        list(RawLog(stream).samples())


def contents(data: bytes, kind: str) -> Contents:
    """All that can be read, piece by piece."""
    found = bytearray()
    with decompressed(io.BytesIO(data), kind) as stream:
        try:
            while piece := stream.read1(_PIECE_BYTES):
                found += piece
        except EvidenceError as error:
            return Contents(bytes(found), str(error))
    return Contents(bytes(found), "")
