"""Evidence in, a complete timeline out: the samples of every log through every parser."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atop_timeline import plugins
from atop_timeline.blocks import Samples
from atop_timeline.carving import Carving
from atop_timeline.errors import EvidenceError, UnknownLayout, WrongParser
from atop_timeline.events import Events
from atop_timeline.evidence import Evidence, LogFile, Problem, Wanted
from atop_timeline.header import Header
from atop_timeline.logs import SAMPLE, LogOrigin
from atop_timeline.plugins import Parser
from atop_timeline.rawlog import Damage, RawLog
from atop_timeline.record import LAST_SECOND, Remark
from atop_timeline.segments import distinct_paths
from atop_timeline.texts import decode
from atop_timeline.timeline import ALL_TIME, Timeline
from atop_timeline.trees import Volume


@dataclass
class LogReport:
    """What was read of a log, and what was lost; times are seconds since 1970 UTC.

    `parts` is how many of the samples were saved in part. `sha256` is that of the file as it lies there, None
    where not all of it can be read, or where it is no file.
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

    def count(self, samples: Samples) -> None:
        """Add some samples that were read."""
        times = samples.records["curtime"].astype(np.int64)
        self.samples += len(times)
        self.parts += int(samples.parts.sum())
        self.first = min(int(times.min()), self.first if self.first is not None else LAST_SECOND)
        self.last = max(int(times.max()), self.last or 0)

    @property
    def hostnames(self) -> list[str]:
        """Of its headers, each once; empty texts for those that are not known."""
        return list(dict.fromkeys(header.hostname for header in self.headers))

    @property
    def atop_versions(self) -> list[str]:
        """Of its headers, each once."""
        return list(dict.fromkeys(header.atop_version for header in self.headers))


@dataclass
class Report:
    """What was searched, found, read and lost; `volumes` come with the evidence that they are in."""

    logs: list[LogReport] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    searched: list[str] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)
    volumes: list[tuple[str, Volume]] = field(default_factory=list)
    repeated_samples: int = 0

    @property
    def complete(self) -> bool:
        """Whether nothing was damaged or unreadable."""
        damaged = any(log.damages or any(each.serious for each in log.remarks) for log in self.logs)
        return not damaged and not any(each.serious for each in self.problems)


class Extraction(NamedTuple):
    """A timeline, which the caller closes, and how it came about."""

    timeline: Timeline
    report: Report


class Progress(NamedTuple):
    """How far the reading is, in bytes of all logs."""

    done: int
    total: int
    log: LogFile


def extract(
    paths: Sequence[str],
    wanted: Wanted | None = None,
    *,
    only: Collection[str] | None = None,
    period: tuple[int, int] = ALL_TIME,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Extraction:
    """The timeline of all logs in some images, collections, folders and logs.

    `only` names the event types to make, or the parsers (see `plugins.chosen`); `period` is the first microsecond
    since 1970 to show and the first one not to. What cannot be read is told in the report, and the rest goes on.
    """
    wanted_types = plugins.chosen(only)
    report = Report()
    logs = _all_logs(paths, wanted, report)
    parsers = [each for each in plugins.parsers().values() if not wanted_types.isdisjoint(_names(each))]
    types = [each for parser in parsers for each in parser.event_types if each.name in wanted_types]
    timeline = Timeline(types, [each for parser in parsers for each in parser.staging], period)
    reading = _Reading(timeline, parsers, wanted_types, report, progress)
    try:
        reading.read(logs)
    except BaseException:
        timeline.close()
        raise
    return Extraction(timeline, report)


def _names(parser: Parser) -> list[str]:
    return [each.name for each in parser.event_types]


def survey(
    paths: Sequence[str], wanted: Wanted | None = None, progress: Callable[[Progress], None] = lambda _: None
) -> Report:
    """The same report without a timeline: what is there, and how much of it can be read."""
    report = Report()
    for file, start in _in_turn(_all_logs(paths, wanted, report)):
        _read(file, report, lambda _log, _samples: None, start, progress)
    return report


def _all_logs(paths: Sequence[str], wanted: Wanted | None, report: Report) -> list[LogFile]:
    """The logs of all evidence; what cannot be opened is told as a problem."""
    logs: list[LogFile] = []
    distinct = distinct_paths(paths)
    for path in distinct:
        try:
            evidence = Evidence(path, wanted, distinct)
        except EvidenceError as error:
            name = decode(os.fsencode(path))
            report.problems.append(Problem(name, str(error).removeprefix(f"{name}: "), serious=True))
            continue
        logs += evidence.logs()
        report.evidence.append(evidence.name)
        report.volumes += [(evidence.name, volume) for volume in evidence.volumes]
        report.problems += evidence.problems
        report.searched += evidence.searched
    return logs


def _in_turn(logs: Sequence[LogFile]) -> Iterator[tuple[LogFile, Progress]]:
    """Each log, and how far the reading is when it begins."""
    total, done = sum(each.size for each in logs), 0
    for file in logs:
        yield file, Progress(done, total, file)
        done += file.size


def _read(
    file: LogFile,
    report: Report,
    use: Callable[[LogReport, Samples], None],
    start: Progress,
    progress: Callable[[Progress], None],
) -> LogReport | None:
    """Reads a log into a report, and hands its samples on; None where it is none after all."""
    read = LogReport(file)
    with ExitStack() as stack:
        try:
            stream, hashed = (file.open(), None) if file.is_carved else file.open_hashed()
            stack.enter_context(stream)
            log = Carving(stream, file.users) if file.is_carved else RawLog(stream, file.users)
        except (WrongParser, UnknownLayout, OSError) as error:
            report.problems.append(Problem(file.where, str(error), serious=True))
            return None
        for samples in log.blocks():
            read.count(samples)
            use(read, samples)
            read.remarks += samples.remarks
            progress(start._replace(done=start.done + min(log.position, file.size)))
            del samples  # the next ones may be large
        read.sha256 = hashed.sha256() if hashed else None
    read.headers, read.damages = log.headers, log.damages
    read.remarks = sorted({*log.remarks, *read.remarks})
    if read.samples or not file.is_carved:
        report.logs.append(read)
    return read


@dataclass
class _Reading:
    """The way of all logs into a timeline."""

    timeline: Timeline
    parsers: list[Parser]
    wanted: Collection[str]
    report: Report
    progress: Callable[[Progress], None]
    log_id: int = -1
    header: Header | None = None
    begins: dict[int, int] = field(default_factory=dict)
    """Where the first sample is that refers to a log, by the number of the log, of one file."""

    def read(self, logs: Sequence[LogFile]) -> None:
        for file, start in _in_turn(logs):
            self.header, self.begins = None, {}
            log = _read(file, self.report, self._use, start, self.progress)
            for damage in log.damages if log and self.begins else ():
                self.timeline.add_damage(self._log_at(damage.offset), damage)
        self.report.repeated_samples = self.timeline.complete()
        for parser in self.parsers:
            parser.finish(self.timeline)

    def _use(self, log: LogReport, samples: Samples) -> None:
        if samples.header is not self.header:
            self.header = samples.header
            self._begin_log(log.file, samples.header)
        self.timeline.insert(self.log_id, _sample_events(samples))
        for parser in self.parsers:
            for events in parser.parse(samples, self.wanted):
                self.timeline.insert(self.log_id, events)
        self.begins.setdefault(self.log_id, int(samples.offsets[0]))

    def _log_at(self, offset: int) -> int:
        """Which log of a file is before a place in it, or at its beginning behind it."""
        return max((each for each, begin in self.begins.items() if begin <= offset), default=min(self.begins))

    def _begin_log(self, file: LogFile, header: Header) -> None:
        """What one header of a log began is a log to the timeline."""
        self.log_id += 1
        origin = LogOrigin(
            header.hostname,
            "" if file.is_alone else file.evidence,
            file.evidence,
            file.volume,
            None if file.is_carved else file.path,
            file.inode,
            file.allocation,
            f"atop {header.atop_version}",
        )
        self.timeline.add_log(self.log_id, origin)


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
