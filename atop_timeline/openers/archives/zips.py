"""A zip archive: what its directory says, or where that is lost the headers before its members.

APPNOTE.TXT 6.3.10, https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

import os
import re
import struct
from collections.abc import Generator, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

from atop_timeline.errors import EvidenceError
from atop_timeline.streams import READ_BYTES

LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END_64 = struct.Struct("<4sQ2H2L4Q")
LOCAL_MAGIC, _CENTRAL_MAGIC, _DESCRIPTOR_MAGIC = b"PK\x03\x04", b"PK\x01\x02", b"PK\x07\x08"
_DESCRIPTOR, _DESCRIPTOR_64 = struct.Struct("<4s3L"), struct.Struct("<4sL2Q")
_COMMENT_MOST = (1 << 16) - 1
_OFFSET_MOST = 1 << 62
_IN_EXTRA = (1 << 32) - 1
_EXTRA_64 = 1
IS_ENCRYPTED, IS_STREAMED = 1 << 0, 1 << 3
METHODS = {0: "stored", 8: "deflate", 9: "Deflate64", 12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz", 99: "AES"}
"""As `compressed` names what it reads."""

_LOCAL_SEARCHED = re.compile(rb"PK\x03\x04")
_NEXT = re.compile(rb"PK(?:\x07\x08|\x03\x04|\x01\x02)")
_UNIX_HOSTS = frozenset({3, 19})


class Header(NamedTuple):
    """What an archive says of a member; `offset` is that of its local header, `crc` -1 where it is not known.

    `attributes` are those of Unix (st_mode), 0 where there are none; `time` in MS-DOS's format.
    """

    name: bytes
    flags: int
    method: int
    time: int
    crc: int
    packed: int
    size: int
    offset: int
    attributes: int


class Directory(NamedTuple):
    """Where an archive's own table of its members lies, and by how much all its offsets are to be shifted."""

    offset: int
    size: int
    shift: int


def directory(stream: BinaryIO) -> Directory | None:
    """The directory of an archive; None where there is none."""
    size = stream.seek(0, os.SEEK_END)
    start = max(size - _COMMENT_MOST - _END.size, 0)
    tail = _read(stream, start, size - start)
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or len(tail) < found + _END.size:
        return None
    length, offset = _END.unpack_from(tail, found)[5:7]
    end = start + found
    locator = _unpacked(_LOCATOR, stream, end - _LOCATOR.size, b"PK\x06\x07")
    if locator and (wide := _unpacked(_END_64, stream, locator[2], b"PK\x06\x06")):
        end, length, offset = locator[2], *wide[8:10]
    place = end - length
    is_there = 0 <= offset <= place and (not length or _read(stream, place, 4) == _CENTRAL_MAGIC)
    return Directory(place, length, place - offset) if is_there else None


def members(stream: BinaryIO, table: Directory | None) -> Iterator[Header | EvidenceError]:
    """Members as the directory has them; those that it has not where it is damaged; between them what is lost."""
    known: set[int] = set()
    failure = "no directory at its end; members are looked for one by one"
    if table:
        failure = yield from _listed(stream, table, known)
    if failure:
        yield EvidenceError(failure)
        yield from _searched(stream, known)


def _listed(stream: BinaryIO, table: Directory, known: set[int]) -> Generator[Header | EvidenceError, None, str]:
    """Members that a directory has; returns what is wrong with it."""
    offset, end = table.offset, table.offset + table.size
    while offset < end:
        fields = _unpacked(_CENTRAL, stream, offset, _CENTRAL_MAGIC)
        if not fields:
            return f"directory damaged at offset {offset}; further members are looked for one by one"
        header = _central(fields, stream.read(fields[10]), stream.read(fields[11]), table.shift)
        offset += _CENTRAL.size + sum(fields[10:13])
        if header.offset >= _OFFSET_MOST:
            yield EvidenceError(f"directory at offset {offset}: no member can lie at offset {header.offset}")
        elif header.offset in known:
            yield EvidenceError(f"another member lies at offset {header.offset} too; passed over")
        else:
            known.add(header.offset)
            yield header
    return ""


def _central(fields: Sequence[int], name: bytes, extra: bytes, shift: int) -> Header:
    made_by, _, flags, method, time, _, crc, packed, size = fields[1:10]
    size, packed, offset = _widened(extra, size, packed, fields[16])
    attributes = fields[15] >> 16 if made_by >> 8 in _UNIX_HOSTS else 0
    if made_by >> 8 == 0 and b"/" not in name:
        name = name.replace(b"\\", b"/")
    return Header(name, flags, method, time, crc, packed, size, offset + shift, attributes)


def _searched(stream: BinaryIO, known: set[int]) -> Iterator[Header]:
    """Members by their own headers."""
    offset = 0
    while (offset := _found(stream, offset, _LOCAL_SEARCHED)) >= 0:
        header, end = _local(stream, offset)
        if header and offset not in known:
            yield header
        offset = max(end, offset + 4)


def _local(stream: BinaryIO, offset: int) -> tuple[Header | None, int]:
    """A member by its own header, and where it ends."""
    fields = _unpacked(LOCAL, stream, offset, LOCAL_MAGIC)
    if not fields or fields[3] not in METHODS:
        return None, offset
    name, extra = stream.read(fields[9]), stream.read(fields[10])
    _, _, flags, method, time, _, crc, packed, size = fields[:9]
    size, packed, _ = _widened(extra, size, packed, 0)
    start = offset + LOCAL.size + sum(fields[9:11])
    header = Header(name, flags, method, time, crc, packed, size, offset, 0)
    if flags & IS_STREAMED and not packed:
        header = _streamed(stream, header, start)
    return header, start + header.packed


def _streamed(stream: BinaryIO, header: Header, start: int) -> Header:
    """A header with what is only told behind its member, or with what there is before the next member."""
    offset = start
    while (offset := _found(stream, offset, _NEXT)) >= 0:
        behind = _read(stream, offset, _DESCRIPTOR_64.size)
        if not behind.startswith(_DESCRIPTOR_MAGIC):
            break
        for layout in (_DESCRIPTOR, _DESCRIPTOR_64):
            if len(behind) >= layout.size and layout.unpack_from(behind)[2] == offset - start:
                _, crc, packed, size = layout.unpack_from(behind)
                return header._replace(crc=crc, packed=packed, size=size)
        offset += 4
    packed = (offset if offset >= 0 else stream.seek(0, os.SEEK_END)) - start
    return header._replace(crc=-1, packed=packed, size=packed)


def _widened(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Sizes and an offset, from the extra field where they have no room in a header."""
    values = [size, packed, offset]
    at = 0
    while at + 4 <= len(extra):
        tag, length = struct.unpack_from("<2H", extra, at)
        if tag == _EXTRA_64:
            found = extra[at + 4 : at + 4 + length]
            wide = iter(struct.unpack_from(f"<{len(found) // 8}Q", found))
            values = [next(wide, value) if value == _IN_EXTRA else value for value in values]
            break
        at += 4 + length
    return values[0], values[1], values[2]


def _found(stream: BinaryIO, offset: int, pattern: re.Pattern[bytes]) -> int:
    """Where something is next, -1 if nowhere."""
    while data := _read(stream, offset, READ_BYTES):
        if found := pattern.search(data):
            return offset + found.start()
        offset += max(len(data) - 3, 1)
    return -1


def _unpacked(layout: struct.Struct, stream: BinaryIO, offset: int, magic: bytes) -> tuple[Any, ...] | None:
    """The fields of what is there, None where it is something else."""
    data = _read(stream, offset, layout.size)
    return layout.unpack(data) if len(data) == layout.size and data.startswith(magic) else None


def _read(stream: BinaryIO, offset: int, size: int) -> bytes:
    if not 0 <= offset < _OFFSET_MOST:
        return b""
    stream.seek(offset)
    return stream.read(size)
