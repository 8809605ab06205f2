"""Samples of deleted logs in any bytes: a volume, a disk, swap, a memory dump.

Each is proved by its zlib streams, wherever it lies; those behind a header, one next to the other, are of its
machine. Those without one wait for the end, when all headers are known.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import BinaryIO

import numpy as np

from atop_timeline import leads
from atop_timeline.blocks import Samples, blocks_of
from atop_timeline.cached import PIECE_BYTES, Cached
from atop_timeline.header import RAWHEADER_BYTES, Header
from atop_timeline.joins import BEHIND_HEADER, Joined, Joins, Torn
from atop_timeline.layout import MOST_RECORD_BYTES
from atop_timeline.machines import Machines, boots_of
from atop_timeline.rawlog import Damage
from atop_timeline.record import (
    MOST_INFLATION,
    MOST_TASK_BYTES,
    Budget,
    Bytes,
    Remark,
    Sample,
    TornError,
    announced,
    read_sample,
)
from atop_timeline.recovery import Recovery
from atop_timeline.runs import Gathered, Run, begins_before, doubted
from atop_timeline.salvage import Salvage

_MOST_RUNS = 1 << 20
_MOST_FORMS = 8
_MOST_REMARKS = 1000
_LEAD_COST_BYTES = 1 << 14  # of a budget: to look at a lead takes as long as to inflate this


@dataclass
class _Tally:
    """How many samples of a header there are, and where."""

    first: int
    last: int = 0
    places: int = 0
    samples: int = 0


class Carving:
    """Samples of deleted logs, in a seekable stream that the caller closes; `users` are the names by user id.

    `skip` are ranges, from one offset to another, in which none are looked for. `headers`, `damages` and
    `remarks` are complete once the samples have been read to their end.
    """

    def __init__(
        self,
        stream: BinaryIO,
        users: Mapping[int, str] = MappingProxyType({}),
        skip: Sequence[tuple[int, int]] = (),
    ) -> None:
        self.users = users
        self._skip = sorted(skip)
        self._stream = Cached(stream)
        self._data = Bytes(self._stream)
        self._torn = set[tuple[int, str, int]]()
        self._proved = 0
        self._reset()

    @property
    def size(self) -> int:
        """In bytes."""
        return self._stream.size

    def samples(self) -> Iterator[Sample]:
        """What is behind headers, in the order of the stream; then what has no header, machine by machine."""
        self._reset()
        for begin, end in _pieces(self.size, self._skip):
            yield from self._searched(max(begin, self._proved), end)
            self.position = end
            self._torn = {each for each in self._torn if each[0] > end - MOST_RECORD_BYTES}
            if len(self._runs) >= _MOST_RUNS:
                yield from self._without_header()
        yield from self._without_header()
        self._tell()

    def blocks(self) -> Iterator[Samples]:
        """The samples in blocks of some megabytes, for work by columns; the tasks of one give way to the next."""
        return blocks_of(self.samples(), self.users)

    def _reset(self) -> None:
        self.headers, self.damages, self.remarks = list[Header](), list[Damage](), list[Remark]()
        self.position = self._proved = 0
        self._machines = Machines()
        self._forms = list(leads.forms_of())
        self._tallies: dict[Header, _Tally] = {}
        self._runs: list[Run] = []
        self._ends: list[Torn] = []
        self._end = 0
        self._unsearched: list[tuple[int, int]] = []
        self._torn = set()

    def _searched(self, begin: int, end: int) -> Iterator[Sample]:
        """What begins in a piece; hostile bytes can use up the time of no other piece."""
        recovery = _recovery(self._data)
        for offset, form in self._leads(begin, end):
            if offset < self._proved or (form and (offset, *leads.shape_of(form)) in self._torn):
                continue
            if recovery.exhausted:
                self._pass_over(offset, end)
                return
            recovery.budget.spend(_LEAD_COST_BYTES)
            if form is None:
                yield from self._behind_header(recovery, offset)
            else:
                self._gather(recovery, offset, form)

    def _leads(self, begin: int, end: int) -> list[tuple[int, np.dtype[np.void] | None]]:
        """Where headers (None) begin in a piece, and records whose first stream does, in order."""
        if begin >= end:
            return []
        start = max(begin - MOST_RECORD_BYTES, self._proved)
        window = np.frombuffer(self._data.window(start, end + leads.HEADER_HEAD), np.uint8)
        streams = leads.pairs(window[: end - start + 1], leads.COMPRESSED)
        streams = streams[streams >= begin - start]
        found: list[tuple[int, np.dtype[np.void] | None]]
        found = [(start + place, None) for place in leads.headers(window) if begin <= start + place < end]
        for form in self._forms if len(streams) else ():
            places = leads.followed(window, leads.records(window, streams, form), form)
            found += [(start + place, form) for place in places.tolist()]
        return sorted(found, key=lambda lead: lead[0])

    def _behind_header(self, recovery: Recovery, offset: int) -> Iterator[Sample]:
        header = recovery.header_at(offset)
        known = header and self._machines.known(header)
        if known is None:
            return
        tally = self._tallies.setdefault(known, _Tally(offset))
        tally.places += 1
        self._learn(known.layout.rawrecord)
        for sample in self._run(recovery, known, offset + RAWHEADER_BYTES):
            self._machines.booted(known, boots_of(sample))
            yield self._counted(sample)
            del sample  # it may be large, and the next one as well
        self._ends.append(Torn(self._end, known, BEHIND_HEADER))

    def _gather(self, recovery: Recovery, offset: int, form: np.dtype[np.void]) -> None:
        """Keeps where samples without a header are."""
        measured = recovery.measured(offset, form)
        layout = recovery.layout(measured, "")
        if layout is None:
            sstat_bytes = 0 if measured else recovery.sstat_bytes(offset, form)
            if sstat_bytes:
                torn = (form["curtime"].str[0], form.itemsize, sstat_bytes)
                self._runs.append(Run(offset, 0, {}, None, begins_before(offset, form), torn))
            return
        self._machines.saw(layout)
        found = Gathered()
        for sample in self._run(recovery, self._machines.unknown(layout), offset):
            found.count(sample)
        is_doubtful = found.is_alone and begins_before(offset, form)
        if found.whole:
            self._runs.append(Run(offset, found.whole, found.boots, layout, is_doubtful))
            self._ends.append(Torn(self._end, self._machines.unknown(layout), offset))
        self._runs += [Run(part, 0, found.boots, layout) for part in found.parts]

    def _run(self, recovery: Recovery, header: Header, offset: int) -> Iterator[Sample]:
        """The samples from an offset on, one next to the other, and what can be saved of a torn one behind them."""
        while True:
            try:
                sample, self._proved, offset = read_sample(self._data, header, offset)
            except TornError:
                break
            yield sample
            del sample
        self._end = offset
        recovery.budget.spend(_most_inflated(self._data, header, offset))
        self._torn.add((offset, *leads.shape_of(header.layout.rawrecord)))
        yield from self._saved(recovery, header, offset)

    def _saved(self, recovery: Recovery, header: Header, offset: int) -> Iterator[Sample]:
        """What can be saved of a torn sample: no other's, as its own first stream tells where its tasks are."""
        layout = header.layout
        if recovery.sstat_bytes(offset, layout.rawrecord) == layout.sstat.itemsize:
            record = _record(self._data, header, offset)
            lengths = (layout.rawrecord.itemsize, record["scomplen"], record["pcomplen"])
            end = min(offset + sum(map(int, lengths)), self.size)
            yield from Salvage(self._data, recovery.budget, header, ends=False).samples([offset], end)

    def _without_header(self) -> Iterator[Sample]:
        """The samples whose machine is to be told by what all headers are, or by others that they follow."""
        joins = Joins(self._data)
        joined = self._joined(joins)
        following = _following(joined)
        ends = {each.torn.offset for each in joined}
        self._runs = [run for run in self._runs if run.samples or run.offset not in ends]
        by_header: dict[Header, list[Run]] = {}
        for run in self._runs:
            header = following.get(run.offset) or self._owner(run)
            if header:
                by_header.setdefault(header, []).append(run)
        owners = {run.offset: header for header, runs in by_header.items() for run in runs}
        self._runs, self._ends = [], []
        if joins.exhausted:
            self.remarks.append(
                Remark(0, "not all torn samples were joined: too much looks like fragments", serious=True)
            )
        for each in joined:
            sample = joins.sample(each, owners.get(each.following, each.torn.header))
            if sample:
                self._tallies.setdefault(sample.header, _Tally(sample.offset))
                yield self._counted(sample)
        for header, runs in by_header.items():
            tally = self._tallies.setdefault(header, _Tally(runs[0].offset))
            for run in runs:
                tally.places += 1
                for sample in self._again(header, run):
                    is_doubtful = run.is_doubtful and sample.offset == run.offset
                    yield self._counted(doubted(sample) if is_doubtful else sample)
                    del sample

    def _joined(self, joins: Joins) -> list[Joined]:
        """The torn samples whose rest is before samples without a header, also before others that are torn."""
        ends = {each.offset: each for each in self._ends}
        for run in self._runs:
            layout = run.layout or self._machines.layout_of(*run.torn)
            if layout:
                joins.begins(layout, run.offset)
                if not run.samples:
                    ends.setdefault(run.offset, Torn(run.offset, self._machines.unknown(layout), run.offset))
        return [each for each in map(joins.joined, ends.values()) if each]

    def _owner(self, run: Run) -> Header | None:
        """Whose a run is; None if there is nothing in it after all."""
        layout = run.layout or self._machines.layout_of(*run.torn)
        if layout is None:
            return None
        if run.layout:
            return self._machines.owner(layout, run.boots)
        part = next(self._saved(_recovery(self._data), self._machines.unknown(layout), run.offset), None)
        return self._machines.owner(layout, boots_of(part)) if part else None

    def _again(self, header: Header, run: Run) -> Iterator[Sample]:
        """The samples of a run that was found before."""
        if not run.samples:
            yield from self._saved(_recovery(self._data), header, run.offset)
        offset = run.offset
        for _ in range(run.samples):
            try:
                sample, _, offset = read_sample(self._data, header, offset)
            except TornError as error:
                self.damages.append(Damage(offset, 0, 1, 0, f"was there before: {error}"))
                return
            yield sample
            del sample

    def _counted(self, sample: Sample) -> Sample:
        tally = self._tallies[sample.header]
        if not tally.samples:
            self.headers.append(sample.header)
        tally.samples += 1
        tally.last = sample.offset
        return sample

    def _learn(self, form: np.dtype[np.void]) -> None:
        """Looks from now on for records of this form as well."""
        is_known = leads.shape_of(form) in map(leads.shape_of, self._forms)
        if not is_known and len(self._forms) < len(leads.forms_of()) + _MOST_FORMS:
            self._forms.append(form)

    def _pass_over(self, begin: int, end: int) -> None:
        is_near = self._unsearched and begin - self._unsearched[-1][1] < PIECE_BYTES
        if is_near or len(self._unsearched) == _MOST_REMARKS:
            begin, _ = self._unsearched.pop()
        self._unsearched.append((begin, end))

    def _tell(self) -> None:
        """What was found where, and what was not looked at."""
        for header, tally in self._tallies.items():
            self.remarks.append(_remark(header, tally))
        for begin, end in self._unsearched:
            what = f"not all was searched up to offset {end}: too much looks like samples, and is none"
            self.remarks.append(Remark(begin, what, serious=True))
        for begin, end, why in self._stream.unreadable:
            self.damages.append(Damage(begin, end - begin, 0, 0, why))


def _recovery(data: Bytes) -> Recovery:
    """A search of one piece; 256 MiB may be inflated in vain, as much as the worst fragments of honest logs ask for."""
    return Recovery(data, Budget(PIECE_BYTES // 8))


def _following(joined: Sequence[Joined]) -> dict[int, Header]:
    """The header of each run, by its offset, that goes on what is behind that header."""
    found: dict[int, Header] = {}
    by_begin = {each.torn.begin: each for each in joined}
    for each in joined:
        place: Joined | None = each if each.torn.begin == BEHIND_HEADER else None
        while place and place.following not in found:
            found[place.following] = each.torn.header
            place = by_begin.get(place.following)
    return found


def _record(data: Bytes, header: Header, offset: int) -> np.void:
    form = header.layout.rawrecord
    record: np.void = np.frombuffer(data.window(offset, offset + form.itemsize).ljust(form.itemsize, b"\0"), form)[0]
    return record


def _most_inflated(data: Bytes, header: Header, offset: int) -> int:
    """What it may have taken to find that a sample is torn."""
    record = _record(data, header, offset)
    place = offset + header.layout.rawrecord.itemsize + int(record["scomplen"])
    length = announced(record) * header.layout.tstat.itemsize
    is_stream = data.window(place, place + 2) == leads.COMPRESSED
    return min(length, MOST_TASK_BYTES, (int(record["pcomplen"]) + 1) * MOST_INFLATION) if is_stream else 0


def _pieces(size: int, skip: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """From where to where to search at a time."""
    begin = 0
    for start, stop in [*skip, (size, size)]:
        while begin < min(start, size):
            end = min(start, size, (begin // PIECE_BYTES + 1) * PIECE_BYTES)
            yield begin, end
            begin = end
        begin = max(begin, stop)


def _remark(header: Header, tally: _Tally) -> Remark:
    hostname = header.hostname or "a machine that is not known"
    where = f"in {tally.places} places up to offset {tally.last}" if tally.places > 1 else "in one place"
    found = f"{tally.samples} samples {where}" if tally.samples else "a header without a sample behind it"
    what = "; ".join(filter(None, (f"{found}: {hostname}, atop {header.release}", header.caveat)))
    return Remark(tally.first, what, serious=False)
