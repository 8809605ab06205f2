"""Lives out of sightings, in SQL: one process is one life over all samples, restarts, logs and copies of a host.

What is known about identity: an exit record's start may be one second later than the live ones', and a start may
move by a second when atop is restarted; but what is seen behind an exit is another process, unless it is a zombie.
A sample shows the living before the exits: who is seen again in a later one came behind the exit of the same pid.
"""

from atop_timeline.timeline import Timeline

from . import fates, kin
from .changes import CHANGES


def find_lives(timeline: Timeline, sightings: str, last_sightings: str, known: str, facts: str) -> bool:
    """Makes the tables of this module, `fates.py` and `changes.py`, and completes facts; False where nobody was seen.

    `sightings` and `last_sightings` are the tables of those types, `known` that of the facts of the first,
    and `facts` the table that has the `face_row` of each row of facts, which gets what all of a face have in common.
    """
    ((count,),) = timeline.execute(f"SELECT count(*) FROM {sightings}")
    if count:
        repeated = (_REPEATED,) if timeline.execute("SELECT host FROM hosts GROUP BY host HAVING count(*) > 1") else ()
        tables = (_SEEN, *repeated, _OUTLIVED, _LIVES, *fates.TABLES, CHANGES, kin.PARENTS)
        names = {"sightings": sightings, "last_sightings": last_sightings, "known": known, "facts": facts}
        for table in tables:
            timeline.execute(table.format(**names))
        timeline.complete_facts(facts, "face_row", kin.FACES.format(**names))
    return bool(count)


def forget_lives(timeline: Timeline, known: str) -> None:
    """Drops the tables, which may be large, and that of the facts of sightings."""
    names = ("seen", "outlived", "lives", "ordered", "face_ends", "complete", "spans", "changes_of_lives", "parents")
    timeline.execute("; ".join(f"DROP TABLE {name}" for name in (*names, known)))


_SEEN = """
CREATE OR REPLACE TEMP TABLE seen AS
WITH placed AS (
    SELECT each.* REPLACE (coalesce(original_id, each.sample_id) AS sample_id), log_id, host,
        original_id IS NOT NULL AS is_copy
    FROM {sightings} AS each
    LEFT JOIN copies ON copies.sample_id = each.sample_id
    JOIN hosts ON log_id = coalesce(original_id, each.sample_id) >> 32
),
several AS (
    SELECT sample_id, entry, arg_min(row_id, (is_copy, row_id)) AS first_row
    FROM placed WHERE sample_id IN (SELECT original_id FROM copies) GROUP BY ALL
)
SELECT placed.* EXCLUDE (is_copy), coalesce(first_row, row_id) AS original_row
FROM placed LEFT JOIN several USING (sample_id, entry)
"""
"""`seen`: all sightings as those of their original samples; `original_row` is the row of the one that counts."""

_SAME_EXIT = "host, pid, btime, elaps, wait_status"
_REPEATED = f"""
DELETE FROM seen WHERE original_row IN (
    WITH numbered AS (
        SELECT *, row_number() OVER (PARTITION BY log_id, {_SAME_EXIT} ORDER BY sample_id, entry) AS repetition
        FROM seen WHERE is_exit AND row_id = original_row
    )
    SELECT row_id FROM numbered
    QUALIFY 1 < row_number() OVER (PARTITION BY {_SAME_EXIT}, repetition ORDER BY sample_id, entry)
)
"""
"""Of exits that several logs of a host have, though not in the same samples, one counts."""


def _likeness(exited: str, alive: str) -> str:
    """How much an exit looks like that of a live one."""
    same = f"({exited}.process = {alive}.process)::INT + ({exited}.ppid = {alive}.ppid)::INT"
    return f"({same}, -abs({exited}.btime - {alive}.btime))"


_OUTLIVED = f"""
CREATE OR REPLACE TEMP TABLE outlived AS
WITH own AS (FROM seen WHERE row_id = original_row),
met AS (
    SELECT alive.*, ended.time_us AS ended_us, {_likeness("ended", "alive")} AS likeness
    FROM (SELECT own.*, process FROM own JOIN {{known}} USING (row_id) WHERE NOT is_exit AND NOT is_zombie) AS alive
    JOIN (SELECT own.*, process FROM own JOIN {{known}} USING (row_id) WHERE is_exit) AS ended
        ON ended.sample_id = alive.sample_id AND ended.pid = alive.pid
    WHERE abs(ended.btime - alive.btime) <= alive.btime_tolerance
)
SELECT met.sample_id, met.entry, max(ended_us) AS after_us
FROM met JOIN (SELECT own.*, process FROM own JOIN {{known}} USING (row_id)) AS later
    ON later.host = met.host AND later.pid = met.pid
WHERE later.sample_id <> met.sample_id AND later.time_us >= met.time_us AND NOT later.is_zombie
    AND abs(later.btime - met.btime) <= met.btime_tolerance
    AND (NOT later.is_exit OR {_likeness("later", "met")} > likeness)
GROUP BY met.sample_id, met.entry
"""
"""`outlived`: live ones that are seen again behind an exit of their pid in their own sample: it was another's.

Where all that is seen again is another exit, name and parent tell whose the live one is, else the start.
"""

_LIVES = """
CREATE OR REPLACE TEMP TABLE lives AS
WITH staged AS (
    SELECT seen.* EXCLUDE (original_row), greatest(time_us, after_us) AS life_us,
        CASE WHEN is_exit THEN 1 WHEN after_us IS NULL THEN 0 ELSE 2 END AS stage
    FROM seen LEFT JOIN outlived USING (sample_id, entry) WHERE row_id = original_row
),
followed AS (
    SELECT *, row_number() OVER in_order AS place,
        host = lag(host) OVER in_order AND pid = lag(pid) OVER in_order AS is_same_pid,
        log_id <> lag(log_id) OVER in_order AS is_other_log,
        lag(is_exit) OVER in_order AS after_exit,
        abs(btime - lag(btime) OVER in_order) AS moved
    FROM staged WINDOW in_order AS (ORDER BY host, pid, life_us, stage > 0, sample_id, stage, entry)
),
compared AS (
    SELECT * EXCLUDE (life_us, is_same_pid, is_other_log, after_exit, moved),
        is_same_pid AND (is_zombie OR NOT after_exit) AND moved <= CASE
            WHEN is_exit OR is_boot OR after_exit OR is_other_log THEN btime_tolerance ELSE 0
        END AS goes_on
    FROM followed
)
SELECT * EXCLUDE (place, goes_on),
    last_value(CASE WHEN goes_on THEN NULL ELSE row_id END IGNORE NULLS) OVER so_far AS life_id,
    place + 1 - last_value(CASE WHEN goes_on THEN NULL ELSE place END IGNORE NULLS) OVER so_far AS step
FROM compared WINDOW so_far AS (ORDER BY place ROWS UNBOUNDED PRECEDING)
"""
"""`lives`: the sightings that count, in the `step`s of each life."""
