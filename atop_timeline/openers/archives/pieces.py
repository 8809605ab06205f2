"""Files whose bytes lie in pieces in another file."""

import io
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from atop_timeline.streams import buffered
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
    spans: tuple[Span, ...]
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
