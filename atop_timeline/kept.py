"""Texts on disk, by the numbers of rows: a column that is written once, and read a few thousand rows at a time."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atop_timeline.store import Store, Strings

_PLACE = np.dtype([("begin", "<i8"), ("length", "<i8")])
_NEAR_BYTES = 1 << 13
"""Places with no more than this between them are read together."""

_READ_BITS = 22  # of how many bytes are read together, about: they are there twice until those of rows are taken


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

    def lengths(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many bytes the texts of different rows have, in ascending order; shape (n,)."""
        lengths: NDArray[np.int64] = self._places_at(rows)["length"]
        return lengths

    def texts(self, rows: NDArray[np.int64]) -> list[bytes]:
        """The texts of different rows, which have one, in ascending order."""
        places = self._places_at(rows)
        order = np.lexsort((places["length"], places["begin"]))  # of those at one place, the one that is not empty last
        begins = places["begin"][order]
        ends = begins + places["length"][order]
        found: list[bytes] = []
        with self._texts.open("rb", buffering=0) as file:
            for some in _near(begins, ends):
                first, end = int(begins[some][0]), int(ends[some][-1])
                file.seek(first)
                data = file.read(end - first)
                bounds = zip((begins[some] - first).tolist(), (ends[some] - first).tolist(), strict=True)
                found += [data[begin:end] for begin, end in bounds]
        texts = np.empty(len(rows), object)
        texts[order] = np.fromiter(found, object)
        return texts.tolist()

    def _places_at(self, rows: NDArray[np.int64]) -> NDArray[np.void]:
        """Where the texts of different rows are, in ascending order."""
        places = np.empty(len(rows), _PLACE)
        with self._places.open("rb", buffering=0) as file:
            for some in _near(rows * _PLACE.itemsize, (rows + 1) * _PLACE.itemsize):
                first, end = int(rows[some][0]), int(rows[some][-1]) + 1
                file.seek(first * _PLACE.itemsize)
                known = np.frombuffer(file.read((end - first) * _PLACE.itemsize), _PLACE)
                places[some] = known[rows[some] - first]
        return places


def _write(path: Path, data: bytes | memoryview, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def _near(begins: NDArray[np.int64], ends: NDArray[np.int64]) -> Iterator[slice]:
    """Which of some places of a file, in ascending order, are to be read together."""
    is_far = begins[1:] - ends[:-1] > _NEAR_BYTES
    parted = np.flatnonzero(is_far | (begins[1:] >> _READ_BITS > begins[:-1] >> _READ_BITS)) + 1
    bounds = [0, *parted.tolist(), len(begins)] if len(begins) else []
    return (slice(*each) for each in pairwise(bounds))
