"""Files whose bytes lie in pieces in another file, and a temporary file that goes when nobody needs it."""

import io
import os
import tempfile
import weakref
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from atop_timeline import hostfiles
from atop_timeline.errors import EvidenceError
from atop_timeline.streams import READ_BYTES, sought
from atop_timeline.trees import Source

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Span(NamedTuple):
    """Bytes of a file: where in it, where they lie, how many."""

    place: int
    offset: int
    size: int


@dataclass(frozen=True)
class Pieces:
    """A file in pieces of another one, zeros between them; `missing` is told to whoever reads on at its end."""

    source: Source
    spans: Sequence[Span]
    size: int
    missing: str = ""

    def open(self) -> io.BufferedReader:
        """See `Source`."""
        return opened(self.source.open(), self.spans, self.size, self.missing)


def opened(stream: BinaryIO, spans: Sequence[Span], size: int, missing: str = "") -> io.BufferedReader:
    """See `Pieces`; closes the stream when closed."""
    return io.BufferedReader(_Reader(stream, spans, size, missing), READ_BYTES)


class _Reader(io.RawIOBase):
    def __init__(self, stream: BinaryIO, spans: Sequence[Span], size: int, missing: str) -> None:
        super().__init__()
        self._stream = stream
        self._spans = spans
        self._places = [span.place for span in spans]
        self._size = size
        self._missing = missing
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = sought(offset, whence, self._position, self._size)
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        size = min(len(view), max(self._size - self._position, 0))
        if size:
            data = self._data(size)
        elif self._missing and len(view):
            raise EvidenceError(self._missing)
        else:
            return 0
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _data(self, size: int) -> bytes:
        """At least one byte, at most so many."""
        number = bisect_right(self._places, self._position)
        place, offset, length = self._spans[number - 1] if number else Span(0, 0, 0)
        left = place + length - self._position
        if left <= 0:
            end = self._places[number] if number < len(self._places) else self._size
            return bytes(min(size, end - self._position))
        self._stream.seek(offset + self._position - place)
        data = self._stream.read(min(size, left))
        if not data:
            raise EvidenceError(f"offset {self._position}: nothing more, expected {self._size} bytes")
        return data


class Spool:
    """A temporary file that is removed with the last reference to this; other processes know it by its path."""

    def __init__(self) -> None:
        descriptor, self._path = tempfile.mkstemp(prefix="atop-timeline-")
        self._file = os.fdopen(descriptor, "wb", buffering=READ_BYTES)
        self.size = 0
        weakref.finalize(self, _remove, self._path, os.getpid())

    def __reduce__(self) -> tuple[type[hostfiles.HostFile], tuple[bytes]]:
        return hostfiles.HostFile, (os.fsencode(self._path),)

    def write(self, data: bytes) -> None:
        """Append; raises `OSError` where there is no room."""
        self._file.write(data)
        self.size += len(data)

    def close(self) -> None:
        """Nothing more is to be written."""
        self._file.close()

    def open(self) -> BinaryIO:
        """See `Source`."""
        return hostfiles.opened(self._path)


def _remove(path: str, process: int) -> None:
    """Remove a file, in the process that made it."""
    if os.getpid() == process:
        Path(path).unlink(missing_ok=True)
