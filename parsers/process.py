"""What ran: each process's start, changes and end, and an observation of each live process in each sample.

What the fields of a task mean: photoproc.h, photoproc.c and deviate.c of atop.
"""

from collections.abc import Collection, Iterator

from atop_timeline.blocks import Samples
from atop_timeline.events import Column, Events, EventType, Kind
from atop_timeline.timeline import Timeline

from . import tstat
from .lives import find_lives, forget_lives
from .tasks import NOTHING, Known, Tasks

_IDENTITY = (
    Column("pid", Kind.INTEGER, "", "process id; of a thread its own id"),
    Column("tgid", Kind.INTEGER, "", "process id, also of a thread"),
    Column("ppid", Kind.INTEGER, "", "process id of the parent; of an exited process: at its exit"),
    Column("process", Kind.TEXT, "", "name, at most 15 bytes"),
    Column("command_line", Kind.TEXT, "", "arguments parted by blanks, at most 255 bytes (atop 1.26: 150)"),
    Column("executable", Kind.TEXT, "", "first word of the command line, if it is an absolute path"),
    Column("parent_process", Kind.TEXT, "", "name, at that time, of the process parent_pid"),
    Column("parent_command_line", Kind.TEXT, "", "command line, at that time, of the process parent_pid"),
    Column("parent_pid", Kind.INTEGER, "", "first ppid that is known: another than ppid where it was adopted since"),
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
    Column("process_guid", Kind.TEXT, "", "the same for all events of one process, in any set of logs"),
    Column("parent_guid", Kind.TEXT, "", "process_guid of the process parent_pid"),
)
_CGROUP_PATH = Column("cgroup_path", Kind.TEXT, "", "cgroup v2 path; atop 2.8 and later, to 2.10 its first 63 bytes")
_SHORT_LIVED = Column("is_short_lived", Kind.FLAG, "", "no sample shows it alive")
_DOUBT = Column("doubt", Kind.TEXT, "", "what of an exit record may be wrong; empty: nothing known")
_OBSERVATION = (
    *_IDENTITY,
    Column("was_inactive", Kind.FLAG, "", "nothing changed in the interval"),
    Column("cpu_percent", Kind.NUMBER, "%", "processor time of the interval, 100: one processor"),
    _CGROUP_PATH,
    Column("wait_channel", Kind.TEXT, "", "kernel function that it waits in; only with atop -W"),
    *(each.column for each in tstat.OBSERVED),
)
_EXIT = (
    Column("exit_code", Kind.INTEGER, "", "what it returned; unknown where a signal ended it"),
    Column("signal", Kind.INTEGER, "", "the signal that ended it"),
    Column("core_dumped", Kind.FLAG, "", "whether the kernel noted a core dump"),
    Column("duration", Kind.NUMBER, "s", "how long it lived"),
    _SHORT_LIVED,
    _DOUBT,
    *(each.column for each in tstat.CPU_TIME + tstat.FAULTS),
)
_CHANGE = (
    Column("changed", Kind.TEXT, "", "what is other than before, by commas: program, user, group, container, cgroup"),
    Column("previous_process", Kind.TEXT, "", "name before the program changed"),
    Column("previous_command_line", Kind.TEXT, "", "command line before the program changed"),
    Column("previous_username", Kind.TEXT, "", "username before the user changed, as the next three"),
    Column("previous_uid", Kind.INTEGER, "", "uid then"),
    Column("previous_effective_username", Kind.TEXT, "", "effective_username then"),
    Column("previous_euid", Kind.INTEGER, "", "euid then"),
    Column("previous_gid", Kind.INTEGER, "", "gid before the group changed"),
    Column("previous_egid", Kind.INTEGER, "", "egid then"),
    Column("previous_container", Kind.TEXT, "", "container or uts_name before that changed"),
    Column("previous_cgroup_path", Kind.TEXT, "", "cgroup_path before that changed"),
)
_END = (
    Column(
        "fate", Kind.TEXT, "", "gone (inferred), running (in the last sample), unknown (later samples have not all)"
    ),
    Column("gone_by", Kind.TEXT, "UTC", "the first sample without it"),
)

_FACTS = "tasks"
_COMPARED = {
    *("process", "command_line", "username", "effective_username", "container", "uts_name"),
    *("uid", "euid", "suid", "fsuid", "gid", "egid", "sgid", "fsgid"),
    *("openvz_container", "virtual_bytes", "thread_count"),
}
START = EventType("starts", "linux:atop:process", "Start Time", _FACTS, (*_IDENTITY, _SHORT_LIVED, _DOUBT))
CHANGE = EventType("changes", "linux:atop:process", "Update Time", _FACTS, (*_IDENTITY, _CGROUP_PATH, _DOUBT), _CHANGE)
OBSERVATION = EventType("observations", "linux:atop:observation", "Sample Time", _FACTS, _OBSERVATION)
THREAD = EventType("threads", "linux:atop:observation", "Sample Time", _FACTS, _OBSERVATION, default=False)
EXIT = EventType("exits", "linux:atop:process", "Exit Time", _FACTS, _IDENTITY + _EXIT)
END = EventType("ends", "linux:atop:process", "Last Seen Time", _FACTS, _IDENTITY, _END)
SIGHTING = EventType(
    "process_sightings",
    facts=_FACTS,
    columns=(
        *(each for each in _IDENTITY if each.name in _COMPARED),
        _CGROUP_PATH,
        *(each.column for each in tstat.MEMORY + tstat.THREADS if each.column.name in _COMPARED),
    ),
    own=(
        Column("pid", Kind.INTEGER, "", "process id"),
        Column("ppid", Kind.INTEGER, "", "process id of the parent"),
        Column("btime", Kind.INTEGER, "s", "start, since 1970 UTC; 0 for what is no time"),
        Column("btime_tolerance", Kind.INTEGER, "s", "by how much the same start may differ"),
        Column("is_boot", Kind.FLAG, "", "in the first sample of a run of atop, which measures all starts anew"),
        Column("is_exit", Kind.FLAG, "", "an exit record"),
        Column("is_zombie", Kind.FLAG, "", "alive in name only"),
        Column("is_new", Kind.FLAG, "", "first seen in this sample; of an exit: never seen alive"),
        Column("elaps", Kind.INTEGER, "tick", "how long it lived"),
        Column("wait_status", Kind.INTEGER, "", "as wait(2) gives it"),
    ),
)
"""Who was seen when for the first time, looking like that: from these `finish` makes lives."""

LAST_SIGHTING = EventType("process_last_sightings", facts=_FACTS)
"""Who was seen when for the last time, looking like that."""


class ProcessParser:
    """Processes; see the module."""

    name = "process"
    default = True
    event_types = (START, CHANGE, OBSERVATION, THREAD, END, EXIT)
    staging = (SIGHTING, LAST_SIGHTING)

    def parse(self, samples: Samples, wanted: Collection[str]) -> Iterator[Events]:
        """The observations and sightings of some samples."""
        before: Known = samples.kept.get(self.name, NOTHING)
        tasks = Tasks(samples.going_on or samples, before, threads=THREAD.name in wanted)
        samples.kept[self.name] = tasks.known
        yield tasks.observations(OBSERVATION, tasks.live)
        yield tasks.observations(THREAD, tasks.threads)
        yield tasks.sightings(SIGHTING)
        yield tasks.last_sightings(LAST_SIGHTING)

    def finish(self, timeline: Timeline) -> None:
        """Makes lives out of all sightings; starts, exits, changes and ends out of lives."""
        known = timeline.facts(SIGHTING)
        if find_lives(timeline, SIGHTING.name, LAST_SIGHTING.name, known, _FACTS):
            timeline.fill(START, _STARTS)
            timeline.fill(EXIT, "FROM lives WHERE is_exit")
            timeline.fill(CHANGE, "FROM changes_of_lives")
            timeline.fill(END, _ENDS)
            forget_lives(timeline, known)


_STARTS = """
SELECT * REPLACE (btime * 1000000 AS time_us, 1 AS early_s, CASE WHEN is_exit THEN 0 ELSE 1 END AS late_s)
FROM lives WHERE step = 1 AND btime > 0
"""
_ENDS = """
SELECT *, 0 AS early_s, 0 AS late_s,
    CASE WHEN gone_us IS NOT NULL THEN 'gone' WHEN has_later THEN 'unknown' ELSE 'running' END AS fate,
    strftime(make_timestamp(gone_us), '%Y-%m-%dT%H:%M:%S+00:00') AS gone_by
FROM spans WHERE exit_us IS NULL
"""
