"""An atop raw log: headers, and behind each its samples; what is damaged is passed over, and told.

The format: rawlog.h and rawlog.c of atop.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import BinaryIO, NamedTuple

import numpy as np

from atop_timeline.blocks import BLOCK_BYTES, Samples, blocks_of
from atop_timeline.header import RAWHEADER_BYTES, Header
from atop_timeline.leads import HEADER_HEAD
from atop_timeline.record import (
    BOOT,
    MOST_TASK_BYTES,
    Bytes,
    Remark,
    Sample,
    TornError,
    announced,
    has_time,
    read_sample,
    stored_bytes,
)
from atop_timeline.recovery import Found, Recovery
from atop_timeline.salvage import Salvage

_PIECE_BYTES = 1 << 20


class Damage(NamedTuple):
    """Bytes of a log that could not be read as atop wrote them.

    `samples` is how many were lost with them: those of which there are traces, or that the time between the
    samples before and behind asks for. `parts` is how many were saved in part.
    """

    offset: int
    length: int
    samples: int
    parts: int
    what: str

    @property
    def told(self) -> str:
        """What, where, and what is lost by it."""
        if not self.length:
            return self.what
        place = f"{self.length:,} bytes from offset {self.offset}"
        return f"{self.what}; {place}, {self.samples:,} samples lost, {self.parts:,} saved in part"


class Stretch(NamedTuple):
    """Samples of a log that are read by themselves: up to where one ends, and behind another.

    `before` is the offset of the sample before them, `end` where the last one ends; None where the log itself begins
    or ends there. `first` is the number of the first one. Damage leads on to the end of the log: what is behind it is
    found otherwise than by the lengths that records tell.
    """

    first: int = 0
    before: int | None = None
    end: int | None = None

    @property
    def is_rest(self) -> bool:
        """Whether another one has what is before it in the log."""
        return self.before is not None


WHOLE = Stretch()


class RawLog:
    """A raw log, read from a seekable stream that the caller closes; `users` are the machine's names by user id.

    Raises `WrongParser` where neither a header nor a sample is in the stream, `UnknownLayout` where no known
    atop wrote it and none can be inferred. `headers`, `damages` and `remarks` are complete once the samples
    have been read to their end; `goes_on` then tells that a stretch of them ended as it should, before the log does.
    To read them raises `MemoryError` where the tasks of one have more than `most_bytes`.
    """

    def __init__(
        self,
        stream: BinaryIO,
        users: Mapping[int, str] = MappingProxyType({}),
        stretch: Stretch = WHOLE,
        most_bytes: int = MOST_TASK_BYTES,
    ) -> None:
        self.users = users
        self._most_bytes = most_bytes
        self._stretch = stretch
        self._data = Bytes(stream)
        self._recovery = Recovery(self._data)
        self.header = self._recovery.first_header()
        self._last: np.void | None = None
        self._reset()

    @property
    def size(self) -> int:
        """In bytes."""
        return self._data.size

    @property
    def position(self) -> int:
        """How many bytes have been read or passed over."""
        return self._data.position

    def samples(self) -> Iterator[Sample]:
        """The samples in the order of the file; what cannot be read becomes one of `damages`."""
        self._reset()
        header = self.header
        offset, proved = header.start, max(header.start - RAWHEADER_BYTES + HEADER_HEAD, 0)
        _, before, end = self._stretch
        if before is not None:
            offset = proved = before
        if offset == self.size:
            self.damages.append(Damage(offset, 0, 0, 0, "header only, no sample behind it"))
        while offset < self.size:
            if offset == end:
                self.goes_on = True
                return
            begin, torn = offset, ""
            try:
                sample, proved, offset = read_sample(self._data, header, offset, self._most_bytes)
            except TornError as error:
                torn = str(error)
            if torn:
                found = yield from self._across(header, proved, offset, torn)
                header, proved, offset, end = found.header, found.proved, found.start, None
            elif begin == before:
                self._last = sample.record
            else:
                yield self._compared(sample)
                del sample  # it may be large, and the next one as well
        failure = self._data.failure()
        if failure:
            self.damages.append(Damage(self.size, 0, 0, 0, failure))

    def blocks(self) -> Iterator[Samples]:
        """The samples in blocks of some megabytes, for work by columns; the tasks of one give way to the next."""
        return blocks_of(self.samples(), self.users, self._stretch.first)

    def stretches(self, offsets: Sequence[int]) -> list[Stretch]:
        """All of the log, in stretches that end at these offsets or behind, as records tell; fewer where they lie.

        Only one where a sample before the last of these takes so much memory that it is not read beside others.
        """
        stretches, offset, number = [WHOLE], self.header.start, 0
        for each in offsets:
            before = offset
            while offset < each:
                record = self._record(self.header, offset)
                if record is None:
                    return stretches
                if announced(record) * self.header.layout.tstat.itemsize > BLOCK_BYTES:
                    return [WHOLE]
                before, offset, number = offset, offset + stored_bytes(record), number + 1
            if offset >= self.size or before == offset:
                break
            stretches[-1] = stretches[-1]._replace(end=offset)
            stretches.append(Stretch(number, before))
        return stretches

    def _reset(self) -> None:
        self.headers, self.damages, self.remarks = [self.header], list[Damage](), list[Remark]()
        self._last = None
        self.goes_on = False
        if self.header.caveat:
            self.remarks.append(Remark(0, self.header.caveat, serious=True))

    def _compared(self, sample: Sample) -> Sample:
        """The same, marked if its time does not follow from the sample before."""
        record, before = sample.record, self._last
        self._last = record
        if before is None:
            return sample
        passed, interval = int(record["curtime"]) - int(before["curtime"]), int(record["interval"])
        if passed < 0:
            remark = Remark(sample.offset, f"time goes back by {-passed} s", serious=False)
        elif max(passed, 1) == interval or int(record["flags"]) & BOOT:
            return sample
        else:
            what = f"{passed} s behind the sample before, but says {interval} s: samples are missing or times wrong"
            remark = Remark(sample.offset, what, serious=True)
        self.remarks.append(remark)
        return sample._replace(caveat=remark.what)

    def _across(self, header: Header, proved: int, offset: int, what: str) -> Generator[Sample, None, Found]:
        """What can be saved of a gap that begins with a torn record, and where reading goes on behind it."""
        gap = self._gap(header, proved, offset, what)
        for part in Salvage(self._data, self._recovery.budget, header).samples(gap.traces, gap.end.offset):
            gap.parts += 1
            yield part
        self._tell(gap)
        self._last = None
        return gap.end

    def _gap(self, header: Header, proved: int, offset: int, what: str) -> "_Gap":
        """From a torn record to where reading goes on.

        The record before may have lied about its end: the search begins where its task list ended.
        """
        another = self._recovery.header_at(offset)
        if another:
            return _Gap(offset, Found(another, offset, is_header=True), [], what)
        end = self._recovery.find(self.headers, proved) or Found(header, self.size, is_header=False)
        if end.header is header and end.offset < header.start:
            end = end._replace(header=self._recovery.shortened(header, end.offset))
            self.headers[-1] = end.header
        begin = offset if offset < end.offset else proved
        if self._recovery.budget.exhausted:
            what += "; what follows would take too long to search"
        traces = [trace for trace in self._recovery.traces if begin < trace < end.offset]
        return _Gap(begin, end, [begin, *traces] if begin == offset else traces, what)

    def _tell(self, gap: "_Gap") -> None:
        """Keeps what a gap is and what it leads to."""
        end = gap.end
        if gap.begin < end.offset:
            lost = max(self._missed(gap) - gap.parts, 0)
            what = gap.what if gap.begin else "before the first record that proves itself"
            what = "nothing but zeros" if _is_zeros(self._data, gap.begin, end.offset) else what
            self.damages.append(Damage(gap.begin, end.offset - gap.begin, lost, gap.parts, what))
        if end.header is not self.headers[-1]:
            self.headers.append(end.header)
            hostname = end.header.hostname or "a machine that is not known"
            what = f"another {'header' if end.is_header else 'kind of samples'}: {hostname}, atop {end.header.release}"
            what = "; ".join(filter(None, (what, end.header.caveat)))
            self.remarks.append(Remark(end.offset, what, serious=bool(end.header.caveat)))

    def _missed(self, gap: "_Gap") -> int:
        """How many samples were in a gap: as traces show, or as the times at its ends ask for."""
        traces = sum(self._is_trace(self.headers[-1], trace) for trace in gap.traces)
        record = None if gap.end.is_header else self._record(gap.end.header, gap.end.offset)
        if record is None or self._last is None or int(record["flags"]) & BOOT:
            return max(traces, int(not gap.begin and gap.end.offset > RAWHEADER_BYTES))
        interval = max(int(record["interval"]), 1)
        missing = int(record["curtime"]) - interval - int(self._last["curtime"])
        return max(traces, round(missing / interval), int(missing > 0))

    def _is_trace(self, header: Header, offset: int) -> bool:
        """Whether a record was here, if only the beginning of one at the end of the log."""
        head = self._data.window(offset, offset + header.layout.rawrecord.itemsize)
        is_cut = len(head) < header.layout.rawrecord.itemsize and head.strip(b"\0") != b""
        return is_cut or self._record(header, offset) is not None

    def _record(self, header: Header, offset: int) -> np.void | None:
        """The record here, if its time is one."""
        form = header.layout.rawrecord
        head = self._data.window(offset, offset + form.itemsize)
        record: np.void | None = np.frombuffer(head, form)[0] if len(head) == form.itemsize else None
        return record if record is not None and has_time(record) else None


@dataclass
class _Gap:
    """What lies between two records that prove themselves, or a record and a header."""

    begin: int
    end: Found
    traces: list[int]
    what: str
    parts: int = 0


def _is_zeros(data: Bytes, begin: int, end: int) -> bool:
    """Whether all of it can be read, and is nothing else."""
    offsets = range(begin, end, _PIECE_BYTES)
    try:
        return not any(data.read(at, min(end - at, _PIECE_BYTES), "").strip(b"\0") for at in offsets)
    except TornError:
        return False
