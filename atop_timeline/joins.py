"""Samples that were torn between two fragments of a log, put together again.

A file lies in blocks: a sample that begins in one fragment and ends right before the first sample of another has
as many bytes as its record says, if it is parted where a block ends. Its checksum proves it.
"""

import io
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from isal import isal_zlib

from atop_timeline.header import Header
from atop_timeline.layout import Layout
from atop_timeline.record import Bytes, Sample, TornError, read_sample, stored_bytes

_SECTOR_BYTES, _BLOCK_BYTES = 1 << 9, 1 << 12
_MOST_BYTES, _MOST_BYTES_IN_SECTORS = 1 << 21, 1 << 16
_MOST_STARTS = 1 << 6  # that may follow one sample
_FREE_BYTES, _BYTES_PER_BYTE = 1 << 33, 16  # of system-level data, to be inflated in vain
BEHIND_HEADER = -1


class Torn(NamedTuple):
    """A sample that begins at an offset, behind others from `begin` on, or from a header on."""

    offset: int
    header: Header
    begin: int


class Joined(NamedTuple):
    """Where a torn sample is parted, where its rest begins, and where that ends and other samples begin."""

    torn: Torn
    cut: int
    rest: int
    following: int


class Joins:
    """Looks for the rest of torn samples before others of the same structures that follow them in time."""

    def __init__(self, data: Bytes) -> None:
        self._data = data
        self._left = _FREE_BYTES + _BYTES_PER_BYTE * data.size
        self._starts: dict[tuple[object, ...], list[int]] = defaultdict(list)

    def begins(self, layout: Layout, offset: int) -> None:
        """Keeps that samples begin here, without a header before them."""
        record = self._record(layout, offset)
        if record is not None:
            starts = self._starts[*_key(layout), int(record["curtime"]) - int(record["interval"])]
            starts += [offset] if len(starts) < _MOST_STARTS else []

    @property
    def exhausted(self) -> bool:
        """Whether it took more than honest fragments could."""
        return self._left <= 0

    def joined(self, torn: Torn) -> Joined | None:
        """A torn sample with its rest, if that is found."""
        layout = torn.header.layout
        record = self._record(layout, torn.offset)
        if record is None:
            return None
        size = stored_bytes(record)
        for following in self._starts.get((*_key(layout), int(record["curtime"])), ()):
            if size <= _MOST_BYTES and not (torn.offset + size - following) % _SECTOR_BYTES:
                for cut in _cuts(torn.offset + 1, torn.offset + size):
                    joined = Joined(torn, cut, following - (torn.offset + size - cut), following)
                    if self.sample(joined, torn.header):
                        return joined
        return None

    def sample(self, joined: Joined, header: Header) -> Sample | None:
        """What was put together, behind this header; None where it does not prove itself."""
        offset, cut, rest = joined.torn.offset, joined.cut, joined.rest
        if rest < 0 or self.exhausted:
            return None
        self._left -= header.layout.sstat.itemsize
        whole = self._data.window(offset, cut) + self._data.window(rest, joined.following)
        try:
            sample, _, _ = read_sample(Bytes(io.BytesIO(whole)), header, 0)
        except TornError:
            return None
        place = header.layout.rawrecord.itemsize
        if not _is_whole(whole[place : place + int(sample.record["scomplen"])], header.layout.sstat.itemsize):
            return None
        what = f"joined from two fragments: {cut - offset} bytes at offset {offset}, the rest at {rest}"
        return sample._replace(offset=offset, caveat=what)

    def _record(self, layout: Layout, offset: int) -> np.void | None:
        form = layout.rawrecord
        head = self._data.window(offset, offset + form.itemsize)
        record: np.void | None = np.frombuffer(head, form)[0] if len(head) == form.itemsize else None
        return record


def _is_whole(stream: bytes, size: int) -> bool:
    """Whether a zlib stream holds so many bytes, as its checksum says: the first one tells where a sample is parted."""
    inflater = isal_zlib.decompressobj()
    try:
        data = inflater.decompress(stream, size + 1)
    except isal_zlib.error:  # type: ignore[misc]  # it is an exception, but has no type
        return False
    return bool(inflater.eof) and len(data) == size


def _key(layout: Layout) -> tuple[object, ...]:
    return (layout.abi.byte_order, *layout.lengths)


def _cuts(begin: int, end: int) -> Iterator[int]:
    """Where a sample may be parted: where blocks begin, and then where sectors do."""
    yield from range(begin + -begin % _BLOCK_BYTES, end, _BLOCK_BYTES)
    if end - begin <= _MOST_BYTES_IN_SECTORS:
        sectors = range(begin + -begin % _SECTOR_BYTES, end, _SECTOR_BYTES)
        yield from (cut for cut in sectors if cut % _BLOCK_BYTES)
