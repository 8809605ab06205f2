"""Evidence in, a complete timeline out: the samples of every log through every parser."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from atop_timeline import plugins
from atop_timeline.errors import EvidenceError, UnknownLayout, WrongParser
from atop_timeline.events import Events
from atop_timeline.evidence import Evidence, LogFile, Problem, distinct_paths
from atop_timeline.header import Header
from atop_timeline.plugins import Parser
from atop_timeline.rawlog import Damage, RawLog, Remark, Samples
from atop_timeline.record import LAST_SECOND
from atop_timeline.timeline import ALL_TIME, SAMPLE, LogOrigin, Timeline


@dataclass
class LogReport:
    """What was read of a log, and what was lost; times are seconds since 1970 UTC.

    `parts` is how many of the samples were saved in part.
    """

    file: LogFile
    headers: list[Header] = field(default_factory=list)
    samples: int = 0
    parts: int = 0
    first: int | None = None
    last: int | None = None
    damages: list[Damage] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

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
    """What was searched, found, read and lost."""

    logs: list[LogReport] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    searched: list[str] = field(default_factory=list)
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
    *,
    log_paths: Sequence[str] = (),
    only: Collection[str] | None = None,
    period: tuple[int, int] = ALL_TIME,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Extraction:
    """The timeline of all logs in some images, folders and logs.

    `log_paths` are globs of further places where logs may lie; `only` names the event types to make
    (`starts`, `exits`, `observations`, `threads`); `period` is the first microsecond since 1970 to show and
    the first one not to. What cannot be read is told in the report, and the rest goes on.
    """
    report = Report()
    logs = [log for path in distinct_paths(paths) for log in _logs(path, log_paths, report)]
    parsers = plugins.parsers().values()
    types = [each for parser in parsers for each in parser.event_types]
    chosen = [each for each in types if (each.default if only is None else each.name in only)]
    timeline = Timeline(chosen, [each for parser in parsers for each in parser.staging], period)
    reading = _Reading(timeline, list(parsers), {each.name for each in chosen}, report, progress)
    try:
        reading.read(logs)
    except BaseException:
        timeline.close()
        raise
    return Extraction(timeline, report)


def _logs(path: str, log_paths: Sequence[str], report: Report) -> list[LogFile]:
    """The logs of a piece of evidence; one that cannot be opened is told as a problem."""
    try:
        evidence = Evidence(path, log_paths)
        logs = list(evidence.logs())
    except EvidenceError as error:
        report.problems.append(Problem(path, str(error).removeprefix(f"{path}: "), serious=True))
        return []
    report.problems += evidence.problems
    report.searched += evidence.searched
    return logs


@dataclass
class _Reading:
    """The way of all logs into a timeline."""

    timeline: Timeline
    parsers: list[Parser]
    wanted: Collection[str]
    report: Report
    progress: Callable[[Progress], None]
    log_id: int = -1

    def read(self, logs: Sequence[LogFile]) -> None:
        total, done = sum(each.size for each in logs), 0
        for file in logs:
            self._read_log(file, Progress(done, total, file))
            done += file.size
        self.report.repeated_samples = self.timeline.complete()
        for parser in self.parsers:
            parser.finish(self.timeline)

    def _read_log(self, file: LogFile, start: Progress) -> None:
        with ExitStack() as stack:
            try:
                log = RawLog(stack.enter_context(file.open()), file.users)
            except (WrongParser, UnknownLayout, OSError) as error:
                self.report.problems.append(Problem(file.where, str(error), serious=True))
                return
            report = LogReport(file)
            self.report.logs.append(report)
            header = None
            for samples in log.blocks():
                if samples.header is not header:
                    header = samples.header
                    self._begin_log(file, header)
                self._read_samples(samples, report)
                self.progress(start._replace(done=start.done + min(log.position, file.size)))
                del samples  # the next ones may be large
            report.headers, report.damages, report.remarks = log.headers, log.damages, log.remarks

    def _begin_log(self, file: LogFile, header: Header) -> None:
        """What one header of a log began is a log to the timeline."""
        self.log_id += 1
        origin = LogOrigin(header.hostname, file.evidence, file.volume, file.path, f"atop {header.atop_version}")
        self.timeline.add_log(self.log_id, origin)

    def _read_samples(self, samples: Samples, report: LogReport) -> None:
        times = samples.records["curtime"].astype(np.int64)
        report.samples += len(times)
        report.parts += int(samples.parts.sum())
        report.first = min(int(times.min()), report.first if report.first is not None else LAST_SECOND)
        report.last = max(int(times.max()), report.last or 0)
        self.timeline.insert(self.log_id, _sample_events(samples))
        for parser in self.parsers:
            for events in parser.parse(samples, self.wanted):
                self.timeline.insert(self.log_id, events)


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
        "caveat": samples.caveats,
    }
    return Events(SAMPLE, columns)
