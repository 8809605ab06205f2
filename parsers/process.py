"""What ran: each process's start and exit, and an observation of each live process in each sample.

What the fields of a task mean: photoproc.h, photoproc.c and deviate.c of atop.
"""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atop_timeline.events import Column, Events, EventType, Facts, Kind
from atop_timeline.rawlog import LAST_SECOND, Samples
from atop_timeline.texts import UNKNOWN, Texts
from atop_timeline.timeline import Timeline

from . import tstat

_IDENTITY = (
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

_FACTS = "tasks"
START = EventType("starts", "linux:atop:process", "Start Time", _FACTS, _IDENTITY)
OBSERVATION = EventType("observations", "linux:atop:observation", "Sample Time", _FACTS, _OBSERVATION)
THREAD = EventType("threads", "linux:atop:observation", "Sample Time", _FACTS, _OBSERVATION, default=False)
EXIT = EventType("exits", "linux:atop:process", "Exit Time", _FACTS, _IDENTITY + _EXIT)
SIGHTING = EventType(
    "process_sightings",
    facts=_FACTS,
    own=(
        Column("pid", Kind.INTEGER, "", "process id"),
        Column("btime", Kind.INTEGER, "s", "start, since 1970 UTC; 0 for what is no time"),
        Column("btime_tolerance", Kind.INTEGER, "s", "by how much the same start may differ"),
        Column("is_exit", Kind.FLAG, "", "an exit record"),
        Column("is_zombie", Kind.FLAG, "", "alive in name only"),
        Column("elaps", Kind.INTEGER, "tick", "how long it lived"),
        Column("wait_status", Kind.INTEGER, "", "as wait(2) gives it"),
    ),
)
"""Who was seen when: from these `finish` makes lives, and from lives starts and exits."""

_EXITED, _ZOMBIE = ord("E"), ord("Z")
_STATES = {code: chr(code) for code in range(ord("!"), 0x7F)}
_TEXTS = {
    "container": "gen.container",
    "uts_name": "gen.utsname",
    "cgroup_path": "gen.cgpath",
    "wait_channel": "cpu.wchan",
}
_UNSIGNED = 0xFFFFFFFF
_MANTISSA_BITS = 24
_CACHED_TASKS = 512  # about as many as a processor keeps at hand


class ProcessParser:
    """Processes; see the module."""

    name = "process"
    event_types = (START, OBSERVATION, THREAD, EXIT)
    staging = (SIGHTING,)

    def parse(self, samples: Samples, wanted: Collection[str]) -> Iterator[Events]:
        """The observations and sightings of some samples."""
        tasks = _Tasks(samples, threads=THREAD.name in wanted)
        yield tasks.observations(OBSERVATION, tasks.live)
        yield tasks.observations(THREAD, tasks.threads)
        yield tasks.sightings()

    def finish(self, timeline: Timeline) -> None:
        """Makes lives out of all sightings, starts and exits out of lives.

        An exit record's start may be one second later than the live ones', and a start may move by a second
        when atop is restarted; but what is seen behind an exit is another process, unless it is a zombie. A sample
        shows the living before the exits: who is seen again in a later one came behind the exit of the same pid.
        """
        timeline.execute(_LIVES)
        timeline.fill(START, _STARTS)
        timeline.fill(EXIT, _EXITS)


class _Tasks:
    """The tasks of some samples, sorted out: `live`, `exited` and `threads` are indices into them.

    Most tasks repeat, byte for byte, what the sample before had of them. So the facts are made once for each
    run of equal ones, and `_row` has the number of each task's row of facts.
    """

    def __init__(self, samples: Samples, *, threads: bool) -> None:
        self._samples = samples
        self._gen = samples.tasks["gen"]
        self._pid = self._gen["pid"].astype(np.int64)
        self._btime = _seconds(self._gen["btime"])
        is_exit = self._gen["state"] == _EXITED
        isproc = tstat.field(samples.tasks, "gen.isproc")
        is_process = np.full(len(is_exit), True) if isproc is None else isproc != 0  # noqa: FBT003  1.26: all are
        self.live = np.flatnonzero(is_process & ~is_exit)
        self.exited = np.flatnonzero(is_exit)
        self.threads = np.flatnonzero(~is_process & ~is_exit & threads)
        parts = (self.live, self.exited, self.threads)
        self._near = np.concatenate([part[np.argsort(self._pid[part], kind="stable")] for part in parts])
        self._texts = Texts()
        self._row = np.full(len(is_exit), -1)
        self._facts = self._distinct(self._parents())

    def observations(self, event_type: EventType, tasks: NDArray[np.intp]) -> Events:
        """One event per given task."""
        return Events(event_type, self._keys(tasks) | {"time_us": self._sample_us(tasks)}, self._facts)

    def sightings(self) -> Events:
        """One per exited process, at its exit, and per live one that the samples before did not show, at its sample."""
        tasks = np.concatenate([self._first_seen(), self.exited])
        is_exit = self._gen["state"][tasks] == _EXITED
        exit_second = np.where(is_exit, self._exit_seconds(tasks), 0)
        error = self._exit_error(tasks)
        columns = self._keys(tasks) | {
            "time_us": np.where(exit_second > 0, exit_second * 1_000_000, self._sample_us(tasks)),
            "early_s": np.ma.masked_array(error, is_exit & (exit_second == 0)),
            "late_s": error,
            "pid": self._pid[tasks],
            "btime": self._btime[tasks],
            "btime_tolerance": np.full(len(tasks), 2 if self._samples.log.version < (2, 0) else 1),
            "is_exit": is_exit,
            "is_zombie": self._gen["state"][tasks] == _ZOMBIE,
            "elaps": self._gen["elaps"][tasks].astype(np.int64),
            "wait_status": _wait_status(self._gen["excode"][tasks]),
        }
        return Events(SIGHTING, columns, self._facts)

    def _keys(self, tasks: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
        exact = np.zeros(len(tasks), np.int64)
        return {
            "sample": self._samples.first + self._samples.sample[tasks],
            "entry": tasks - np.searchsorted(self._samples.sample, self._samples.sample[tasks]),
            "row": self._row[tasks],
            "early_s": exact,
            "late_s": exact,
        }

    def _first_seen(self) -> NDArray[np.intp]:
        """The live whose pid and start the sample before did not show, or that atop has as new."""
        near = self._near[: len(self.live)]
        same = _same_as_before(self._pid[near]) & _same_as_before(self._btime[near])
        return np.sort(near[~same | (self._gen["excode"][near] < 0)])

    def _parents(self) -> NDArray[np.intp]:
        """Of each task the process with its parent's pid in its sample, a living one before one that exited; or -1."""
        processes = np.concatenate([self.live, self.exited])
        if not len(processes):
            return np.full(len(self._pid), -1)
        keys = self._samples.sample[processes] << 32 | self._pid[processes] & _UNSIGNED
        order = np.argsort(keys, kind="stable")
        wanted = self._samples.sample << 32 | self._gen["ppid"].astype(np.int64) & _UNSIGNED
        place = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
        return np.where(keys[order][place] == wanted, processes[order][place], -1)

    def _distinct(self, parents: NDArray[np.intp]) -> Facts:
        """The facts of all tasks in use; sets the row of each."""
        near, same = self._near, self._repeats()
        self._row[near] = np.cumsum(~same) - 1
        texts = {}
        for name, source in (("process", "gen.name"), ("command_line", "gen.cmdline")):
            own = self._text(source, near[~same])
            parent = parents[near]
            texts[name] = own[self._row[near]]
            texts[f"parent_{name}"] = np.where(parent < 0, UNKNOWN, own[self._row[parent]])
        for name in ("parent_process", "parent_command_line"):
            same &= _same_as_before(texts[name])
        self._row[near] = np.cumsum(~same) - 1
        return self._known(near[~same], {name: numbers[~same] for name, numbers in texts.items()})

    def _repeats(self) -> NDArray[np.bool_]:
        """Which tasks, in the order of `_near`, are what the sample before had, with all bytes, interval and flags."""
        near, records = self._near, self._samples.records
        same = _same_as_before(self._pid[near])
        for name in ("interval", "flags"):
            same &= _same_as_before(records[name][self._samples.sample[near]])
        inactive = tstat.field(self._samples.tasks, "gen.wasinactive")
        if inactive is not None:
            same &= inactive[near] != 0
        raw = self._samples.tasks.view(np.uint32).reshape(-1, self._samples.tasks.itemsize // 4)
        again = np.flatnonzero(same)
        for some in np.array_split(again, len(again) // _CACHED_TASKS + 1):
            same[some] = (raw[near[some]] == raw[near[some - 1]]).all(axis=1)
        return same

    def _known(self, tasks: NDArray[np.intp], texts: dict[str, NDArray[np.int64]]) -> Facts:
        gen, exited = self._gen, self._gen["state"][tasks] == _EXITED
        uid, euid = _unsigned(gen["ruid"][tasks]), _unsigned(gen["euid"][tasks])
        ids = {name: _unsigned(gen[name][tasks]) for name in ("suid", "fsuid", "egid", "sgid", "fsgid")}
        ids |= {"euid": euid} | tstat.columns(self._samples, tasks, tstat.OPENVZ)
        isproc = tstat.field(self._samples.tasks, "gen.isproc")
        columns = {
            "pid": self._pid[tasks],
            "tgid": self._pid[tasks] if isproc is None else gen["tgid"][tasks],
            "ppid": gen["ppid"][tasks],
            "uid": uid,
            "gid": _unsigned(gen["rgid"][tasks]),
            "is_process": np.full(len(tasks), 1) != 0 if isproc is None else isproc[tasks] != 0,
            "is_new": gen["excode"][tasks] < 0,
            **{name: np.ma.masked_array(values, exited) for name, values in ids.items()},
            **self._observed(tasks),
            **self._results(tasks, exited),
        }
        users = self._samples.log.users
        texts = texts | {
            "executable": self._texts.derived(texts["command_line"], _executable),
            "username": self._texts.looked_up(uid, users),
            "effective_username": np.where(exited, UNKNOWN, self._texts.looked_up(euid, users)),
            "state": self._texts.looked_up(gen["state"][tasks], _STATES),
            **{name: self._text(source, tasks) for name, source in _TEXTS.items()},
        }
        return Facts(columns, texts, self._texts.values)

    def _observed(self, tasks: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
        """What an observation has besides who the task is."""
        columns = tstat.columns(self._samples, tasks, _OBSERVED)
        seconds = np.maximum(self._samples.records["interval"][self._samples.sample[tasks]].astype(np.int64), 1)
        cpu = columns["user_cpu_seconds"] + columns["system_cpu_seconds"]
        columns["cpu_percent"] = np.round(cpu * 100 / seconds, 2)
        inactive = tstat.field(self._samples.tasks, "gen.wasinactive")
        if inactive is not None:
            columns["was_inactive"] = inactive[tasks] != 0
        return columns

    def _results(self, tasks: NDArray[np.intp], exited: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
        """What an exit record says of the end; unknown of the living."""
        status = _wait_status(self._gen["excode"][tasks])
        signal = status & 0x7F
        duration = self._gen["elaps"][tasks] / float(self._samples.log.header["hertz"])
        return {
            "exit_code": np.ma.masked_array(status >> 8 & 0xFF, ~exited | (signal != 0)),
            "signal": np.ma.masked_array(signal, ~exited | (signal == 0)),
            "core_dumped": np.ma.masked_array(status & 0x80 != 0, ~exited),
            "duration": np.ma.masked_array(duration, ~exited),
        }

    def _sample_us(self, tasks: NDArray[np.intp]) -> NDArray[np.int64]:
        return (self._samples.records["curtime"].astype(np.int64) * 1_000_000)[self._samples.sample[tasks]]

    def _exit_seconds(self, tasks: NDArray[np.intp]) -> NDArray[np.int64]:
        """When the exited ended; 0 where no time results.

        Exact, since the kernel made ac_btime by taking the whole seconds of ac_etime off (acct(5), acct_v3).
        """
        lived = self._gen["elaps"][tasks].astype(np.int64) // int(self._samples.log.header["hertz"])
        return np.where(self._btime[tasks] > 0, _seconds(self._btime[tasks] + lived), 0)

    def _exit_error(self, tasks: NDArray[np.intp]) -> NDArray[np.int64]:
        """By how many seconds an exit may be off: ac_etime is a float, exact to 2**24 ticks, then coarser."""
        _, bits = np.frexp(self._gen["elaps"][tasks].astype(np.float64))
        step = np.exp2(bits - float(_MANTISSA_BITS)) / int(self._samples.log.header["hertz"])
        return np.where(bits > _MANTISSA_BITS, np.ceil(step), 0).astype(np.int64)

    def _text(self, source: str, tasks: NDArray[np.intp]) -> NDArray[np.int64]:
        """The numbers of a text of some tasks; unknown where the layout has none."""
        raw = tstat.field(self._samples.tasks, source)
        return np.full(len(tasks), UNKNOWN) if raw is None else self._texts.decoded(raw[tasks])


def _same_as_before(values: NDArray[Any]) -> NDArray[np.bool_]:
    same = np.zeros(len(values), np.bool_)
    same[1:] = values[1:] == values[:-1]
    return same


def _executable(command_line: str) -> str:
    return command_line.partition(" ")[0] if command_line.startswith("/") else ""


def _unsigned(ids: NDArray[np.int32]) -> NDArray[np.int64]:
    """User and group ids are unsigned; atop declares them signed."""
    return ids.astype(np.int64) & _UNSIGNED


def _wait_status(excode: NDArray[np.int32]) -> NDArray[np.int64]:
    return excode.astype(np.int64) & 0x7FFFFFFF  # deviate.c: bit 31 is atop's own


def _seconds(values: NDArray[np.integer]) -> NDArray[np.int64]:
    """Seconds since 1970; 0 for what is none of the years to 9999."""
    seconds = values.astype(np.int64)
    return np.where((seconds > 0) & (seconds <= LAST_SECOND), seconds, 0)


# `outlived` are live ones that are seen again behind an exit of their pid in their own sample: it was another's.
_IN_LIFE = "PARTITION BY hostname, pid ORDER BY life_us, stage > 0, sample_id, stage, entry"
_SAME_EXIT = "hostname, pid, btime, elaps, wait_status"
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
outlived AS (
    SELECT alive.sample_id, alive.entry, max(ended.time_us) AS after_us
    FROM once AS alive
    JOIN once AS ended ON ended.sample_id = alive.sample_id AND ended.pid = alive.pid
    JOIN once AS later ON later.hostname = alive.hostname AND later.pid = alive.pid
    WHERE NOT alive.is_exit AND NOT alive.is_zombie AND ended.is_exit AND NOT later.is_zombie
        AND later.sample_id <> alive.sample_id AND later.time_us >= alive.time_us
        AND abs(ended.btime - alive.btime) <= alive.btime_tolerance
        AND abs(later.btime - alive.btime) <= alive.btime_tolerance
    GROUP BY alive.sample_id, alive.entry
),
staged AS (
    SELECT once.*, greatest(time_us, after_us) AS life_us,
        CASE WHEN is_exit THEN 1 WHEN after_us IS NULL THEN 0 ELSE 2 END AS stage
    FROM once LEFT JOIN outlived USING (sample_id, entry)
),
compared AS (
    SELECT *,
        lag(is_exit) OVER ({_IN_LIFE}) AS after_exit,
        abs(btime - lag(btime) OVER ({_IN_LIFE})) <= btime_tolerance AS same_start
    FROM staged
)
SELECT *, NOT coalesce(same_start AND (is_zombie OR NOT after_exit), false) AS begins FROM compared
"""
_STARTS = """
SELECT * REPLACE (btime * 1000000 AS time_us, 1 AS early_s, CASE WHEN is_exit THEN 0 ELSE 1 END AS late_s)
FROM lives WHERE begins AND btime > 0
"""
_EXITS = "SELECT * FROM lives WHERE is_exit"
