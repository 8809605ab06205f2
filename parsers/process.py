"""What ran: each process's start and exit, and an observation of each live process in each sample.

What the fields of a task mean: photoproc.h, photoproc.c and deviate.c of atop.
"""

from collections.abc import Collection, Iterator

from atop_timeline.blocks import Samples
from atop_timeline.events import Column, Events, EventType, Kind
from atop_timeline.timeline import Timeline

from . import tstat
from .tasks import Tasks

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
_OBSERVATION = (
    *_IDENTITY,
    Column("was_inactive", Kind.FLAG, "", "nothing changed in the interval"),
    Column("cpu_percent", Kind.NUMBER, "%", "processor time of the interval, 100: one processor"),
    Column("cgroup_path", Kind.TEXT, "", "cgroup v2 path, its first 63 bytes; atop 2.8 to 2.10"),
    Column("wait_channel", Kind.TEXT, "", "kernel function that it waits in; only with atop -W"),
    *(each.column for each in tstat.OBSERVED),
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


class ProcessParser:
    """Processes; see the module."""

    name = "process"
    default = True
    event_types = (START, OBSERVATION, THREAD, EXIT)
    staging = (SIGHTING,)

    def parse(self, samples: Samples, wanted: Collection[str]) -> Iterator[Events]:
        """The observations and sightings of some samples."""
        tasks = Tasks(samples, threads=THREAD.name in wanted)
        yield tasks.observations(OBSERVATION, tasks.live)
        yield tasks.observations(THREAD, tasks.threads)
        yield tasks.sightings(SIGHTING)

    def finish(self, timeline: Timeline) -> None:
        """Makes lives out of all sightings, starts and exits out of lives.

        An exit record's start may be one second later than the live ones', and a start may move by a second
        when atop is restarted; but what is seen behind an exit is another process, unless it is a zombie. A sample
        shows the living before the exits: who is seen again in a later one came behind the exit of the same pid.
        """
        timeline.execute(_LIVES)
        timeline.fill(START, _STARTS)
        timeline.fill(EXIT, _EXITS)


# `outlived` are live ones that are seen again behind an exit of their pid in their own sample: it was another's.
_IN_LIFE = "PARTITION BY host, pid ORDER BY life_us, stage > 0, sample_id, stage, entry"
_SAME_EXIT = "host, pid, btime, elaps, wait_status"
_LIVES = f"""
CREATE OR REPLACE TEMP TABLE lives AS
WITH seen AS (
    SELECT process_sightings.*, log_id, host
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
    JOIN once AS later ON later.host = alive.host AND later.pid = alive.pid
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
