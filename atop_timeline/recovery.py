"""Where a raw log goes on behind damage: the next record that proves itself, or the next header.

A record proves itself by the two zlib streams behind it, which end where it says and carry checksums. Their
lengths also tell which atop wrote it, so that samples are found behind a header that is lost.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from isal import isal_zlib

from atop_timeline.errors import UnknownLayout, WrongParser
from atop_timeline.header import RAWHEADER_BYTES, Header, header_of, in_place, read_header, shortened, without_header
from atop_timeline.layout import (
    Layout,
    Lengths,
    inferred_layouts,
    lengths_of,
    read_rawheader,
    release_of,
)
from atop_timeline.leads import HEADER_HEAD, MOST_SSTAT_BYTES, forms_of, headers, records
from atop_timeline.plausible import plausible
from atop_timeline.record import (
    MOST_TASK_BYTES,
    STREAM_START,
    Budget,
    Bytes,
    TornError,
    announced,
    could_hold,
    has_time,
    read_sample,
)

_LEAST_WINDOW_BYTES, _MOST_WINDOW_BYTES = 1 << 13, 1 << 18  # most often the next record is near
_MOST_TSTAT_BYTES = 1 << 12
_MOST_FAILURES = 64
_MOST_TRACES = 1000
_MOST_HEADERS = 8
_PEEK_BYTES = 1 << 10  # of a stream, before all of it is read
_FIRST_STEP_BYTES = 1 << 16  # of inflating; each further one is four times as large


class Found(NamedTuple):
    """Where reading can go on."""

    header: Header
    offset: int
    is_header: bool

    @property
    def start(self) -> int:
        """Where the next record ought to begin."""
        return self.offset + RAWHEADER_BYTES if self.is_header else self.offset

    @property
    def proved(self) -> int:
        """Behind what it may begin: bytes of a header may be missing."""
        return self.offset + HEADER_HEAD if self.is_header else self.offset


class Measured(NamedTuple):
    """A record that proved itself, and what its streams hold."""

    byte_order: str
    lengths: Lengths
    second: int
    tasks: bytes


class Recovery:
    """A search for records and headers in one log; it ends where it costs more than honest data could.

    The budget is that of the whole log, unless another is given.
    """

    def __init__(self, data: Bytes, budget: Budget | None = None) -> None:
        self._data = data
        self.budget = budget or Budget(data.size)
        self._failures = 0
        self.traces: list[int] = []
        """Where, in the last search, records began that did not prove themselves."""

    @property
    def exhausted(self) -> bool:
        """Whether no more is looked for."""
        return self.budget.exhausted or self._failures >= _MOST_FAILURES

    def first_header(self) -> Header:
        """The header at the start of the log, or what samples and the rest of it tell in its place.

        Raises `WrongParser` or `UnknownLayout` where nothing does.
        """
        start = self._data.window(0, RAWHEADER_BYTES)
        try:
            return read_header(start)
        except UnknownLayout:
            raw = read_rawheader(start)
            layout = self._first_layout(int(raw["rawreclen"]), release_of(raw))
            if layout is None:
                raise
            return _inferred(raw, 0, layout)
        except WrongParser:
            raw_or_none = in_place(start)
            layout = self._first_layout(0, "" if raw_or_none is None else release_of(raw_or_none))
            if layout is None:
                raise
            if raw_or_none is not None:
                return _inferred(raw_or_none, 0, layout)
            return without_header(0, layout, _caveat(layout, _NO_HEADER))

    def header_at(self, offset: int) -> Header | None:
        """The header here, if one is; of an unknown atop only if a record behind it proves itself."""
        start = self._data.window(offset, offset + RAWHEADER_BYTES)
        try:
            return read_header(start, offset)
        except UnknownLayout:
            raw = read_rawheader(start)
            for form in forms_of(int(raw["rawreclen"])):
                layout = self.layout(self.measured(offset + RAWHEADER_BYTES, form), release_of(raw))
                if layout:
                    return _inferred(raw, offset, layout)
        except WrongParser:
            pass
        return None

    def shortened(self, header: Header, end: int) -> Header:
        """A header before whose end, at an offset, its first sample begins."""
        begin = header.start - RAWHEADER_BYTES
        return shortened(header, self._data.window(begin, end), end - begin)

    def find(self, headers: Sequence[Header], begin: int) -> Found | None:
        """The first header, or record that proves itself, from an offset on; behind what some headers began."""
        self.traces = []
        for offset, form in self._leads(begin, headers[-1].layout.rawrecord.itemsize):
            if form is None:
                found = self.header_at(offset)
                if found:
                    return Found(found, offset, is_header=True)
            else:
                owner = self._owner(headers, offset, form)
                if owner:
                    return Found(owner, offset, is_header=False)
        return None

    def _owner(self, headers: Sequence[Header], offset: int, form: np.dtype[np.void]) -> Header | None:
        """Whose the record here is: the latest header's that fits, or a lost one's; None if it is not intact."""
        measured = self.measured(offset, form)
        known = next((each for each in reversed(headers[-_MOST_HEADERS:]) if measured and _is_of(each, measured)), None)
        if known:
            try:
                read_sample(self._data, known, offset)
            except TornError:
                measured = None
            else:
                return known
        if measured is None:
            if form.itemsize == headers[-1].layout.rawrecord.itemsize and len(self.traces) < _MOST_TRACES:
                self.traces.append(offset)
            return None
        layout = self.layout(measured, headers[-1].release)
        return without_header(offset, layout, _caveat(layout, _NO_HEADER)) if layout else None

    def _first_layout(self, record_length: int, release: str) -> Layout | None:
        """The layout that the first record which tells one has."""
        for offset, form in self._leads(0, record_length):
            layout = form and self.layout(self.measured(offset, form), release)
            if layout:
                return layout
        return None

    def layout(self, measured: Measured | None, release: str) -> Layout | None:
        """The layout in which all tasks of a record make sense."""
        if not measured or not measured.tasks or self._failures >= _MOST_FAILURES:
            return None
        for layout in inferred_layouts(measured.byte_order, measured.lengths, release):
            tasks = np.frombuffer(measured.tasks, layout.tstat)
            if all(plausible(some, measured.second).all() for some in (tasks[:1], tasks)):  # most fail with the first
                return layout
        self._failures += 1
        return None

    def measured(self, offset: int, form: np.dtype[np.void]) -> Measured | None:
        """The record of this form here, if its streams prove it."""
        head = self._data.window(offset, offset + form.itemsize)
        if len(head) < form.itemsize or not has_time(record := np.frombuffer(head, form)[0]):
            return None
        start, count = offset + form.itemsize, announced(record)
        place = start + int(record["scomplen"])
        most = min(count * _MOST_TSTAT_BYTES, MOST_TASK_BYTES)
        tasks = self._whole(place, int(record["pcomplen"]), most)  # first: if any stream is torn, it is this
        if tasks is None or len(tasks) % max(count, 1):
            return None
        sstat = self._whole(start, place - start, MOST_SSTAT_BYTES)
        if not sstat:
            return None
        lengths = Lengths(form.itemsize, len(tasks) // max(count, 1), len(sstat))
        return Measured(form["curtime"].str[0], lengths, int(record["curtime"]), tasks)

    def sstat_bytes(self, offset: int, form: np.dtype[np.void]) -> int:
        """How much the first stream of the record of this form here holds, whatever follows; 0 if it is not whole."""
        head = self._data.window(offset, offset + form.itemsize)
        if len(head) < form.itemsize or not has_time(record := np.frombuffer(head, form)[0]):
            return 0
        return len(self._whole(offset + form.itemsize, int(record["scomplen"]), MOST_SSTAT_BYTES) or b"")

    def _whole(self, offset: int, length: int, most: int) -> bytes | None:
        """What a zlib stream holds, if it is whole, as long as it should be, and holds no more than `most`."""
        if not could_hold(length, most) or offset + length > self._data.size or self.budget.exhausted:
            return None
        start = self._data.window(offset, offset + min(length, _PEEK_BYTES))
        if not re.match(STREAM_START, start):
            return None
        try:
            self.budget.spend(len(start))
            isal_zlib.decompressobj().decompress(start, _FIRST_STEP_BYTES)
            self.budget.spend(length)
            return self._inflated(self._data.read(offset, length, ""), most)
        except (TornError, isal_zlib.error):  # type: ignore[misc]  # the second is an exception, but has no type
            return None

    def _inflated(self, blob: bytes, most: int) -> bytes | None:
        """All that a blob holds, by steps: most of what is broken breaks soon."""
        inflater, parts, step = isal_zlib.decompressobj(), list[bytes](), _FIRST_STEP_BYTES
        left = most + 1
        while left and not inflater.eof:
            self.budget.spend(min(step, left))
            part = inflater.decompress(blob, min(step, left))
            if not part and not inflater.eof:
                return None
            parts.append(part)
            blob, left, step = inflater.unconsumed_tail, left - len(part), 4 * step
        is_whole = inflater.eof and not inflater.unused_data and left
        return b"".join(parts) if is_whole else None

    def _leads(self, begin: int, record_length: int) -> Iterator[tuple[int, np.dtype[np.void] | None]]:
        """Where headers (None) and records of any form may begin, in order."""
        forms = forms_of(record_length)
        overlap = max(form.itemsize for form in forms) + 1
        base, size = begin, _LEAST_WINDOW_BYTES
        while base < self._data.size:
            data = self._data.window(base, base + size + overlap)
            window = np.frombuffer(data, np.uint8)
            leads: list[tuple[int, np.dtype[np.void] | None]] = [(offset, None) for offset in headers(window)]
            streams = np.array([match.start() for match in re.finditer(STREAM_START, data)], np.intp)
            for form in forms:
                leads += [(offset, form) for offset in records(window, streams, form).tolist()]
            for offset, kind in sorted(leads, key=lambda lead: lead[0]):
                if self.budget.exhausted:
                    return
                if offset < size:
                    yield base + offset, kind
            base, size = base + size, min(2 * size, _MOST_WINDOW_BYTES)


def _is_of(header: Header, measured: Measured) -> bool:
    """Whether a record has the lengths and byte order of those behind a header."""
    layout = header.layout
    lengths = measured.lengths if measured.tasks else measured.lengths._replace(tstat=layout.lengths.tstat)
    return measured.byte_order == layout.abi.byte_order and lengths == layout.lengths


_NO_HEADER = "no readable header"


def _inferred(raw: np.void, offset: int, layout: Layout) -> Header:
    """The header whose structure this is, but whose lengths no known atop writes."""
    is_build = layout.foreign is not None and lengths_of(raw) == layout.foreign
    problem = f"unknown build of atop {release_of(raw)}" if is_build else "damaged header"
    return header_of(raw, offset, layout, _caveat(layout, problem))


def _caveat(layout: Layout, problem: str) -> str:
    if layout.foreign is None:
        return f"{problem}: read as atop {layout.version}, whose structures the samples have"
    sizes = "/".join(map(str, layout.lengths))
    return f"{problem}: structures of {sizes} bytes are of no known atop, and read only as far as they never changed"
