"""A stream read in pieces of a mebibyte, the latest of which are kept: what is looked at again is not read again."""

from typing import BinaryIO

PIECE_BYTES = 1 << 20
_KEPT_PIECES = 32
_SECTOR_BYTES = 1 << 9
_MOST_RANGES = 1000


class Cached:
    """The bytes of a stream that the caller closes; `unreadable` are the ranges that could not be read so far."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._position = 0
        self._pieces: dict[int, bytes | None] = {}
        self.size = stream.seek(0, 2)
        self.unreadable: list[tuple[int, int, str]] = []

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place, and tell where that is."""
        self._position = offset + (0, self._position, self.size)[whence]
        return self._position

    def tell(self) -> int:
        """Where that is now."""
        return self._position

    def read(self, size: int = -1) -> bytes:
        """So many bytes from there on, fewer at the end; raises `OSError` where they cannot be had."""
        begin = self._position
        end = self.size if size < 0 else min(begin + size, self.size)
        numbers = range(begin // PIECE_BYTES, (end + PIECE_BYTES - 1) // PIECE_BYTES if end > begin else 0)
        parts = [self._part(number * PIECE_BYTES, begin, end) for number in numbers]
        self._position = max(begin, end)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _part(self, start: int, begin: int, end: int) -> bytes:
        """What of some bytes is in the piece that starts here."""
        begin, end = max(begin, start), min(end, start + PIECE_BYTES)
        piece = self._piece(start)
        return piece[begin - start : end - start] if piece is not None else self._directly(begin, end)

    def _piece(self, start: int) -> bytes | None:
        """A piece, None where not all of it can be read."""
        if start in self._pieces:
            self._pieces[start] = self._pieces.pop(start)
            return self._pieces[start]
        length = min(PIECE_BYTES, self.size - start)
        try:
            piece = self._exactly(start, length)
        except OSError:
            piece = None
        if len(self._pieces) >= _KEPT_PIECES:
            del self._pieces[next(iter(self._pieces))]
        self._pieces[start] = piece
        return piece

    def _directly(self, begin: int, end: int) -> bytes:
        try:
            return self._exactly(begin, end - begin)
        except OSError as error:
            if end - begin <= _SECTOR_BYTES:
                self._note(begin, end, str(error))
            raise

    def _exactly(self, begin: int, length: int) -> bytes:
        self._stream.seek(begin)
        data = self._stream.read(length)
        if len(data) < length:
            raise OSError(f"{length} bytes expected at offset {begin}, {len(data)} found")
        return data

    def _note(self, begin: int, end: int, why: str) -> None:
        if any(start <= begin and end <= stop for start, stop, _ in self.unreadable):
            return
        if self.unreadable and self.unreadable[-1][1] == begin:
            start, _, why = self.unreadable.pop()
            self.unreadable.append((start, end, why))
        elif len(self.unreadable) < _MOST_RANGES:
            self.unreadable.append((begin, end, why))
