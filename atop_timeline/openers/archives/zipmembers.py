"""The bytes of a member of a zip archive: decompressed, decrypted, and checked against what was promised.

APPNOTE.TXT 6.3.10, "Traditional PKWARE Encryption" and 5.8, "LZMA".
"""

import os
import struct
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from atop_timeline.compressed import BARE_KINDS, KINDS, Promised, decompressed
from atop_timeline.errors import EvidenceError
from atop_timeline.keys import LOCKED
from atop_timeline.openers.archives import pieces
from atop_timeline.openers.archives.pieces import Span
from atop_timeline.openers.archives.zips import IS_ENCRYPTED, IS_STREAMED, LOCAL, LOCAL_MAGIC, METHODS, Header
from atop_timeline.streams import READ_BYTES
from atop_timeline.trees import Source

_ENCRYPTION_BYTES = 12
_MEMORY_BYTES = 1 << 22
_LZMA_ENDS_ITSELF = 1 << 1
_UNKNOWN_SIZE = (1 << 64) - 1
_CRC = [zlib.crc32(bytes([number]), 0xFFFFFFFF) ^ 0xFFFFFFFF for number in range(256)]


def is_foreign(header: Header) -> bool:
    """Whether a member is encrypted or compressed in a way that is not read here."""
    return METHODS.get(header.method) not in KINDS | BARE_KINDS


@dataclass(frozen=True)
class ZipMember:
    """A member; another one, or the archive's directory, begins at `end`. `password` None: there is none that fits."""

    archive: Source
    header: Header
    end: int
    password: bytes | None = field(default=None, repr=False)
    why_locked: str = LOCKED

    def open(self) -> BinaryIO:
        """See `Source`."""
        header = self.header
        if is_foreign(header):
            method = METHODS.get(header.method, f"method {header.method}")
            raise EvidenceError(f"packed with {method}, which is not read here; unpack the archive with: 7z x")
        if header.flags & IS_ENCRYPTED and self.password is None:
            raise EvidenceError(f"encrypted, {self.why_locked}")
        stream = packed(self.archive, header, self.end)
        if self.password is not None:
            stream = _rewritten(stream, _decrypted(stream, self.password))
        kind = METHODS[header.method]
        if kind == "lzma":
            stream = _rewritten(stream, _alone(stream, header))
        promised = None if header.crc < 0 else Promised(header.size, header.crc)
        return decompressed(stream, kind, promised)


def packed(archive: Source, header: Header, end: int) -> BinaryIO:
    """The bytes of a member as they lie there, or what is left of them; raises `EvidenceError` at nonsense."""
    stream = archive.open()
    try:
        start = _start(stream, header, end)
    except BaseException:
        stream.close()
        raise
    size = max(min(header.packed, end - start), 0)
    return pieces.opened(stream, (Span(0, start, size),), size)


def _start(stream: BinaryIO, header: Header, end: int) -> int:
    """Where the bytes of a member begin, which go no further than the next."""
    stream.seek(header.offset)
    local = stream.read(LOCAL.size)
    if len(local) < LOCAL.size or not local.startswith(LOCAL_MAGIC):
        raise EvidenceError(f"no member at offset {header.offset}, but {local[:4].hex(' ') or 'nothing'}")
    start: int = header.offset + LOCAL.size + sum(LOCAL.unpack(local)[9:])
    if start + header.packed > end < stream.seek(0, os.SEEK_END):
        raise EvidenceError(f"{header.packed} bytes at offset {start} overlap what is at offset {end}")
    return start


def password(archive: Source, header: Header, end: int, passwords: Sequence[str]) -> bytes | None:
    """What decrypts a member: of the passwords whose check byte fits the first with which all of it is right."""
    with packed(archive, header, end) as stream:
        first = stream.read(_ENCRYPTION_BYTES)
    check = header.time >> 8 if header.flags & IS_STREAMED else header.crc >> 24 & 0xFF
    given = [text.encode() for text in passwords]
    fitting = [key for key in given if _Cipher(key).decrypt(first)[-1:] == bytes([check])]
    if len(fitting) > 1:
        fitting = [key for key in fitting if is_right(ZipMember(archive, header, end, key))] or fitting
    return fitting[0] if fitting else None


def is_right(member: ZipMember) -> bool:
    """Whether all bytes of a member are what was promised."""
    try:
        with member.open() as stream:
            while stream.read(READ_BYTES):
                pass
    except OSError:
        return False
    return True


def _decrypted(stream: BinaryIO, key: bytes) -> Iterator[bytes]:
    cipher = _Cipher(key)
    cipher.decrypt(stream.read(_ENCRYPTION_BYTES))
    while data := stream.read(READ_BYTES):
        yield cipher.decrypt(data)


def _alone(stream: BinaryIO, header: Header) -> Iterator[bytes]:
    """LZMA as the .lzma format has it: properties and size before it."""
    size = _UNKNOWN_SIZE if header.flags & _LZMA_ENDS_ITSELF else header.size
    yield stream.read(9)[4:] + struct.pack("<Q", size)
    while data := stream.read(READ_BYTES):
        yield data


def _rewritten(stream: BinaryIO, chunks: Iterator[bytes]) -> BinaryIO:
    """What is made of a stream, which is closed, in memory or a temporary file."""
    spool = tempfile.SpooledTemporaryFile(_MEMORY_BYTES)  # noqa: SIM115  the reader closes it
    with stream:
        for chunk in chunks:
            spool.write(chunk)
    return cast("BinaryIO", spool)


class _Cipher:
    """PKWARE's, which needs each byte to go on to the next."""

    def __init__(self, key: bytes) -> None:
        self._keys = 0x12345678, 0x23456789, 0x34567890
        self._run(key, is_plain=True)

    def decrypt(self, data: bytes) -> bytes:
        """What comes next, in plain."""
        return self._run(data, is_plain=False)

    def _run(self, data: bytes, *, is_plain: bool) -> bytes:
        one, two, three = self._keys
        plain = bytearray()
        for byte in data:
            if not is_plain:
                mask = three | 2
                byte ^= (mask * (mask ^ 1) >> 8) & 0xFF  # noqa: PLW2901  the next line's
            plain.append(byte)
            one = one >> 8 ^ _CRC[(one ^ byte) & 0xFF]
            two = ((two + (one & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
            three = three >> 8 ^ _CRC[(three ^ two >> 24) & 0xFF]
        self._keys = one, two, three
        return bytes(plain)
