"""How queries tell of events of the recording: pieces of SQL that they have in common."""

from collections.abc import Collection, Sequence
from enum import Enum
from typing import NamedTuple

from atop_timeline.events import KEYS, EventType
from atop_timeline.timeline import Timeline

from .runs import CLOCK_ERROR_S


class Sign(Enum):
    """What is seen of all samples at once, as SQL over `recording_measured`; without it some queries give nothing."""

    DAMAGES = "(SELECT count(*) > 0 FROM damages)"
    LOGS = "(SELECT count(*) > 1 FROM hosts)"
    RUNS = "count(DISTINCT run_id) > 1"
    TORN = "bool_or(NOT is_boot AND (step = 1 OR passed > seconds AND passed > 1))"
    CONTRADICTING = "bool_or(NOT is_boot AND step > 1 AND greatest(passed, 1) < seconds)"
    LATE = "bool_or(is_late)"
    STARTS = f"bool_or(newest_start > time_us // 1000000 + {CLOCK_ERROR_S} OR new_after < -{CLOCK_ERROR_S})"
    INIT = f"max(init_start) - min(init_start) > {CLOCK_ERROR_S}"
    BOOTS = f"{RUNS} OR {INIT}"
    NO_ACCOUNTING = "bool_or(NOT has_accounting)"


class Telling(NamedTuple):
    """A query for events, and what must have been seen for it to give any."""

    query: str
    needed: Sign | None = None


def signs(timeline: Timeline) -> set[Sign | None]:
    """What is seen of all samples, and None."""
    (found,) = timeline.execute(f"SELECT {', '.join(each.value for each in Sign)} FROM recording_measured")
    return {None, *(each for each, is_seen in zip(Sign, found, strict=True) if is_seen)}


def union(event_type: EventType, tellings: Sequence[Telling], seen: Collection[Sign | None]) -> str:
    """A query for the events of some queries, in which columns that are unknown may be missing."""
    columns = (*KEYS, *event_type.own)
    nothing = ", ".join(f"CAST(NULL AS {each.kind}) AS {each.name}" for each in columns)
    numbered = (
        f"SELECT {number} AS entry, * FROM ({each.query})"
        for number, each in enumerate(tellings)
        if each.needed in seen
    )
    return " UNION ALL BY NAME ".join([f"SELECT {nothing} WHERE false", *numbered])


def utc(time_us: str) -> str:
    """SQL for a time as text."""
    return f"strftime(make_timestamp({time_us}), '%Y-%m-%dT%H:%M:%S+00:00')"


def event(what: str, time_us: str, sample_id: str, early_s: int = 0, late_s: str = "0") -> str:
    """SQL for what each event has, by expressions."""
    return (
        f"'{what}' AS recording_event, {time_us} AS time_us, {sample_id} AS sample_id,"
        f" {early_s} AS early_s, {late_s} AS late_s"
    )


def days(begin_us: str, end_us: str, named: str = "NULL") -> str:
    """SQL for the whole days between two times: between the two that logs are named by, else in UTC."""
    days = f"[CAST(make_timestamp({begin_us}) AS DATE), CAST(make_timestamp({end_us}) AS DATE)]"
    known = f"CASE WHEN list_count({named}) = 2 THEN {named} ELSE {days} END"
    between = f"list_transform([{known}], lambda each: [each[1] + 1, each[2] - 1])[1]"
    some = "each[1] || ' to ' || each[2]"
    shown = f"CASE WHEN each[2] > each[1] THEN {some} WHEN each[2] = each[1] THEN each[1]::VARCHAR END"
    return f"list_transform([{between}], lambda each: {shown})[1]"


NAMED = r"""
SELECT log_id, filename,
    regexp_replace(CASE WHEN disk = '' THEN evidence ELSE concat_ws('/', disk, volume, filename) END, '[^/]*$', '')
        AS folder,
    CAST(try_strptime(regexp_extract(filename, 'atop_(\d{8})[^/]*$', 1), '%Y%m%d') AS DATE) AS day
FROM logs
"""
"""Query for the folder of each log, and the day that it is named by if it is a daily one."""

MOVED = f"""
SELECT *, init_start * 1000000 > before_us AND is_torn AS is_booted
FROM (
    SELECT *, passed > seconds AS is_torn,
        init_start - lag(init_start) OVER (PARTITION BY run_id ORDER BY step) AS moved
    FROM recording_measured WHERE init_start IS NOT NULL
)
WHERE abs(moved) > {CLOCK_ERROR_S}
"""
"""Query for the samples of a run with another start of process 1, and whether that is as the machine booted."""
