"""Texts on disk, by the numbers of rows: a column that is written once, and read a few thousand rows at a time."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atop_timeline.store import Store, Strings

_PLACE = np.dtype([("begin", "<i8"), ("length", "<i8")])
_NEAR_BYTES = 1 << 13
"""Places with no more than this between them are read together."""


def kept(store: Store, name: str, count: int, queries: Iterable[str]) -> list["Kept"]:
    """So many columns of texts, which queries give beside the number of each row."""
    with store.errors():
        columns = [Kept(store.directory / f"{name}_{number}") for number in range(count)]
        for query in queries if columns else ():
            for rows, texts in store.strings(query):
                for column, each in zip(columns, texts, strict=True):
                    column.add(rows, each)
    return columns


class Kept:
    """A column of texts in UTF-8 in two new files: the texts, and where that of each row is."""

    def __init__(self, path: Path) -> None:
        self._texts, self._places = path.with_suffix(".texts"), path.with_suffix(".places")
        self._size = 0
        for each in (self._texts, self._places):
            each.write_bytes(b"")

    def add(self, rows: NDArray[np.int64], texts: Strings) -> None:
        """A text for each of some rows, in any order, of which none has one; raises `OSError`."""
        first, count = int(rows.min()), int(rows.max() - rows.min()) + 1
        places = self._places_of(first, count)
        places["begin"][rows - first] = self._size + texts.offsets[:-1].astype(np.int64)
        places["length"][rows - first] = np.diff(texts.offsets)
        _write(self._places, places.tobytes(), first * _PLACE.itemsize)
        _write(self._texts, texts.data, self._size)
        self._size += len(texts.data)

    def _places_of(self, first: int, count: int) -> NDArray[np.void]:
        """Where the texts of some rows are as far as they were added: the next ones may lie between them."""
        size = _PLACE.itemsize
        with self._places.open("rb") as file:
            file.seek(first * size)
            known = file.read(count * size)
        return np.frombuffer(known.ljust(count * size, b"\0"), _PLACE).copy()

    def texts(self, rows: NDArray[np.int64]) -> list[bytes]:
        """The texts of different rows, which have one, in ascending order."""
        size = _PLACE.itemsize
        places = np.frombuffer(b"".join(_pieces(self._places, rows * size, np.full(len(rows), size))), _PLACE)
        return _pieces(self._texts, places["begin"], places["length"])


def _write(path: Path, data: bytes | memoryview, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def _pieces(path: Path, begins: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[bytes]:
    """What is at some places of a file, in the order in which they are given; near ones are read together."""
    order = np.lexsort((lengths, begins))  # of those at one place, the one that is not empty last
    ends = begins[order] + lengths[order]
    parted = np.flatnonzero(begins[order][1:] - ends[:-1] > _NEAR_BYTES) + 1
    pieces = [b""] * len(begins)
    with path.open("rb", buffering=0) as file:
        for together in np.split(order, parted) if len(order) else ():
            first, end = int(begins[together[0]]), int(begins[together[-1]] + lengths[together[-1]])
            file.seek(first)
            data = file.read(end - first)
            places = zip((begins[together] - first).tolist(), lengths[together].tolist(), strict=True)
            for number, (begin, length) in zip(together.tolist(), places, strict=True):
                pieces[number] = data[begin : begin + length]
    return pieces
