"""How much of a timeline is worked on at a time: memory is bounded, whatever the evidence holds."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atop_timeline.events import Facts

_FACTS_BYTES = 36_000_000
_FEW_BYTES = 64_000_000  # of all facts: beside these the store leaves memory unused
WINDOW_BYTES = 1 << 26
"""Of the texts of lines that are put together at once."""

WINDOW_LINES, WINDOW_EVENTS = 200_000, 100_000
"""How many there are in a window, of lines and of events by columns, where they have much in common."""

_COLUMNS_BYTES = 1 << 25  # of different facts that are looked at together by columns: two parts are there at a time
_CELL_BYTES = 8
_ROW_BYTES = 350  # numbers as text, and the rest of a line
_COPIES = 3  # of a text in a line: in its column, in the message, in another escape
_TEXT_COPIES = 2  # of a text in the store, for each column of texts: as it is, and as it is shown
_TEXT_BYTES = 50  # of each in the store besides


class Place(NamedTuple):
    """Where an event stands in the order of all."""

    time_us: int
    rank: int
    sample_id: int
    entry: int


class Window(NamedTuple):
    """Events from a place up to another one, which is not in it; `ranks` are those that there are."""

    begin: Place
    end: Place
    ranks: Sequence[int]

    def condition(self, rank: int) -> str:
        """SQL that tells which events of the type of a rank are in it."""
        return f"({_is_behind(self.begin, rank)}) AND NOT ({_is_behind(self.end, rank)})"


def _is_behind(place: Place, rank: int) -> str:
    """SQL that tells which events of a rank stand at a place or behind it."""
    if rank != place.rank:
        return f"time_us {'>=' if rank > place.rank else '>'} {place.time_us}"
    sample = f"sample_id > {place.sample_id} OR sample_id = {place.sample_id} AND entry >= {place.entry}"
    return f"time_us >= {place.time_us} AND (time_us > {place.time_us} OR {sample})"


class Chunk(NamedTuple):
    """Rows of facts, and the texts to which they refer: the first of each, and the first that is not in it."""

    row: int
    end_row: int
    text: int
    end_text: int


class Chunks:
    """Facts in the order of their rows, in chunks of not too many bytes; so many chunks are worked on at once."""

    def __init__(self, at_once: int = 1) -> None:
        self.rows = self.texts = 0
        """How many there are."""
        self.bytes = 0
        """About how many they have, in lines and in the store."""
        self._chunks: list[Chunk] = []
        self._at_once = at_once
        self._chunk_bytes = 0
        self._bytes_per_row = _ROW_BYTES

    def add(self, facts: Facts) -> None:
        """Counts facts, all of them behind those before."""
        rows, texts = self.rows, self.texts
        self.rows, self.texts = rows + _length(facts), texts + len(facts.values)
        in_lines = int(_row_bytes(facts).sum())
        size = in_lines + int(_text_bytes(facts).sum())
        self._bytes_per_row = max(self._bytes_per_row, in_lines // max(_length(facts), 1))
        self.bytes += size
        if self._chunks and self._chunk_bytes + size <= _FACTS_BYTES // self._at_once:
            self._chunk_bytes += size
            self._chunks[-1] = self._chunks[-1]._replace(end_row=self.rows, end_text=self.texts)
        else:
            self._chunk_bytes = size
            self._chunks.append(Chunk(rows, self.rows, texts, self.texts))

    @property
    def chunks(self) -> list[Chunk]:
        """All of them; larger ones where facts are few, as each costs time of its own."""
        together = self._at_once + 1 if self.bytes <= _FEW_BYTES else 1
        parts = (self._chunks[begin : begin + together] for begin in range(0, len(self._chunks), together))
        return [Chunk(some[0].row, some[-1].end_row, some[0].text, some[-1].end_text) for some in parts]

    def together(self, columns: int) -> int:
        """How many rows, at least one, may be looked at together, by so many columns."""
        return max(_COLUMNS_BYTES // (self._bytes_per_row + _CELL_BYTES * columns), 1)


def divided(facts: Facts) -> Iterator[Facts]:
    """The same facts in their order, in parts of not too many bytes, each with its own texts."""
    sizes = _row_bytes(facts)
    if sizes.sum() + _text_bytes(facts).sum() <= _FACTS_BYTES:
        yield facts
        return
    ends = np.cumsum(sizes + _first_text_bytes(facts)) // _FACTS_BYTES
    bounds = [0, *(np.flatnonzero(np.diff(ends)) + 1).tolist(), _length(facts)]
    for begin, end in pairwise(bounds):
        columns, texts, rows = (
            {name: each[begin:end] for name, each in kind.items()} for kind in (facts.columns, facts.texts, facts.rows)
        )
        yield Facts(columns, *_own_texts(texts, facts.values), rows)


def _own_texts(
    texts: dict[str, NDArray[np.int64]], values: Sequence[str]
) -> tuple[dict[str, NDArray[np.int64]], list[str]]:
    """Texts by the numbers of those values alone that they have; what is unknown stays so."""
    used = np.unique(np.concatenate([each[each >= 0] for each in texts.values()]))
    renumbered = {name: np.where(each < 0, each, np.searchsorted(used, each)) for name, each in texts.items()}
    return renumbered, [values[number] for number in used.tolist()]


def _row_bytes(facts: Facts) -> NDArray[np.int64]:
    """About how long the lines of some facts will be, at most; shape (n,)."""
    lengths = np.array([*map(len, facts.values), 0])
    size = np.full(_length(facts), _ROW_BYTES)
    for each in facts.texts.values():
        size += _COPIES * lengths[each]
    return size


def _text_bytes(facts: Facts) -> NDArray[np.int64]:
    """About how much the store needs for each text of some facts."""
    lengths = np.array([*map(len, facts.values)], np.int64)
    return len(facts.texts) * (_TEXT_COPIES * lengths + _TEXT_BYTES)


def _first_text_bytes(facts: Facts) -> NDArray[np.int64]:
    """The same for each row: of those texts that no row before has; shape (n,)."""
    sizes = np.zeros(_length(facts), np.int64)
    if facts.texts:
        used, first = np.unique(np.stack([*facts.texts.values()], axis=1), return_index=True)
        np.add.at(sizes, first[used >= 0] // len(facts.texts), _text_bytes(facts)[used[used >= 0]])
    return sizes


def _length(facts: Facts) -> int:
    columns = (*facts.columns.values(), *facts.texts.values(), *facts.rows.values())
    return len(columns[0]) if columns else 0
