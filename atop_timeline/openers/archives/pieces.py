"""Files whose bytes lie in pieces in another file, and a temporary file that goes when nobody needs it."""

import io
import os
import tempfile
import weakref
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from atop_timeline import hostfiles
from atop_timeline.streams import READ_BYTES, buffered
from atop_timeline.trees import Source


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
    places = [span.place for span in spans]

    def read(position: int, most: int) -> bytes:
        number = bisect_right(places, position)
        place, offset, length = spans[number - 1] if number else Span(0, 0, 0)
        left = place + length - position
        if left <= 0:
            end = places[number] if number < len(places) else size
            return bytes(min(most, end - position))
        stream.seek(offset + position - place)
        return stream.read(min(most, left))

    return buffered(read, size, stream.close, missing)


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
