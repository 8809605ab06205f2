"""Lives out of sightings, in SQL: one process is one life over all samples, restarts, logs and copies of a host.

What is known about identity: an exit record's start may be one second later than the live ones', and a start may
move by a second when atop is restarted; but what is seen behind an exit is another process, unless it is a zombie.
A sample shows the living before the exits: who is seen again in a later one came behind the exit of the same pid.
"""

from atop_timeline.timeline import Timeline

from . import fates, kin
from .changes import CHANGES


def find_lives(timeline: Timeline, sightings: str, last_sightings: str, known: str, facts: str) -> bool:
    """Makes the tables of this module, `fates.py`, `changes.py` and `kin.py`; False where nobody was seen.

    `sightings` and `last_sightings` are the tables of those types, `known` that of the facts of the first,
    and `facts` the table that has the `face_row` of each row of facts.
    """
    ((count,),) = timeline.execute(f"SELECT count(*) FROM {sightings}")
    if count:
        tables = (_SEEN, _ONCE, _OUTLIVED, _STEPPED, _LIVES, *fates.TABLES, CHANGES, *kin.TABLES)
        names = {"sightings": sightings, "last_sightings": last_sightings, "known": known, "facts": facts}
        for table in tables:
            timeline.execute(table.format(**names))
    return bool(count)


_SEEN = """
CREATE OR REPLACE TABLE seen AS
SELECT each.* REPLACE (coalesce(original_id, each.sample_id) AS sample_id), log_id, host, hostname, atop_version,
    first_value(each.row_id) OVER (
        PARTITION BY coalesce(original_id, each.sample_id), entry ORDER BY original_id IS NOT NULL, each.row_id
    ) AS original_row
FROM {sightings} AS each
LEFT JOIN copies ON copies.sample_id = each.sample_id
JOIN logs ON log_id = coalesce(original_id, each.sample_id) >> 32
JOIN hosts USING (log_id)
"""
"""`seen`: all sightings as those of their original samples; `original_row` is the row of the one that counts."""


def _likeness(exited: str, alive: str) -> str:
    """How much an exit looks like that of a live one."""
    same = f"({exited}.process = {alive}.process)::INT + ({exited}.ppid = {alive}.ppid)::INT"
    return f"({same}, -abs({exited}.btime - {alive}.btime))"


_SAME_EXIT = "host, pid, btime, elaps, wait_status"
_IN_LIFE = "life_us, stage > 0, sample_id, stage, entry"
_OF_PID = f"PARTITION BY host, pid ORDER BY {_IN_LIFE}"
_OF_LIFE = f"PARTITION BY host, pid, life ORDER BY {_IN_LIFE}"
_ONCE = f"""
CREATE OR REPLACE TABLE once AS
WITH numbered AS (
    SELECT *, row_number() OVER (PARTITION BY log_id, is_exit, {_SAME_EXIT} ORDER BY sample_id, entry) AS repetition
    FROM seen WHERE row_id = original_row
)
FROM numbered QUALIFY NOT is_exit OR 1 = row_number() OVER (
    PARTITION BY is_exit, {_SAME_EXIT}, repetition ORDER BY sample_id, entry
)
"""
"""`once`: the sightings that count; of exits that several logs have, though not in the same samples, one."""

_OUTLIVED = f"""
CREATE OR REPLACE TABLE outlived AS
WITH told AS (SELECT once.*, process, ppid FROM once JOIN {{known}} USING (row_id)),
met AS (
    SELECT alive.*, ended.time_us AS ended_us, {_likeness("ended", "alive")} AS likeness
    FROM told AS alive JOIN told AS ended ON ended.sample_id = alive.sample_id AND ended.pid = alive.pid
    WHERE NOT alive.is_exit AND NOT alive.is_zombie AND ended.is_exit
        AND abs(ended.btime - alive.btime) <= alive.btime_tolerance
)
SELECT met.sample_id, met.entry, max(ended_us) AS after_us
FROM met JOIN told AS later ON later.host = met.host AND later.pid = met.pid
WHERE later.sample_id <> met.sample_id AND later.time_us >= met.time_us AND NOT later.is_zombie
    AND abs(later.btime - met.btime) <= met.btime_tolerance
    AND (NOT later.is_exit OR {_likeness("later", "met")} > likeness)
GROUP BY met.sample_id, met.entry
"""
"""`outlived`: live ones that are seen again behind an exit of their pid in their own sample: it was another's.

Where all that is seen again is another exit, name and parent tell whose the live one is, else the start.
"""

_STEPPED = f"""
CREATE OR REPLACE TABLE stepped AS
WITH staged AS (
    SELECT once.*, greatest(time_us, after_us) AS life_us,
        CASE WHEN is_exit THEN 1 WHEN after_us IS NULL THEN 0 ELSE 2 END AS stage
    FROM once LEFT JOIN outlived USING (sample_id, entry)
),
compared AS (
    SELECT *,
        lag(is_exit) OVER ({_OF_PID}) AS after_exit,
        abs(btime - lag(btime) OVER ({_OF_PID})) <= CASE
            WHEN is_exit OR is_boot OR lag(is_exit) OVER ({_OF_PID}) OR log_id <> lag(log_id) OVER ({_OF_PID})
            THEN btime_tolerance ELSE 0
        END AS same_start
    FROM staged
),
counted AS (
    SELECT *, sum((NOT coalesce(same_start AND (is_zombie OR NOT after_exit), false))::INT) OVER ({_OF_PID}) AS life
    FROM compared
)
SELECT *, first_value(row_id) OVER ({_OF_LIFE}) AS life_id, row_number() OVER ({_OF_LIFE}) AS step FROM counted
"""

_LIVES = """
CREATE OR REPLACE TABLE lives AS
SELECT stepped.*, known.* EXCLUDE (row_id, pid) FROM stepped JOIN {known} AS known USING (row_id)
"""
"""`lives`: the same in the `step`s of each life, with their facts."""
