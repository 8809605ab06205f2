"""What was kept of a compressed archive in a temporary file; where that is not at hand, it is kept once more."""

import os
import tempfile
import weakref
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from atop_timeline import hostfiles
from atop_timeline.compressed import Passing
from atop_timeline.errors import EvidenceError
from atop_timeline.streams import READ_BYTES, buffered
from atop_timeline.trees import Source


class Spool:
    """Bytes of a compressed file in a temporary one, which is removed with the last reference to this."""

    def __init__(self, source: Source, kind: str) -> None:
        descriptor, self._path = tempfile.mkstemp(prefix="atop-timeline-")
        self._file = os.fdopen(descriptor, "wb", buffering=READ_BYTES)
        self._source = source
        self._kind = kind
        self._places = array("Q")
        self.size = 0
        weakref.finalize(self, _remove, self._path, os.getpid())

    def __reduce__(self) -> "tuple[type[Kept], tuple[str, int, Source, str, tuple[int, ...]]]":
        return Kept, (self._path, self.size, self._source, self._kind, tuple(self._places))

    def write(self, data: bytes, offset: int) -> None:
        """Append what is at an offset of the decompressed bytes, behind the last; `OSError` where there is no room."""
        self._file.write(data)
        self.size += len(data)
        if self._places and sum(self._places[-2:]) == offset:
            self._places[-1] += len(data)
        else:
            self._places.extend((offset, len(data)))

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


@dataclass(frozen=True)
class Kept:
    """A spool as another process knows it: by its path, or if it is gone or on another machine by its source.

    `places` are offsets and sizes in the decompressed bytes, in turn; they make up `size`.
    """

    path: str
    size: int
    source: Source
    kind: str
    places: tuple[int, ...]

    def open(self) -> BinaryIO:
        """See `Source`."""
        file = Path(self.path)
        if file.is_file() and file.stat().st_size == self.size:
            return hostfiles.opened(self.path)
        return _again_in(os.getpid(), self).open()


@lru_cache(maxsize=4)
def _again_in(process: int, kept: Kept) -> "_Again":  # noqa: ARG001  the file is of this process alone
    return _Again(kept)


class _Again:
    """The same bytes, kept by this process; the temporary file has no name, and goes with the process."""

    def __init__(self, kept: Kept) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  it is needed longer
        self._size = kept.size
        for piece in _passages(kept):
            self._file.write(piece)
        self._file.flush()
        found = os.fstat(self._file.fileno()).st_size
        if found != kept.size:
            raise EvidenceError(f"{kept.size} bytes of members were found in this archive before, {found} now")

    def open(self) -> BinaryIO:
        """See `Source`."""
        return buffered(self._read, self._size)

    def _read(self, offset: int, size: int) -> bytes:
        return os.pread(self._file.fileno(), size, offset)


def _passages(kept: Kept) -> Iterator[bytes]:
    """The bytes at its places."""
    places = zip(kept.places[::2], kept.places[1::2], strict=True)
    offset, size = next(places, (0, 0))
    for start, chunk in _chunks(kept):
        while size and offset < start + len(chunk):
            piece = chunk[offset - start :][:size]
            yield piece
            offset, size = offset + len(piece), size - len(piece)
            if not size:
                offset, size = next(places, (0, 0))
        if not size:
            return


def _chunks(kept: Kept) -> Iterator[tuple[int, bytes]]:
    """All that is decompressed, with its offsets; where bytes are lost there is an empty chunk between."""
    with kept.source.open() as stream:
        feed, offset = Passing(stream, kept.kind), 0
        while chunk := feed.chunk() or feed.chunk():
            yield offset, chunk
            offset += len(chunk)
