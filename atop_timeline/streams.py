"""Bytes of evidence as Python's streams."""

import hashlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from atop_timeline.errors import EvidenceError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_SECTOR_BYTES = 1 << 9
_MOST_UNREADABLE = 1 << 16
READ_BYTES = 1 << 18  # dfVFS is at its best from 64 KiB to 1 MiB
_MOST_READ_BYTES = 1 << 20


def buffered(
    read: Callable[[int, int], bytes], size: int, close: Callable[[], None] = lambda: None, missing: str = ""
) -> io.BufferedReader:
    """A stream of this size whose bytes at an offset, at most so many, something else reads.

    `read` raises `OSError` where it cannot; that it gives nothing before the end is an `EvidenceError`, and so is
    to read on at the end where something is `missing`.
    """
    return _Reader(_Positioned(read, size, close, missing))


class _Reader(io.BufferedReader):
    """Small reads are out of a buffer; what is larger than that is given as it was read, without a copy."""

    def __init__(self, positioned: "_Positioned") -> None:
        super().__init__(positioned, READ_BYTES)
        self._positioned = positioned

    def read(self, size: int | None = -1, /) -> bytes:
        size = sys.maxsize if size is None or size < 0 else size
        if size < READ_BYTES:
            return super().read(size)
        start = self.tell()
        pieces = list(self._positioned.pieces(start, size))
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.seek(start + len(data))
        return data


class Hashed:
    """A stream read through `reader`, and the SHA-256 of all of it, for which each byte is read once."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()
        self._done = 0
        self._failed = False
        size = stream.seek(0, os.SEEK_END)
        self.reader = buffered(self._read, size, stream.close)

    def sha256(self) -> str | None:
        """In hexadecimal digits; None where not all of it can be read. The stream must still be open."""
        self._hash(sys.maxsize)
        return None if self._failed else self._digest.hexdigest()

    def _read(self, offset: int, size: int) -> bytes:
        self._hash(offset)
        self._stream.seek(offset)
        data = self._stream.read(size)
        if offset <= self._done < offset + len(data):
            self._digest.update(memoryview(data)[self._done - offset :])
            self._done = offset + len(data)
        return data

    def _hash(self, end: int) -> None:
        """Hashes as far as this, what was passed over."""
        try:
            while not self._failed and self._done < end:
                self._stream.seek(self._done)
                data = self._stream.read(min(end - self._done, READ_BYTES))
                self._digest.update(data)
                self._done += len(data)
                if not data:
                    break
        except OSError:
            self._failed = True


def sought(offset: int, whence: int, position: int, size: int) -> int:
    """Where a seek leads in a file; raises ValueError before its start."""
    place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: position, os.SEEK_END: size}[whence]
    if place < 0:
        raise ValueError(f"negative seek position {place}")
    return place


class _Positioned(io.RawIOBase):
    """The position is kept here: libraries hand out one object for several readers of a file."""

    def __init__(self, read: Callable[[int, int], bytes], size: int, close: Callable[[], None], missing: str) -> None:
        super().__init__()
        self._read = read
        self._size = size
        self._close = close
        self._missing = missing
        self._position = 0
        self._unreadable: dict[int, str] = {}

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self._close()
        super().close()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = sought(offset, whence, self._position, self._size)
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        data = self._piece(self._position, len(view))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def pieces(self, offset: int, size: int) -> Iterator[bytes]:
        """So many bytes from an offset on, as far as there are."""
        end = offset + size
        while offset < end and (piece := self._piece(offset, min(end - offset, _MOST_READ_BYTES))):
            yield piece
            offset += len(piece)

    def _piece(self, offset: int, most: int) -> bytes:
        """At least one byte, if there is one."""
        size = min(most, max(self._size - offset, 0))
        if self._missing and not size and most:
            raise EvidenceError(self._missing)
        data = self._readable(offset, size) if size else b""
        if size and not data:
            raise EvidenceError(f"offset {offset}: nothing more, expected {self._size} bytes")
        return data

    def _readable(self, offset: int, size: int) -> bytes:
        """At most so many bytes: up to the first sector that cannot be read, which alone raises, and fast if again."""
        sector = offset // _SECTOR_BYTES
        while sector not in self._unreadable:
            try:
                return self._read(offset, size)
            except OSError as error:
                if size <= _SECTOR_BYTES:
                    self._unreadable[sector] = str(error)
                    if len(self._unreadable) > _MOST_UNREADABLE:
                        self._unreadable.pop(next(iter(self._unreadable)))
                    raise
                size = max(size // 2, _SECTOR_BYTES - offset % _SECTOR_BYTES)
        raise EvidenceError(self._unreadable[sector])
