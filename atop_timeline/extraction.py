"""Evidence in, a complete timeline out: the samples of every log through every parser."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from atop_timeline import plugins
from atop_timeline.ahead import beside, one_ahead
from atop_timeline.errors import EvidenceError
from atop_timeline.evidence import Evidence, LogFile, Problem, Wanted
from atop_timeline.plugins import Parser
from atop_timeline.reading import LogReport, Part, Reading
from atop_timeline.segments import distinct_paths
from atop_timeline.store import DEFAULT_ROOM, Room
from atop_timeline.texts import decode
from atop_timeline.timeline import ALL_TIME, Timeline
from atop_timeline.trees import Volume
from atop_timeline.workers import Done, Task, Workers


@dataclass
class Report:
    """What was searched, found, read and lost; `volumes` come with the evidence that they are in.

    `timelines` tells of each Parquet timeline that was merged.
    """

    logs: list[LogReport] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    searched: list[str] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)
    volumes: list[tuple[str, Volume]] = field(default_factory=list)
    timelines: list[dict[str, Any]] = field(default_factory=list)
    repeated_samples: int = 0

    @property
    def goes_on(self) -> bool:
        """Whether the next log that is read is but another stretch of the last one."""
        return bool(self.logs) and self.logs[-1].goes_on

    def add(self, reading: Reading | Done, file: LogFile) -> None:
        """A log that was read, or a stretch of one."""
        if reading.problem:
            self.problems.append(reading.problem)
        elif reading.report and self.goes_on:
            self.logs[-1].add(reading.report)
        elif reading.report and (reading.report.samples or not file.is_carved):
            self.logs.append(reading.report)

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


def extract(  # noqa: PLR0913  all but one have a default
    paths: Sequence[str],
    wanted: Wanted | None = None,
    *,
    only: Collection[str] | None = None,
    period: tuple[int, int] = ALL_TIME,
    progress: Callable[[Progress], None] = lambda _: None,
    room: Room = DEFAULT_ROOM,
    workers: Workers | None = None,
) -> Extraction:
    """The timeline of all logs in some images, collections, folders and logs.

    `only` names the event types to make, or the parsers (see `plugins.chosen`); `period` is the first microsecond
    since 1970 to show and the first one not to. `workers` read the logs, where there are several; without, they are
    read here. What cannot be read is told in the report, and the rest goes on.
    """
    report = Report()
    logs = _all_logs(paths, wanted, report)
    return extract_logs(logs, report, only=only, period=period, progress=progress, room=room, workers=workers)


def extract_logs(  # noqa: PLR0913  all but two have a default
    logs: Sequence[LogFile],
    report: Report,
    *,
    only: Collection[str] | None = None,
    period: tuple[int, int] = ALL_TIME,
    progress: Callable[[Progress], None] = lambda _: None,
    room: Room = DEFAULT_ROOM,
    workers: Workers | None = None,
) -> Extraction:
    """The timeline of logs that somebody else has found; `report` grows by them."""
    wanted_types = plugins.chosen(only)
    parsers = [each for each in plugins.parsers().values() if not wanted_types.isdisjoint(_names(each))]
    types = [each for parser in parsers for each in parser.event_types if each.name in wanted_types]
    timeline = Timeline(types, [each for parser in parsers for each in parser.staging], period, room)
    tasks = [Task(file, tuple(each.name for each in parsers), frozenset(wanted_types)) for file in logs]
    try:
        _merge(tasks, _Merged(timeline, room.jobs), report, progress, workers)
        report.repeated_samples = timeline.complete()
        parsers.sort(key=lambda each: not each.staging)  # the first one, which is the longest, can be interrupted
        beside(lambda each: each.finish(timeline), parsers, threads=1 if room.jobs > 1 else 0)
    except BaseException:
        timeline.close()
        raise
    return Extraction(timeline, report)


def survey(
    paths: Sequence[str], wanted: Wanted | None = None, progress: Callable[[Progress], None] = lambda _: None
) -> Report:
    """The same report without a timeline: what is there, and how much of it can be read."""
    report = Report()
    for file, step in _in_turn(_all_logs(paths, wanted, report)):
        reading = Reading(file)
        for _ in reading.parts():
            _advance(progress, step, reading.position)
        report.add(reading, file)
    return report


def _names(parser: Parser) -> list[str]:
    return [each.name for each in parser.event_types]


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


def _merge(
    tasks: Sequence[Task],
    merged: "_Merged",
    report: Report,
    progress: Callable[[Progress], None],
    workers: Workers | None,
) -> None:
    """Reads all logs, or has them read, into a timeline and a report."""
    steps = {id(file): step for file, step in _in_turn([task.file for task in tasks])}
    tasks = workers.parted(tasks) if workers else tasks
    readings = workers.readings(tasks, merged.timeline.directory) if workers else (task.reading() for task in tasks)
    with closing(readings):
        for task, reading in zip(tasks, readings, strict=True):
            if report.goes_on or not task.stretch.is_rest:  # else damage has led on to the end
                merged.add(reading, partial(_advance, progress, steps[id(task.file)]))
                report.add(reading, task.file)


def _advance(progress: Callable[[Progress], None], step: Progress, position: int) -> None:
    progress(step._replace(done=step.done + position))


class _Merged:
    """The logs of a timeline: what one header of a file began is a log to it."""

    def __init__(self, timeline: Timeline, jobs: int) -> None:
        self.timeline = timeline
        self._jobs = jobs
        self._log_id = -1
        self._begins: dict[int, int] = {}

    def add(self, reading: Reading | Done, advance: Callable[[int], None]) -> None:
        """All of a file, or a stretch of it."""
        for part in self._parts(reading):
            if part.origin:
                self._log_id += 1
                self.timeline.add_log(self._log_id, part.origin)
            for events in part.events:
                self.timeline.insert(self._log_id, events)
            self._begins.setdefault(self._log_id, part.offset)
            advance(reading.position)
            del part, events  # the next ones may be large
        for damage in reading.report.damages if reading.report and self._begins else ():
            self.timeline.add_damage(_log_at(self._begins, damage.offset), damage)
        if not (reading.report and reading.report.goes_on):
            self._begins = {}

    def _parts(self, reading: Reading | Done) -> Iterator[Part]:
        """What was read, or is while the part before goes into the timeline."""
        if isinstance(reading, Reading) and self._jobs > 1:
            parts = (part if part.is_large else part.made() for part in reading.parts())
            return one_ahead(parts, lambda part: part.is_large)
        return reading.parts()


def _log_at(begins: Mapping[int, int], offset: int) -> int:
    """Which log of a file is before a place in it, or at its beginning behind it, by where logs have a first sample."""
    return max((each for each, begin in begins.items() if begin <= offset), default=min(begins))
