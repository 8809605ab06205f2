"""What ran: each process's start and exit, and an observation of each live process in each sample.

What the fields of a task mean: photoproc.h, photoproc.c and deviate.c of atop.
"""

from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray

from atop_timeline.events import Column, Events, EventType, Kind
from atop_timeline.rawlog import LAST_SECOND, Samples
from atop_timeline.texts import UNKNOWN, Texts
from atop_timeline.timeline import Timeline

from . import tstat

_IDENTITY = (
    Column("time_accuracy", Kind.TEXT, "", "how far the true time may lie from the one given"),
    Column("pid", Kind.INTEGER, "", "process id; of a thread its own id"),
    Column("tgid", Kind.INTEGER, "", "process id, also of a thread"),
    Column("ppid", Kind.INTEGER, "", "process id of the parent; of an exited process: at its exit"),
    Column("process", Kind.TEXT, "", "name, at most 15 bytes"),
    Column("command_line", Kind.TEXT, "", "arguments parted by blanks, at most 255 bytes (atop 1.26: 150)"),
    Column("executable", Kind.TEXT, "", "first word of the command line, if it is an absolute path"),
    Column("parent_process", Kind.TEXT, "", "the parent's name in the same sample"),
    Column("parent_command_line", Kind.TEXT, "", "the parent's command line in the same sample"),
    Column("username", Kind.TEXT, "", "name of uid, from the machine's own /etc/passwd"),
    Column("uid", Kind.INTEGER, "", "real user id"),
    Column("gid", Kind.INTEGER, "", "real group id"),
    Column("effective_username", Kind.TEXT, "", "name of euid"),
    Column("euid", Kind.INTEGER, "", "effective user id; not recorded of exited processes, as the next ones"),
    Column("suid", Kind.INTEGER, "", "saved user id"),
    Column("fsuid", Kind.INTEGER, "", "file system user id"),
    Column("egid", Kind.INTEGER, "", "effective group id"),
    Column("sgid", Kind.INTEGER, "", "saved group id"),
    Column("fsgid", Kind.INTEGER, "", "file system group id"),
    Column("state", Kind.TEXT, "", "R, S, D, I, T, t, Z ... as in ps; E exited"),
    Column("is_process", Kind.FLAG, "", "false: a thread"),
    Column("is_new", Kind.FLAG, "", "first seen in this sample; of an exit: never seen alive"),
    Column("container", Kind.TEXT, "", "first 12 digits of the container's id; atop 2.3 to 2.9"),
    Column("uts_name", Kind.TEXT, "", "host name inside a container; cut, atop 2.10 and later"),
    *(each.column for each in tstat.OPENVZ),
)
_OBSERVED = (
    *(tstat.THREADS + tstat.CPU_TIME + tstat.SCHEDULING + tstat.MEMORY + tstat.FAULTS),
    *(tstat.DISK + tstat.NETWORK + tstat.GPU + tstat.CGROUP_LIMITS),
)
_OBSERVATION = (
    *_IDENTITY,
    Column("was_inactive", Kind.FLAG, "", "nothing changed in the interval"),
    Column("cpu_percent", Kind.NUMBER, "%", "processor time of the interval, 100: one processor"),
    Column("cgroup_path", Kind.TEXT, "", "cgroup v2 path, its first 63 bytes; atop 2.8 to 2.10"),
    Column("wait_channel", Kind.TEXT, "", "kernel function that it waits in; only with atop -W"),
    *(each.column for each in _OBSERVED),
)
_EXIT = (
    Column("exit_code", Kind.INTEGER, "", "what it returned; unknown where a signal ended it"),
    Column("signal", Kind.INTEGER, "", "the signal that ended it"),
    Column("core_dumped", Kind.FLAG, "", "whether the kernel noted a core dump"),
    Column("duration", Kind.NUMBER, "s", "how long it lived"),
    *(each.column for each in tstat.CPU_TIME + tstat.FAULTS),
)

START = EventType("starts", "linux:atop:process", "Start Time", _IDENTITY)
OBSERVATION = EventType("observations", "linux:atop:observation", "Sample Time", _OBSERVATION)
THREAD = EventType("threads", "linux:atop:observation", "Sample Time", _OBSERVATION, default=False)
EXIT = EventType("exits", "linux:atop:process", "Exit Time", _IDENTITY + _EXIT)
SIGHTING = EventType(
    "process_sightings",
    "",
    "",
    (
        *_IDENTITY,
        *_EXIT,
        Column("btime", Kind.INTEGER, "s", "start, since 1970 UTC; what is no time is 0"),
        Column("is_exit", Kind.FLAG, "", "an exit record"),
        Column("is_zombie", Kind.FLAG, "", "alive in name only"),
        Column("wait_status", Kind.INTEGER, "", "as wait(2) gives it"),
        Column("btime_tolerance", Kind.INTEGER, "s", "by how much the same start may differ"),
    ),
)
"""Who was seen when: from these `finish` makes lives, and from lives starts and exits."""

_EXITED, _ZOMBIE = ord("E"), ord("Z")
_NEW = 1 << 31  # deviate.c: private bit of excode


class ProcessParser:
    """Processes; see the module."""

    name = "process"
    event_types = (START, OBSERVATION, THREAD, EXIT)
    staging = (SIGHTING,)

    def parse(self, samples: Samples, wanted: Collection[str]) -> Iterator[Events]:
        """The observations and sightings of some samples."""
        tasks = _Tasks(samples, threads=THREAD.name in wanted)
        if OBSERVATION.name in wanted:
            yield tasks.observations(OBSERVATION, tasks.live)
        if THREAD.name in wanted:
            yield tasks.observations(THREAD, tasks.threads)
        if START.name in wanted or EXIT.name in wanted:
            yield tasks.sightings(tasks.first_seen())
            yield tasks.sightings(tasks.exited)

    def finish(self, timeline: Timeline) -> None:
        """Makes lives out of all sightings, starts and exits out of lives.

        An exit record's start may be one second later than the live ones', and a start may move by a second
        when atop is restarted; but what is seen behind an exit is another process, unless it is a zombie.
        """
        timeline.execute(_LIVES)
        near, late = timeline.text("±1 s"), timeline.text("-1..0 s")
        timeline.fill(START, _STARTS.format(near=near, late=late))
        timeline.fill(EXIT, _EXITS)


class _Tasks:
    """The tasks of some samples, sorted out: `live`, `exited` and `threads` are indices into them."""

    def __init__(self, samples: Samples, *, threads: bool) -> None:
        self._samples = samples
        self._gen = samples.tasks["gen"]
        self._texts = Texts()
        is_exit = self._gen["state"] == _EXITED
        self._is_process = self._flag("gen.isproc", absent=True)
        self.live = np.flatnonzero(self._is_process & ~is_exit)
        self.exited = np.flatnonzero(is_exit)
        self.threads = np.flatnonzero(~self._is_process & ~is_exit & threads)
        self._pid = self._gen["pid"].astype(np.int64)
        self._btime = _seconds(self._gen["btime"])
        used = np.concatenate([self.live, self.exited, self.threads])
        self._near = used[np.lexsort((used, self._pid[used]))]
        self._process = self._text("gen.name")
        self._command_line = self._text("gen.cmdline")

    def observations(self, event_type: EventType, rows: NDArray[np.intp]) -> Events:
        """One event per given task."""
        columns = self._identity(rows) | tstat.columns(self._samples, rows, _OBSERVED)
        cpu = columns["user_cpu_seconds"] + columns["system_cpu_seconds"]
        interval = np.maximum(self._samples.records["interval"][self._samples.sample[rows]].astype(np.int64), 1)
        columns |= {
            "time_us": self._sample_us(rows),
            "time_accuracy": self._constant("second", rows),
            "was_inactive": self._flag("gen.wasinactive", absent=False)[rows],
            "cpu_percent": np.round(cpu * 100 / interval, 2),
            "cgroup_path": self._text("gen.cgpath")[rows],
            "wait_channel": self._text("cpu.wchan")[rows],
        }
        return Events(event_type, columns, self._texts.values)

    def sightings(self, rows: NDArray[np.intp]) -> Events:
        """One sighting per given task: of an exited one at its exit, of a live one at its sample."""
        is_exit = self._gen["state"][rows] == _EXITED
        columns = self._identity(rows) | self._results(rows)
        exit_second = self._exit_seconds(rows)
        columns |= {
            "time_us": np.where(is_exit & (exit_second > 0), exit_second * 1_000_000, self._sample_us(rows)),
            "time_accuracy": self._accuracy(rows, exit_second),
            "btime": self._btime[rows],
            "is_exit": is_exit,
            "is_zombie": self._gen["state"][rows] == _ZOMBIE,
            "btime_tolerance": np.full(len(rows), 2 if self._samples.log.version < (2, 0) else 1),
        }
        return Events(SIGHTING, columns, self._texts.values)

    def first_seen(self) -> NDArray[np.intp]:
        """Of the live, those that the samples before did not show, by pid and start."""
        rows = self.live[np.lexsort((self.live, self._pid[self.live]))]
        new = np.ones(len(rows), np.bool_)
        for values in (self._pid[rows], self._btime[rows]):
            new[1:] &= values[1:] == values[:-1]
        new[1:] = ~new[1:]
        return np.sort(rows[new])

    def _identity(self, rows: NDArray[np.intp]) -> dict[str, NDArray[np.generic]]:
        """What tells who a task is; of exited ones, what the kernel's accounting does not know is masked."""
        parent = self._parent(rows)
        uid, euid = _unsigned(self._gen["ruid"][rows]), _unsigned(self._gen["euid"][rows])
        columns: dict[str, NDArray[np.generic]] = {
            "sample": self._samples.first + self._samples.sample[rows],
            "entry": rows - np.searchsorted(self._samples.sample, self._samples.sample[rows]),
            "pid": self._pid[rows],
            "tgid": self._pid[rows] if self._samples.log.version < (1, 27) else self._gen["tgid"][rows],
            "ppid": self._gen["ppid"][rows],
            "process": self._process[rows],
            "command_line": self._command_line[rows],
            "executable": self._texts.derived(self._command_line[rows], _executable),
            "parent_process": np.where(parent < 0, UNKNOWN, self._process[parent]),
            "parent_command_line": np.where(parent < 0, UNKNOWN, self._command_line[parent]),
            "uid": uid,
            "gid": _unsigned(self._gen["rgid"][rows]),
            "username": self._texts.looked_up(uid, self._samples.log.users),
            "state": self._texts.looked_up(self._gen["state"][rows], _STATES),
            "is_process": self._is_process[rows],
            "is_new": self._gen["excode"][rows] < 0,
            "container": self._text("gen.container")[rows],
            "uts_name": self._text("gen.utsname")[rows],
        }
        columns |= self._effective(rows, euid)
        return columns

    def _effective(self, rows: NDArray[np.intp], euid: NDArray[np.int64]) -> dict[str, NDArray[np.generic]]:
        """Effective, saved and file system ids, and OpenVZ's; accounting knows none of them."""
        exited = self._gen["state"][rows] == _EXITED
        known = {name: _unsigned(self._gen[name][rows]) for name in ("suid", "fsuid", "egid", "sgid", "fsgid")}
        known |= {"euid": euid} | tstat.columns(self._samples, rows, tstat.OPENVZ)
        names = self._texts.looked_up(euid, self._samples.log.users)
        masked = {name: np.ma.masked_array(values, exited) for name, values in known.items()}
        return masked | {"effective_username": np.where(exited, UNKNOWN, names)}

    def _results(self, rows: NDArray[np.intp]) -> dict[str, NDArray[np.generic]]:
        """What an exit record says of the end."""
        status = self._gen["excode"][rows].astype(np.int64) & ~_NEW
        signal = status & 0x7F
        hertz = float(self._samples.log.header["hertz"])
        return tstat.columns(self._samples, rows, tstat.CPU_TIME + tstat.FAULTS) | {
            "wait_status": status,
            "exit_code": np.ma.masked_array(status >> 8 & 0xFF, signal != 0),
            "signal": np.ma.masked_array(signal, signal == 0),
            "core_dumped": status & 0x80 != 0,
            "duration": self._gen["elaps"][rows] / hertz,
        }

    def _parent(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """The process with the parent's pid in the same sample, one that lives before one that exited; or -1."""
        processes = np.concatenate([self.live, self.exited])
        if not len(processes):
            return np.full(len(rows), -1)
        keys = self._key(processes, self._pid)
        order = np.argsort(keys, kind="stable")
        wanted = self._key(rows, self._gen["ppid"].astype(np.int64))
        place = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
        found = processes[order][place]
        return np.where(keys[order][place] == wanted, found, -1)

    def _key(self, rows: NDArray[np.intp], pid: NDArray[np.int64]) -> NDArray[np.int64]:
        return self._samples.sample[rows] << 32 | pid[rows] & 0xFFFFFFFF

    def _sample_us(self, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        return (self._samples.records["curtime"].astype(np.int64) * 1_000_000)[self._samples.sample[rows]]

    def _exit_seconds(self, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """When the exited ended; 0 where no time results.

        Exact, since the kernel made ac_btime by subtracting the whole seconds of ac_etime (acct_v3, acct(5)).
        """
        hertz = int(self._samples.log.header["hertz"])
        end = _seconds(self._btime[rows] + self._gen["elaps"][rows].astype(np.int64) // hertz)
        return np.where(self._btime[rows] > 0, end, 0)

    def _accuracy(self, rows: NDArray[np.intp], exit_second: NDArray[np.int64]) -> NDArray[np.int64]:
        """In words, of exits; ac_etime is a float of 24 bits, so lives beyond 2**24 ticks are rounded."""
        _, bits = np.frexp(self._gen["elaps"][rows].astype(np.float64))
        step = np.ceil(np.exp2(bits - 24.0) / int(self._samples.log.header["hertz"])).astype(np.int64)
        error = np.where(exit_second == 0, -1, np.where(bits > 24, step, 0))  # noqa: PLR2004  of the mantissa
        words = {-1: "not after", 0: "second"} | {each: f"±{each} s" for each in range(1, int(step.max(initial=0)) + 1)}
        return self._texts.looked_up(error, words)

    def _text(self, source: str) -> NDArray[np.int64]:
        """The numbers of a text of each task that is used; UNKNOWN where there is none."""
        numbers = np.full(len(self._gen), UNKNOWN)
        raw = tstat.field(self._samples.tasks, source)
        if raw is not None:
            numbers[self._near] = self._texts.decoded(raw[self._near])
        return numbers

    def _flag(self, source: str, *, absent: bool) -> NDArray[np.bool_]:
        values = tstat.field(self._samples.tasks, source)
        return np.full(len(self._gen), absent) if values is None else values != 0

    def _constant(self, text: str, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        return np.full(len(rows), self._texts.number(text))


_STATES = {code: chr(code) for code in range(ord("!"), 0x7F)}


def _executable(command_line: str) -> str:
    return command_line.partition(" ")[0] if command_line.startswith("/") else ""


def _unsigned(ids: NDArray[np.int32]) -> NDArray[np.int64]:
    """User and group ids are unsigned; atop declares them signed."""
    return ids.astype(np.int64) & 0xFFFFFFFF


def _seconds(values: NDArray[np.integer]) -> NDArray[np.int64]:
    """Seconds since 1970; 0 for what is none of the years to 9999."""
    seconds = values.astype(np.int64)
    return np.where((seconds > 0) & (seconds <= LAST_SECOND), seconds, 0)


_IN_LIFE = "PARTITION BY hostname, pid ORDER BY time_us, is_exit, btime, sample_id, entry"
_SAME_EXIT = "hostname, pid, btime, time_us, wait_status, duration"
_LIVES = f"""
CREATE OR REPLACE TEMP TABLE lives AS
WITH seen AS (
    SELECT process_sightings.*, log_id, hostname
    FROM process_sightings JOIN origins USING (sample_id)
),
numbered AS (
    SELECT *, row_number() OVER (PARTITION BY log_id, is_exit, {_SAME_EXIT} ORDER BY sample_id, entry) AS repetition
    FROM seen
),
once AS (
    SELECT * FROM numbered QUALIFY NOT is_exit OR 1 = row_number() OVER (
        PARTITION BY is_exit, {_SAME_EXIT}, repetition ORDER BY sample_id, entry
    )
),
compared AS (
    SELECT *,
        lag(is_exit) OVER ({_IN_LIFE}) AS after_exit,
        abs(btime - lag(btime) OVER ({_IN_LIFE})) <= btime_tolerance AS same_start
    FROM once
)
SELECT *, NOT coalesce(same_start AND (is_zombie OR NOT after_exit), false) AS begins FROM compared
"""
_STARTS = """
SELECT * REPLACE (btime * 1000000 AS time_us, CASE WHEN is_exit THEN {late} ELSE {near} END AS time_accuracy)
FROM lives WHERE begins AND btime > 0
"""
_EXITS = "SELECT * FROM lives WHERE is_exit"
