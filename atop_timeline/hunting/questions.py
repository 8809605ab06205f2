"""The questions that one query answers; those about trees are in `trees.py`."""

from argparse import Namespace

from atop_timeline.errors import UsageError
from atop_timeline.store import Questions, literal

from . import usage
from .selection import lasting, of_host, times
from .tables import moment

_HOSTS = "array_to_string(list_sort(list(DISTINCT host)), ', ') AS hosts"
_SEEN = f"{moment('min(first_us)')} AS first_seen, {moment('max(last_us)')} AS last_seen"
PROCESS = f"""
{moment("started_us")} AS started, {moment("last_us")} AS last_seen, "end", host, pid, user, parent, parent_pid,
process, command_line
"""
_BY_TIME = "first_us, host, pid, guid"


def first_last(_questions: Questions, options: Namespace) -> str:
    """Each program, command line and user: from when to when."""
    return f"""
        SELECT {_SEEN}, count(DISTINCT guid) AS processes, {_HOSTS}, user, process, command_line
        FROM faces WHERE {lasting(options)}
        GROUP BY process, command_line, user ORDER BY min(first_us), process, command_line, user
    """


def short_lived(_questions: Questions, options: Namespace) -> str:
    """Processes that no sample shows alive: told by the timeline, or without a sighting in what is recorded."""
    process = PROCESS.replace('"end"', 'duration AS lived_seconds, "end"')
    unseen = "sightings = 0 AND ended_us IS NOT NULL AND started_us >= recorded_us"
    return f"""
        SELECT {process}
        FROM processes LEFT JOIN (SELECT host, min(time_us) AS recorded_us FROM samples GROUP BY host) USING (host)
        WHERE (is_short_lived OR {unseen}) AND {lasting(options)} ORDER BY {_BY_TIME}
    """


def by_user(_questions: Questions, options: Namespace) -> str:
    """What each user ran."""
    return f"""
        WITH chosen AS (FROM faces WHERE {lasting(options)}),
        used AS (
            SELECT uid, user, {usage.KINDS["cpu"].total} AS cpu_seconds
            FROM ({usage.growths("cpu")}) JOIN (SELECT DISTINCT guid, uid, user FROM chosen) USING (guid, uid)
            WHERE {times(options, "time_us")} GROUP BY uid, user
        )
        SELECT user, uid, count(DISTINCT guid) AS processes, count(DISTINCT process) AS programs, {_SEEN},
            any_value(cpu_seconds) AS cpu_seconds, {_HOSTS}
        FROM chosen LEFT JOIN used USING (uid, user) GROUP BY user, uid ORDER BY uid, user
    """


def children_of(_questions: Questions, options: Namespace) -> str:
    """Processes whose parent had this name at that time, and with `deep` all those below."""
    below = f"SELECT guid FROM told WHERE parent_process = {literal(options.name)}"
    if options.deep:
        below += " UNION SELECT processes.guid FROM processes JOIN below ON parent_guid = below.guid"
    return f"""
        WITH RECURSIVE below AS ({below})
        SELECT {PROCESS} FROM processes SEMI JOIN below USING (guid) WHERE {lasting(options)} ORDER BY {_BY_TIME}
    """


def top(_questions: Questions, options: Namespace) -> str:
    """The processes that used most of something in the period."""
    name, _, total = usage.KINDS[options.by]
    amounts = usage.amounts(options.by) if options.by == "memory" else usage.growths(options.by)
    return f"""
        WITH used AS (
            SELECT guid, {total} AS {name} FROM ({amounts}) WHERE {times(options, "time_us")} GROUP BY guid
        )
        SELECT {name}, {PROCESS} FROM used JOIN processes USING (guid)
        WHERE {name} > 0 AND {lasting(options)} ORDER BY {name} DESC, {_BY_TIME} LIMIT {options.most}
    """


def gaps(_questions: Questions, options: Namespace) -> str:
    """What happened to the recording itself."""
    return f"""
        WITH happened AS (
            SELECT DISTINCT timestamp, timestamp_desc, hostname, recording_event, reason, gap_seconds, description
            FROM events WHERE data_type = 'linux:atop:recording' AND {times(options, "timestamp")}
                AND {of_host(options, "hostname")}
        )
        SELECT {moment("timestamp")} AS time, hostname AS host, recording_event AS event, reason, gap_seconds,
            description
        FROM happened ORDER BY timestamp, hostname, timestamp_desc, event, reason, gap_seconds, description
    """


def search(questions: Questions, options: Namespace) -> str:
    """Processes whose name or command line an expression matches."""
    pattern = f"{literal(options.expression)}, '{'i' if options.ignore_case else 'c'}'"
    fault = questions.fault(f"SELECT regexp_matches('', {pattern})")
    if fault:
        raise UsageError(f"{options.expression}: {fault}")
    return f"""
        WITH found AS (
            FROM faces WHERE {lasting(options)}
                AND (regexp_matches(process, {pattern}) OR regexp_matches(command_line, {pattern}))
        )
        SELECT {moment("found.first_us")} AS first_seen, {moment("found.last_us")} AS last_seen, "end", found.host,
            found.pid, found.user, parent, parent_pid, found.process, found.command_line
        FROM found JOIN processes USING (guid)
        ORDER BY found.first_us, found.host, found.pid, guid, found.process, found.command_line
    """


def rare(_questions: Questions, options: Namespace) -> str:
    """Programs that were seen on few of several hosts, or on few of several days."""
    return f"""
        WITH chosen AS (FROM faces WHERE {lasting(options)}),
        seen AS (
            SELECT hostname, process, CAST(make_timestamp(timestamp) AS DATE) AS day FROM told
            WHERE {times(options, "timestamp")} AND guid IN (SELECT guid FROM chosen) GROUP BY ALL
        ),
        counted AS (
            SELECT process, count(DISTINCT hostname) AS on_hosts, count(DISTINCT day) AS on_days FROM seen GROUP BY ALL
        ),
        whole AS (SELECT count(DISTINCT hostname) AS all_hosts, count(DISTINCT day) AS all_days FROM seen)
        SELECT process, on_hosts, on_days, count(DISTINCT guid) AS processes, {_SEEN}, {_HOSTS},
            array_to_string(list_sort(list(DISTINCT user)), ', ') AS users, min(command_line) AS a_command_line
        FROM chosen JOIN counted USING (process), whole
        WHERE on_hosts <= {options.most} AND all_hosts > {options.most}
            OR on_days <= {options.most} AND all_days > {options.most}
        GROUP BY process, on_hosts, on_days ORDER BY on_hosts, on_days, processes, process
    """
