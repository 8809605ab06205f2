"""What is told of a log's processes against the truth about its workload.

The truth lists the processes that the workload's driver forked, and no other. So an event is judged if it is about one
of them, by pid, parent's pid and time, never by its guid; or about another child of the driver, which there is none of.
What the truth cannot say, the entries of the log do (tests/shown.py): which sample shows a process. So there is

* in the log: whoever a sample shows alive, or who ended between the first and the last sample of its run.
* a change of program: entries after each other of one process with the names of two of its programs: the driver's
  (until it executes its own it is a copy of the driver), its own, those that it executed later; an exit record is the
  last of these entries. What was executed and replaced between two samples cannot be known. A command line is no
  program of its own: it cannot be read while a process executes or exits, and then is empty.
* a change of user: living entries after each other with other ids. An exit record has no effective user. The workload
  changes users before it executes anything, where hardly any sample is, so logs are judged too in which the effective
  user of some becomes root. In 32 bits atop has 2147483647 for the uid 4000000000 of a living process, and the right
  one for the exited: that is no change.
* an end: shown by a sample, and left out by a later one that has everybody, without an exit record. Up to atop 2.2.6
  without `-a` samples leave out who did nothing: then no end can be inferred. A zombie was last seen as that, or alive.
  `fan17` of 2.6.0, of the highest pid, is missing in a sample 2 s before its end, and nothing in the log tells that.
* a child: what a shell of the workload started has no truth of its own but this one, that the shell is its parent.
  That of `orphan_parent`, which ends at once, is hardly ever seen before it is adopted.

Where atop is made to restart, `pid_reuse_b` of odd-2.10.0 begins a second later by its entries: then nothing tells that
the exit of `pid_reuse_a`, whose pid it has, was before that.

Where the same pid has two processes of the same arguments within a second, the first one is who a sample shows in that
second: it is so in both places where that matters (2.2, debian-2.8.1-3boots, `pid_reuse_c1`), as the times of the
others in those samples tell.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import chain, pairwise
from math import floor, inf
from pathlib import Path
from typing import TypeVar

from atop_timeline.events import Value
from atop_timeline.extraction import extract
from tests.shown import Log, Shown
from tests.truth import Process

KINDS = {
    "Start Time": "starts",
    "Update Time": "changes",
    "Sample Time": "observations",
    "Last Seen Time": "ends",
    "Exit Time": "exits",
}
SLACK_S = 1
"""By how much reading /proc for a sample may take longer than the second that the sample has."""

Row = dict[str, Value]
Item = TypeVar("Item")


@dataclass
class Tally:
    """What should be told, and what is; both as facts that are equal where one is right."""

    expected: Counter[Hashable] = field(default_factory=Counter)
    told: Counter[Hashable] = field(default_factory=Counter)

    def add(self, expected: Iterable[Hashable], told: Iterable[Hashable]) -> None:
        """More of both."""
        self.expected.update(expected)
        self.told.update(told)

    def merge(self, log: str, other: "Tally") -> None:
        """All facts of another, which are about this log."""
        self.add(
            ((log, fact) for fact in other.expected.elements()),
            ((log, fact) for fact in other.told.elements()),
        )

    @property
    def right(self) -> int:
        """How many facts are told as they should be."""
        return (self.expected & self.told).total()

    @property
    def missing(self) -> list[Hashable]:
        """What should be told and is not."""
        return list((self.expected - self.told).elements())

    @property
    def wrong(self) -> list[Hashable]:
        """What is told and should not be."""
        return list((self.told - self.expected).elements())


def events_of(*paths: Path) -> list[Row]:
    """The events of logs, in the order of time: their `kind`, their `second`, and all that is known of them."""
    timeline, _ = extract([str(path) for path in paths], only=tuple(KINDS.values()))
    with timeline:
        return [
            {"kind": KINDS[each.timestamp_desc], "second": each.date_time.timestamp // 1_000_000, **each.attributes}
            for each in timeline.events()
        ]


@dataclass
class Case:
    """A process of the workload, what the log shows of it, and the events about it."""

    process: Process
    seen: list[Shown] = field(default_factory=list)
    exit_record: Shown | None = None
    events: list[Row] = field(default_factory=list)

    @property
    def name(self) -> str:
        """For messages; one of its own."""
        return f"{self.process.label} ({self.process.pid}, {floor(self.process.fork_before)})"

    def of(self, kind: str) -> list[Row]:
        """Its events of a kind."""
        return [each for each in self.events if each["kind"] == kind]

    @property
    def guids(self) -> set[Value]:
        """Of its events."""
        return {each["process_guid"] for each in self.events}


class Judge:
    """A log, its workload's truth and its events. `tolerance` is that of starts, in seconds."""

    def __init__(self, log: Log, processes: Sequence[Process], events: list[Row], tolerance: int) -> None:
        self.log, self.events, self.tolerance = log, events, tolerance
        self.cases = [Case(each) for each in processes]
        self._by_pid: dict[int, list[Case]] = defaultdict(list)
        for case in self.cases:
            self._by_pid[case.process.pid].append(case)
        for entry in log.living:
            owner = self._alive(entry.pid, entry.ppid, entry.second, entry.command_line)
            if owner:
                owner.seen.append(entry)
        self._share(events)
        self.known = [case for case in self.cases if case.seen or case.exit_record or self.should_exit(case)]

    def should_exit(self, case: Case) -> bool:
        """Whether the log should have its exit: with accounting, and before the last sample of its run."""
        samples = self.log.of_run(case.process)
        return bool(self.log.exited and samples) and samples[0] <= case.process.exit_seen <= samples[-1]

    def _alive(self, pid: int, ppid: int, second: int, command_line: Value) -> Case | None:
        """Whose this pid was in a second; where there were two, whose command line it is, or else the first one's."""
        cases = [each for each in self._by_pid[pid] if ppid == each.process.ppid and _could_show(each.process, second)]
        return min(cases, key=lambda each: not _is_its_own(each.process, command_line), default=None)

    def _share(self, events: list[Row]) -> None:
        """Gives each event to the process that it is about: exits in their order, starts after all others."""
        self.strays = {kind: [each for each in events if each["kind"] == kind] for kind in KINDS.values()}
        for kind in ("observations", "changes", "ends"):
            for row in self.strays[kind]:
                pid, ppid, second = (_number(row, name) for name in ("pid", "ppid", "second"))
                owner = self._alive(pid, ppid, second, row["command_line"])
                if owner:
                    owner.events.append(row)
        in_order = sorted(self.cases, key=lambda each: each.process.exit_seen)
        entries = list(self.log.exited)
        for case in in_order:
            seconds, pids = case.process.exit_seconds(), (case.process.pid, case.process.ppid)
            found = [each for each in entries if (each.pid, each.ppid) == pids and each.ended in seconds]
            case.exit_record = _taken(entries, found)
            self._take(case, "exits", seconds)
        for case in sorted(self.cases, key=lambda each: not each.events):
            self._take(case, "starts", case.process.start_seconds(self.tolerance))
        owned = {id(row) for case in self.cases for row in case.events}
        self.strays = {
            kind: [row for row in rows if id(row) not in owned and self._is_judged(row)]
            for kind, rows in self.strays.items()
        }

    def _take(self, case: Case, kind: str, seconds: range) -> None:
        """The event of this kind that is a process's, of several the one that has its guid, or else the first."""
        rows = self.strays[kind]
        pids = case.process.pid, case.process.ppid
        found = [each for each in rows if (each["pid"], each["ppid"]) == pids and each["second"] in seconds]
        row = _taken(rows, sorted(found, key=lambda each: each["process_guid"] not in case.guids))
        if row:
            case.events.append(row)

    def _is_judged(self, row: Row) -> bool:
        """Whether an event is about a child of the driver."""
        second = _number(row, "second")
        drivers = self._drivers.values()
        return any(row["ppid"] == each.ppid and each.run_start - 2 <= second < each.run_end for each in drivers)

    @cached_property
    def _drivers(self) -> dict[float, Process]:
        """Of each run one process, which names the driver."""
        return {each.process.run_start: each.process for each in self.cases}

    @cached_property
    def _events_of_guid(self) -> Counter[Value]:
        return Counter(each["process_guid"] for each in self.events)

    @cached_property
    def driver_events(self) -> dict[float, list[Row]]:
        """What is told of the driver of each run, alive."""
        return {
            start: [
                row
                for row in self.events
                if row["pid"] == each.ppid
                and row["kind"] == "observations"
                and each.run_start - 1 <= _number(row, "second") < each.run_end
            ]
            for start, each in self._drivers.items()
        }

    def has_one_life(self, case: Case) -> bool:
        """Whether all its events have one guid, and no others have it."""
        (guid, *others) = case.guids or {None}
        return guid is not None and not others and self._events_of_guid[guid] == len(case.events)

    def lives(self) -> Tally:
        """Each process is one life."""
        told = [
            case.name if self.has_one_life(case) else (case.name, guid) for case in self.known for guid in case.guids
        ]
        return Tally(Counter(case.name for case in self.known), Counter(told))

    def starts(self) -> Tally:
        """Each process in the log starts once, within its measured window."""
        told = [case.name for case in self.known for _ in case.of("starts")]
        return Tally(Counter(case.name for case in self.known), Counter([*told, *map(_brief, self.strays["starts"])]))

    def exits(self) -> Tally:
        """Each process that ended has one exit, in its second."""
        cases = [case for case in self.known if self.should_exit(case) or case.exit_record]
        told = [case.name for case in self.known for _ in case.of("exits")]
        return Tally(Counter(case.name for case in cases), Counter([*told, *map(_brief, self.strays["exits"])]))

    def statuses(self) -> Tally:
        """Each exit has the status that the driver got."""
        tally, names = Tally(), ("exit_code", "signal", "core_dumped")
        for case in self.known:
            status = (case.name, case.process.exit_code, case.process.signal, case.process.core)
            exits = case.of("exits")
            if case.process.exit_seen < inf:
                tally.add([status] * len(exits), [(case.name, *(row[name] for name in names)) for row in exits])
        return tally

    def users(self) -> Tally:
        """Each exit has its real user and group, and no effective one, which is not recorded."""
        tally, names = Tally(), ("uid", "gid", "euid", "egid")
        for case in self.known:
            ids = (case.name, case.process.uid, case.process.gid, None, None)
            exits = case.of("exits")
            tally.add([ids] * len(exits), [(case.name, *(row[name] for name in names)) for row in exits])
        return tally

    def parents(self) -> Tally:
        """Each process has the driver for a parent, by pid, name and guid, in all its events."""
        tally = Tally()
        for case in self.known:
            driver = self.driver_events[case.process.run_start]
            guids = {row["process_guid"] for row in driver} or {None}
            names = {row["process"] for row in driver} or {None}
            told = {(row["parent_pid"], row["parent_guid"], row["parent_process"]) for row in case.events}
            right = {
                (pid, guid, name)
                for pid, guid, name in told
                if pid == case.process.ppid and guid in guids and name in names
            }
            is_right = bool(told) and told == right and len(guids) == 1
            tally.add([case.name], [case.name] if is_right else [(case.name, *each) for each in told])
        return tally

    def children(self) -> Tally:
        """What a shell of the workload started has the shell for a parent, by pid and guid, in all its events."""
        tally = Tally()
        for case in (each for each in self.known if each.process.child):
            entries = [each for each in chain(self.log.living, self.log.exited) if self._is_child(case, each)]
            pids = {each.pid for each in entries}
            (guid, *_) = case.guids or {None}
            starts = [
                row
                for row in self.events
                if row["kind"] == "starts"
                and row["parent_pid"] == case.process.pid
                and _could_show(case.process, _number(row, "second"))
            ]
            tally.add(
                [(case.name, pid, guid) for pid in pids],
                [(case.name, row["pid"], row["parent_guid"]) for row in starts],
            )
        return tally

    def _is_child(self, case: Case, entry: Shown) -> bool:
        second = entry.ended if entry.state == "E" else entry.second
        return entry.ppid == case.process.pid and _could_show(case.process, second)

    def programs(self) -> Tally:
        """Each change of program that two entries show is told, with what was before, and no other."""
        return self._changes("program", self._program_changes, ("previous_process", "process"))

    def changed_users(self) -> Tally:
        """Each change of user or effective user that two entries show is told, with what was before, and no other."""
        names = ("previous_uid", "previous_euid", "uid", "euid")
        return self._changes("user", _user_changes, names)

    def _changes(self, what: str, shown_by: Callable[[Case], Iterator[Hashable]], names: tuple[str, ...]) -> Tally:
        tally = Tally()
        for case in self.known:
            rows = [row for row in case.of("changes") if what in str(row["changed"]).split(", ")]
            tally.add(
                shown_by(case),
                [(case.name, row["second"], *(row[name] for name in names)) for row in rows],
            )
        strays = [row for row in self.strays["changes"] if what in str(row["changed"]).split(", ")]
        tally.add([], map(_brief, strays))
        return tally

    def _program_changes(self, case: Case) -> Iterator[Hashable]:
        """By the names of the entries that show a process, an exit record last."""
        drivers = {row["process"] for row in self.driver_events[case.process.run_start]}
        stages = dict.fromkeys(drivers, 0) | {name: 2 + n for n, name in enumerate(case.process.programs)}
        entries = [each for each in case.seen if each.state != "Z"]
        entries += [case.exit_record._replace(second=case.exit_record.ended)] if case.exit_record else []
        for before, now in pairwise(entries):
            if stages.get(before.name, 1) < stages.get(now.name, 1):
                yield case.name, now.second, before.name, now.name

    def ends(self) -> Tally:
        """Each process that is gone without an exit record has one end: last seen, gone by the next sample."""
        tally = Tally()
        for case in self.known:
            is_gone = bool(case.seen) and not case.exit_record and self.log.gone_by(case.seen[-1].sample) is not None
            told = [row for row in case.of("ends") if row["fate"] == "gone"]
            tally.add([case.name] * is_gone, [self._judged_end(case, row) for row in told])
        tally.add([], [_brief(row) for row in self.strays["ends"] if row["fate"] == "gone"])
        return tally

    def _judged_end(self, case: Case, row: Row) -> Hashable:
        """The process's name where an inferred end agrees with the truth."""
        last = {entries[-1].second for entries in (case.seen, [e for e in case.seen if e.state != "Z"]) if entries}
        gone_by = datetime.fromisoformat(str(row["gone_by"])).timestamp() if row["gone_by"] else -inf
        next_sample = self.log.gone_by(case.seen[-1].sample) if case.seen else None
        is_true = _number(row, "second") <= case.process.gone and _end(case.process) < gone_by + 1 + SLACK_S
        if row["second"] in last and is_true and gone_by <= (next_sample or -inf):
            return case.name
        return case.name, row["second"], row["gone_by"]

    def running(self) -> Tally:
        """Who is in the last sample, and nobody else, is told to be running still."""
        tally, last = Tally(), len(self.log.seconds) - 1
        for case in self.known:
            is_last = bool(case.seen) and not case.exit_record and case.seen[-1].sample == last
            told = [row["second"] for row in case.of("ends") if row["fate"] == "running"]
            tally.add([(case.name, self.log.seconds[last])] * is_last, [(case.name, second) for second in told])
        tally.add([], [_brief(row) for row in self.strays["ends"] if row["fate"] == "running"])
        return tally


def _could_show(process: Process, second: int) -> bool:
    """Whether a sample of a second can show a process."""
    return floor(process.fork_before) - SLACK_S <= second <= process.gone


def _is_its_own(process: Process, command_line: Value) -> bool:
    return " ".join(process.argv_latin1) == command_line


def _end(process: Process) -> float:
    """When it had ended for sure, or by when nobody knows any more."""
    return process.exit_seen if process.exit_seen < inf else -inf


def _user_changes(case: Case) -> Iterator[Hashable]:
    for before, now in pairwise(each for each in case.seen if each.state != "Z"):
        if before.ids != now.ids:
            yield case.name, now.second, *before.ids, *now.ids


def _number(row: Row, name: str) -> int:
    return int(row[name] or 0)


def _brief(row: Row) -> tuple[Hashable, ...]:
    return row["kind"], row["second"], row["pid"], row["process"]


def _taken(rows: list[Item], found: list[Item]) -> Item | None:
    """The first of what was found, which is then no longer among the rows."""
    for row in found[:1]:
        rows.remove(row)
        return row
    return None
