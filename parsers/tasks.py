"""The tasks of some samples, by columns: who they are, what they did, which of them repeat.

What the fields of a task mean: photoproc.h, photoproc.c and deviate.c of atop.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atop_timeline.blocks import Samples
from atop_timeline.cgroups import memberships
from atop_timeline.events import Events, EventType, Facts
from atop_timeline.header import HERTZ
from atop_timeline.record import BOOT, LAST_SECOND
from atop_timeline.texts import UNKNOWN, Texts

from . import tstat
from .cgroup import limits_of

_EXITED, _ZOMBIE = ord("E"), ord("Z")
_STATES = {code: chr(code) for code in range(ord("!"), 0x7F)}
_TEXTS = {
    "process": "gen.name",
    "command_line": "gen.cmdline",
    "container": "gen.container",
    "uts_name": "gen.utsname",
    "cgroup_path": "gen.cgpath",
    "wait_channel": "cpu.wchan",
}
_FACE = {
    *("name", "cmdline", "ppid", "container", "utsname", "cgpath", "ctid"),
    *("ruid", "euid", "suid", "fsuid", "rgid", "egid", "sgid", "fsgid"),
}
_UNSIGNED = 0xFFFFFFFF
_MANTISSA_BITS = 24


class Known(NamedTuple):
    """What is known of the tasks of one sample, for the samples behind it.

    `row` has the number of each one's row of facts, `face_row` that of the task with which the face of its process
    begins, both of shape (n,); `rows` is how many there are.
    """

    row: NDArray[np.int64]
    face_row: NDArray[np.int64]
    rows: int


NOTHING = Known(np.zeros(0, np.int64), np.zeros(0, np.int64), 0)


class Tasks:
    """The tasks of some samples, sorted out: `live`, `exited` and `threads` are indices into them.

    Most tasks repeat, byte for byte, what the sample before had of them. So the facts are made once for each
    run of equal ones, and `_row` has the number of each task's row of facts. Where something is known of a sample
    `before`, that is the first of these: it is there to be compared with, and nothing is told of it again. `known` is
    what the samples behind these need.
    """

    def __init__(self, samples: Samples, before: Known, *, threads: bool) -> None:
        self._samples = samples
        self._before = before
        self._gen = samples.tasks["gen"]
        self._which = samples.which
        self._first = np.searchsorted(samples.sample, np.arange(len(samples.records)))
        self._pid = self._gen["pid"].astype(np.int64)[self._which]
        self._btime = _seconds(self._gen["btime"])[self._which]
        is_exit = (self._gen["state"] == _EXITED)[self._which]
        isproc = tstat.field(samples.tasks, "gen.isproc")
        is_process = np.ones(len(self._gen), np.bool_) if isproc is None else isproc != 0  # in 1.26 all are
        self._is_process = is_process[self._which]
        self._live = np.flatnonzero(self._is_process & ~is_exit)
        self._threads = np.flatnonzero(~self._is_process & ~is_exit & threads)
        parts = (self._live, np.flatnonzero(is_exit), self._threads)
        self.live, self.exited, self.threads = map(self._new, parts)
        self._near = np.concatenate([part[np.argsort(self._pid[part], kind="stable")] for part in parts])
        self._texts = Texts()
        self._cgroups = memberships(samples, self._texts)
        same = self._repeats()
        self._begins = self._with_parents(self._begins_face(~same[: len(self._live)]))
        same[: len(self._live)] &= ~self._begins
        self._row, made = self._rows(same)
        face_row = np.concatenate([before.face_row, self._row[len(before.row) :]])[self._owners()]
        self._facts = self._made(made, face_row)
        last = slice(self._first[-1], None)
        self.known = Known(self._row[last], face_row[last], before.rows + len(made))

    def observations(self, event_type: EventType, tasks: NDArray[np.intp]) -> Events:
        """One event per given task."""
        return Events(event_type, self._keys(tasks) | {"time_us": self._sample_us(tasks)}, self._facts)

    def last_sightings(self, event_type: EventType) -> Events:
        """One per face of a live process, at the last sample that shows it."""
        return self.observations(event_type, self._new(self._near[: len(self._live)][np.roll(self._begins, -1)]))

    def sightings(self, event_type: EventType) -> Events:
        """One per exited process, at its exit, and per face of a live one, at the first sample that shows it.

        A face is what a process looks like while its start, name, arguments, ids and parent stay as they are.
        """
        begun = self._new(self._near[: len(self._live)][self._begins])
        tasks = np.concatenate([np.sort(begun), self.exited])
        state, excode = self._field("state", tasks), self._field("excode", tasks)
        is_exit = state == _EXITED
        exit_second = np.where(is_exit, self._exit_seconds(tasks), 0)
        error = self._exit_error(tasks)
        columns = self._keys(tasks) | {
            "time_us": np.where(exit_second > 0, exit_second * 1_000_000, self._sample_us(tasks)),
            "early_s": np.ma.masked_array(error, is_exit & (exit_second == 0)),
            "late_s": error,
            "pid": self._pid[tasks],
            "ppid": self._field("ppid", tasks),
            "btime": self._btime[tasks],
            "btime_tolerance": np.full(len(tasks), 2 if self._samples.header.version < (2, 0) else 1),
            "is_boot": (self._samples.records["flags"][self._samples.sample[tasks]] & BOOT) != 0,
            "is_exit": is_exit,
            "is_zombie": state == _ZOMBIE,
            "is_new": excode < 0,
            "elaps": self._field("elaps", tasks).astype(np.int64),
            "wait_status": _wait_status(excode),
        }
        return Events(event_type, columns, self._facts)

    def _field(self, name: str, tasks: NDArray[np.intp]) -> NDArray[Any]:
        """What some tasks have in a field of `gen`."""
        values: NDArray[Any] = self._gen[name][self._which[tasks]]
        return values

    def _new(self, tasks: NDArray[np.intp]) -> NDArray[np.intp]:
        """Those of some tasks of which nothing was told before."""
        return tasks[tasks >= len(self._before.row)]

    def _rows(self, same: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        """The number of each task's row of facts, and the tasks of which new ones are made, in their order.

        `same` tells, in the order of `_near`, which repeat the one before.
        """
        heads = self._near[~same]
        is_new = heads >= len(self._before.row)
        rows = self._before.rows + np.cumsum(is_new) - 1
        rows[~is_new] = self._before.row[heads[~is_new]]
        row = np.full(len(self._pid), -1)
        row[self._near] = rows[np.cumsum(~same) - 1]
        return row, heads[is_new]

    def _keys(self, tasks: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
        exact = np.zeros(len(tasks), np.int64)
        return {
            "sample": self._samples.first + self._samples.sample[tasks],
            "entry": tasks - self._first[self._samples.sample[tasks]],
            "row": self._row[tasks],
            "early_s": exact,
            "late_s": exact,
        }

    def _begins_face(self, differs: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """With which live processes, in the order of `_near`, a face begins; none does where nothing differs."""
        live, begins = self._near[: len(differs)], differs.copy()
        changed = np.flatnonzero(differs)
        begins[changed] = ~self._is_same_face(live[changed], live[changed - 1])
        begins[:1] = True
        return begins

    def _with_parents(self, begins: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The same, and where the face of the parent begins."""
        live = self._near[: len(begins)]
        begun = np.sort(self._places(live[begins], self._pid[live[begins]]))
        parents = self._places(live, self._field("ppid", live))
        is_new: NDArray[np.bool_] = begun.take(np.searchsorted(begun, parents), mode="clip") == parents
        return begins | is_new

    def _faces(self, begins: NDArray[np.bool_]) -> NDArray[np.intp]:
        """The task with which each one's face begins; shape (n,)."""
        faces, live = np.arange(len(self._pid)), self._near[: len(begins)]
        faces[live] = live[np.maximum.accumulate(np.where(begins, np.arange(len(live)), 0))]
        return faces

    def _is_same_face(self, tasks: NDArray[np.intp], before: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which live processes look as other tasks do, in the sample before; what atop has as new does not."""
        same = self._samples.sample[tasks] - self._samples.sample[before] == 1
        same &= (self._pid[tasks] == self._pid[before]) & (self._field("excode", tasks) >= 0)
        same &= self._btime[tasks] == self._btime[before]
        same &= self._cgroups.path(tasks) == self._cgroups.path(before)
        for name in _FACE & set(self._gen.dtype.names or ()):
            same &= self._field(name, tasks) == self._field(name, before)
        looks_same: NDArray[np.bool_] = same
        return looks_same

    def _processes(self, tasks: NDArray[np.intp], pids: NDArray[np.int32]) -> NDArray[np.intp]:
        """The live processes of these `pids`, one for each of some tasks, in their samples; -1 where there is none."""
        if not len(tasks) or not len(self._live):
            return np.full(len(tasks), -1)
        keys = self._places(self._live, self._pid[self._live])
        order = np.argsort(keys, kind="stable")
        wanted = self._places(tasks, pids)
        place = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
        return np.where(keys[order][place] == wanted, self._live[order][place], -1)

    def _places(self, tasks: NDArray[np.intp], pids: NDArray[np.integer]) -> NDArray[np.int64]:
        """Numbers for these `pids`, one for each of some tasks, in their samples."""
        return self._samples.sample[tasks] << 32 | pids.astype(np.int64) & _UNSIGNED

    def _repeats(self) -> NDArray[np.bool_]:
        """Which tasks, in the order of `_near`, are what the sample before had, with all bytes, interval and flags."""
        near, records = self._near, self._samples.records
        same = _same_as_before(self._which[near]) & _same_as_before(self._cgroups.kind[near])
        same[1:] &= np.diff(self._samples.sample[near]) == 1
        for name in ("interval", "flags"):
            same &= _same_as_before(records[name][self._samples.sample[near]])
        inactive = tstat.field(self._samples.tasks, "gen.wasinactive")
        if inactive is not None:
            same &= (inactive != 0)[self._which[near]]
        return same

    def _made(self, tasks: NDArray[np.intp], face_row: NDArray[np.int64]) -> Facts:
        """The facts of some tasks."""
        exited = self._field("state", tasks) == _EXITED
        uid, euid = _unsigned(self._field("ruid", tasks)), _unsigned(self._field("euid", tasks))
        ids = {name: _unsigned(self._field(name, tasks)) for name in ("suid", "fsuid", "egid", "sgid", "fsgid")}
        ids |= {"euid": euid} | tstat.columns(self._samples, tasks, tstat.OPENVZ)
        isproc = tstat.field(self._samples.tasks, "gen.isproc")
        columns = {
            "pid": self._pid[tasks],
            "tgid": self._pid[tasks] if isproc is None else self._field("tgid", tasks),
            "ppid": self._field("ppid", tasks),
            "uid": uid,
            "gid": _unsigned(self._field("rgid", tasks)),
            "is_process": self._is_process[tasks],
            "is_new": self._field("excode", tasks) < 0,
            **{name: np.ma.masked_array(values, exited) for name, values in ids.items()},
            **self._observed(tasks),
            **self._results(tasks, exited),
        }
        users = self._samples.users
        texts = {name: self._text(source, tasks) for name, source in _TEXTS.items()}
        if self._samples.header.layout.cstat is not None:
            texts["cgroup_path"] = self._cgroups.path(tasks)
            columns |= limits_of(self._cgroups, tasks, self._samples.header.pagesize)
        texts |= {
            "executable": self._texts.derived(texts["command_line"], _executable),
            "username": self._texts.looked_up(uid, users),
            "effective_username": np.where(exited, UNKNOWN, self._texts.looked_up(euid, users)),
            "state": self._texts.looked_up(self._field("state", tasks), _STATES),
        }
        return Facts(columns, texts, self._texts.values, {"face_row": face_row[tasks]}, self._before.rows)

    def _owners(self) -> NDArray[np.intp]:
        """The task with which the face of each one's process begins; shape (n,)."""
        faces = self._faces(self._begins)
        if len(self._threads):
            processes = self._processes(self._threads, self._field("tgid", self._threads))
            faces[self._threads] = np.where(processes < 0, self._threads, faces[processes])
        return faces

    def _observed(self, tasks: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
        """What an observation has besides who the task is."""
        columns = tstat.columns(self._samples, tasks, tstat.OBSERVED)
        seconds = np.maximum(self._samples.records["interval"][self._samples.sample[tasks]].astype(np.int64), 1)
        if "user_cpu_seconds" in columns:
            cpu = columns["user_cpu_seconds"] + columns["system_cpu_seconds"]
            columns["cpu_percent"] = np.round(cpu * 100 / seconds, 2)
        inactive = tstat.field(self._samples.tasks, "gen.wasinactive")
        if inactive is not None:
            columns["was_inactive"] = (inactive != 0)[self._which[tasks]]
        return columns

    def _results(self, tasks: NDArray[np.intp], exited: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
        """What an exit record says of the end; unknown of the living."""
        status = _wait_status(self._field("excode", tasks))
        signal = status & 0x7F
        duration = self._field("elaps", tasks) / HERTZ
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
        lived = self._field("elaps", tasks).astype(np.int64) // HERTZ
        return np.where(self._btime[tasks] > 0, _seconds(self._btime[tasks] + lived), 0)

    def _exit_error(self, tasks: NDArray[np.intp]) -> NDArray[np.int64]:
        """By how many seconds an exit may be off: ac_etime is a float, exact to 2**24 ticks, then coarser."""
        _, bits = np.frexp(self._field("elaps", tasks).astype(np.float64))
        step = np.exp2(bits - float(_MANTISSA_BITS)) / HERTZ
        return np.where(bits > _MANTISSA_BITS, np.ceil(step), 0).astype(np.int64)

    def _text(self, source: str, tasks: NDArray[np.intp]) -> NDArray[np.int64]:
        """The numbers of a text of some tasks; unknown where the layout has none."""
        raw = tstat.field(self._samples.tasks, source)
        return np.full(len(tasks), UNKNOWN) if raw is None else self._texts.decoded(raw[self._which[tasks]])


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
