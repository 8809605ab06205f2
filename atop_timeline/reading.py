"""One log, read for parsers: what they make of it, part by part, and what was read and lost."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atop_timeline.blocks import Samples
from atop_timeline.carving import Carving
from atop_timeline.errors import UnknownLayout, WrongParser
from atop_timeline.events import Events
from atop_timeline.evidence import LogFile, Problem
from atop_timeline.header import Header
from atop_timeline.logs import SAMPLE, LogOrigin
from atop_timeline.plugins import Parser
from atop_timeline.rawlog import WHOLE, Damage, RawLog, Stretch
from atop_timeline.record import LAST_SECOND, MOST_TASK_BYTES, Remark


@dataclass
class LogReport:
    """What was read of a log, and what was lost; times are seconds since 1970 UTC.

    `parts` is how many of the samples were saved in part. `sha256` is that of the file as it lies there, None
    where not all of it can be read, or where it is no file. `goes_on`: what is behind is another stretch.
    """

    file: LogFile
    headers: list[Header] = field(default_factory=list)
    samples: int = 0
    parts: int = 0
    first: int | None = None
    last: int | None = None
    damages: list[Damage] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    sha256: str | None = None
    goes_on: bool = False

    def count(self, samples: Samples) -> None:
        """Add some samples that were read."""
        times = samples.records["curtime"].astype(np.int64)
        self.samples += len(times)
        self.parts += int(samples.parts.sum())
        self.first = min(int(times.min()), self.first if self.first is not None else LAST_SECOND)
        self.last = max(int(times.max()), self.last or 0)

    def add(self, behind: "LogReport") -> None:
        """Add the stretch behind what was read."""
        self.samples += behind.samples
        self.parts += behind.parts
        self.first = min((each for each in (self.first, behind.first) if each is not None), default=None)
        self.last = max((each for each in (self.last, behind.last) if each is not None), default=None)
        self.headers += behind.headers[1:]
        self.damages += behind.damages
        self.remarks = sorted({*self.remarks, *behind.remarks})
        self.goes_on = behind.goes_on

    @property
    def hostnames(self) -> list[str]:
        """Of its headers, each once; empty texts for those that are not known."""
        return list(dict.fromkeys(header.hostname for header in self.headers))

    @property
    def atop_versions(self) -> list[str]:
        """Of its headers, each once."""
        return list(dict.fromkeys(header.atop_version for header in self.headers))


class Part(NamedTuple):
    """What parsers make of some samples, the first of which is at an offset in the log.

    `origin` is None where the samples are behind the same header as those before. Events are made when they are asked
    for. `is_large` is what takes so much memory that nothing else should at the same time.
    """

    origin: LogOrigin | None
    offset: int
    events: Iterable[Events]
    is_large: bool

    def made(self) -> "Part":
        """The same with all events made."""
        return self._replace(events=list(self.events))


class Reading:
    """The way of one log through parsers: `report`, or the `problem` it has instead, once all parts were asked for.

    Of a `stretch` behind another one there is no SHA-256, and its first part has no origin. To ask for parts raises
    `MemoryError` where the tasks of a sample have more than `most_bytes`.
    """

    def __init__(
        self,
        file: LogFile,
        parsers: Sequence[Parser] = (),
        wanted: Collection[str] = (),
        stretch: Stretch = WHOLE,
        most_bytes: int = MOST_TASK_BYTES,
    ) -> None:
        self.report: LogReport | None = None
        self.problem: Problem | None = None
        self.position = 0
        """How far it is, in bytes of the file."""
        self._file = file
        self._parsers = parsers
        self._wanted = wanted
        self._stretch = stretch
        self._most_bytes = most_bytes

    def parts(self) -> Iterator[Part]:
        """What the parsers make of the samples, in their order; to be used before the next one is asked for."""
        read, is_rest = LogReport(self._file), self._stretch.is_rest
        with ExitStack() as stack:
            try:
                is_hashed = not (self._file.is_carved or is_rest)
                stream, hashed = self._file.open_hashed() if is_hashed else (self._file.open(), None)
                stack.enter_context(stream)
                log = self._log(stream)
            except (WrongParser, UnknownLayout, OSError) as error:
                self.problem = Problem(self._file.where, str(error), serious=True)
                return
            header = log.headers[0] if is_rest else None
            for samples in log.blocks():
                read.count(samples)
                origin = None if samples.header is header else _origin(self._file, samples.header)
                header = samples.header
                self.position = min(log.position, self._file.size)
                yield Part(origin, int(samples.offsets[0]), self._events(samples), samples.is_large)
                read.remarks += samples.remarks
                del samples  # the next ones may be large
            read.sha256 = hashed.sha256() if hashed else None
        read.headers, read.damages = log.headers, log.damages
        read.goes_on = isinstance(log, RawLog) and log.goes_on
        read.remarks = sorted({*log.remarks, *read.remarks})
        self.report = read

    def _log(self, stream: BinaryIO) -> RawLog | Carving:
        if self._file.is_carved:
            return Carving(stream, self._file.users)
        return RawLog(stream, self._file.users, self._stretch, self._most_bytes)

    def _events(self, samples: Samples) -> Iterator[Events]:
        yield _sample_events(samples)
        for parser in self._parsers:
            yield from parser.parse(samples, self._wanted)


def _origin(file: LogFile, header: Header) -> LogOrigin:
    """What one header of a log began is a log to the timeline."""
    return LogOrigin(
        header.hostname,
        "" if file.is_alone else file.evidence,
        file.evidence,
        file.volume,
        None if file.is_carved else file.path,
        file.inode,
        file.allocation,
        f"atop {header.atop_version}",
    )


def _are_complete(samples: Samples) -> NDArray[np.bool_]:
    """Which samples have every process: before 2.3, atop kept only those that changed, unless told (deviate.c)."""
    stored, present = (
        ("ndeviat", "ntask") if "ndeviat" in (samples.records.dtype.names or ()) else ("nlist", "npresent")
    )
    is_all = samples.records[stored].astype(np.int64) - samples.records["nexit"] >= samples.records[present]
    complete: NDArray[np.bool_] = ~samples.parts & (is_all | (samples.header.version >= (2, 3)))
    return complete


def _sample_events(samples: Samples) -> Events:
    """The samples themselves, for the timeline's table of them."""
    digests = np.frombuffer(b"".join(samples.digests), np.int64).reshape(-1, 2)
    columns: Mapping[str, Any] = {
        "time_us": samples.records["curtime"].astype(np.int64) * 1_000_000,
        "sample": samples.first + np.arange(len(samples.records)),
        **dict.fromkeys(("entry", "row_id", "early_s", "late_s"), np.zeros(len(samples.records), np.int64)),
        "offset": samples.offsets,
        "sample_interval": samples.records["interval"].astype(np.int64),
        "digest_high": digests[:, 0],
        "digest_low": digests[:, 1],
        "is_part": samples.parts,
        "is_complete": _are_complete(samples),
        "caveat": samples.caveats,
    }
    return Events(SAMPLE, columns)
