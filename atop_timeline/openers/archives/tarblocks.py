"""The blocks that tell of a member in a tar archive: ustar, pax, GNU and v7.

POSIX.1-2017: pax, "ustar Interchange Format" and "pax Header Block"; GNU tar manual, "Basic Tar Format" and
"Storing Sparse Files".
"""

import re
import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from atop_timeline.openers.archives.pieces import Span

BLOCK_BYTES = 512
MAGIC = re.compile(rb"ustar(?:\x0000|  \x00)")
MAGIC_OFFSET = 257
SPARSE_MOST = 100_000
"""In more pieces no file is read."""

MOST_BYTES = (1 << 63) - 1
"""No file is larger."""

_CHECKSUM = slice(148, 156)
_DIGITS_MOST = 20
_GNU_MAP = struct.Struct("12s12s")
_PAX_MAP = b"GNU.sparse.map"
_PAX_RECORD = re.compile(rb"(\d{1,9}) ")


class Header(NamedTuple):
    """A member's header; `flag` is its type, `size` of what is stored of it."""

    path: bytes
    flag: bytes
    size: int
    link: bytes


def header(block: bytes) -> Header | None:
    """What a header block says, None where it is none: its checksum tells."""
    if len(block) != BLOCK_BYTES or _number(block[_CHECKSUM]) not in _checksums(block):
        return None
    size = _number(block[124:136])
    if size is None or not 0 <= size <= MOST_BYTES:
        return None
    path, link = _text(block[:100]), _text(block[157:257])
    prefix = _text(block[345 : 476 if block[508:] == b"tar\x00" else 500])
    if block[MAGIC_OFFSET : MAGIC_OFFSET + 6] == b"ustar\x00" and prefix:
        path = prefix + b"/" + path
    return Header(path, block[156:157], size, link)


def records(data: bytes) -> dict[bytes, bytes]:
    """What a pax header says, as far as it makes sense; the repeated keys of a sparse map as one list."""
    found: dict[bytes, bytes] = {}
    offset = 0
    while length := _PAX_RECORD.match(data, offset):
        end = offset + int(length[1])
        key, is_record, value = data[length.end() : end - 1].partition(b"=")
        if not is_record or data[end - 1 : end] != b"\n":
            break
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            found[_PAX_MAP] = found[_PAX_MAP] + b"," + value if _PAX_MAP in found else value
        else:
            found[key] = value
        offset = end
    return found


def decimal(digits: bytes) -> int | None:
    """A number of a pax header, None where it makes no sense."""
    return int(digits) if digits.isdigit() and len(digits) <= _DIGITS_MOST else None


def pax_map(told: Mapping[bytes, bytes]) -> list[int]:
    """Places and sizes in turn, of a sparse file whose pax header has them; -1 for what makes no sense."""
    texts = told.get(_PAX_MAP, b"").split(b",", 2 * SPARSE_MOST)
    numbers = [decimal(text) for text in texts if text]
    return [-1 if number is None else number for number in numbers]


def gnu_map(block: bytes, offset: int, count: int) -> list[int]:
    """Places and sizes in turn, of a sparse file in GNU's old format; -1 for what makes no sense."""
    pairs = _GNU_MAP.iter_unpack(block[offset : offset + count * _GNU_MAP.size])
    numbers = [_number(each) for pair in pairs if pair[0].strip(b"\x00") or pair[1].strip(b"\x00") for each in pair]
    return [-1 if number is None else number for number in numbers]


def gnu_size(block: bytes) -> int:
    """Size of such a file."""
    size = _number(block[483:495])
    return -1 if size is None else size


def spans_of(numbers: Sequence[int], size: int, stored: int) -> tuple[Span, ...] | None:
    """Where a sparse file's bytes lie in what is stored of it; None where that makes no sense."""
    if len(numbers) > 2 * SPARSE_MOST or len(numbers) % 2:
        return None
    spans, offset, end = [], 0, 0
    for place, length in zip(numbers[::2], numbers[1::2], strict=False):
        if place < end or length < 0 or place + length > size:
            return None
        end = place + length
        if length:
            spans.append(Span(place, offset, length))
        offset += length
    return tuple(spans) if offset == stored else None


def _number(field: bytes) -> int | None:
    """Octal digits, or bytes in GNU's and star's base-256."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    if field[:1] == b"\xff":
        return int.from_bytes(field, "big", signed=True)
    digits = field.split(b"\x00", 1)[0].strip(b" ")
    return int(digits or b"0", 8) if not digits.strip(b"01234567") else None


def _checksums(block: bytes) -> tuple[int, int]:
    """As it is, and as old tars count it, with signed bytes."""
    spaced = block[:148] + b" " * 8 + block[156:]
    total = sum(spaced)
    return total, total - 256 * (len(spaced) - len(spaced.translate(None, _HIGH)))


_HIGH = bytes(range(128, 256))


def _text(field: bytes) -> bytes:
    return field.split(b"\x00", 1)[0]
