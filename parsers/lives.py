"""Lives out of sightings, in SQL: one process is one life over all samples, restarts, logs and copies of a host.

What is known about identity: an exit record's start may be one second later than the live ones', and a start may
move by a second when atop is restarted; but what is seen behind an exit is another process, unless it is a zombie.
A sample shows the living before the exits: who is seen again in a later one came behind the exit of the same pid.
"""

from atop_timeline.timeline import Timeline

_GUID_SECONDS = 32
"""The starts of one process in different records, which may differ by 1 s, hardly ever lie in two such spans."""


def find_lives(timeline: Timeline, sightings: str, last_sightings: str, known: str, facts: str) -> bool:
    """Makes the tables of this module that are documented; False where nobody was seen.

    `sightings` and `last_sightings` are the tables of those types, `known` a query for the facts of the first,
    and `facts` the table that has the `face_row` of each row of facts.
    """
    ((count,),) = timeline.execute(f"SELECT count(*) FROM {sightings}")
    if count:
        tables = (_SEEN, _LIVES, _FACE_ENDS, _SPANS, _PARENTS, _CHANGES, _FACES)
        names = {"sightings": sightings, "last_sightings": last_sightings, "known": known, "facts": facts}
        for table in tables:
            timeline.execute(table.format(**names))
    return bool(count)


_SEEN = """
CREATE OR REPLACE TEMP TABLE seen AS
SELECT each.* REPLACE (coalesce(original_id, each.sample_id) AS sample_id), log_id, host, hostname, atop_version,
    btime - CASE WHEN is_exit THEN elaps % 100 / 100 ELSE 0 END AS start_s,
    first_value(each.row_id) OVER (
        PARTITION BY coalesce(original_id, each.sample_id), entry ORDER BY original_id IS NOT NULL, each.row_id
    ) AS original_row
FROM {sightings} AS each
LEFT JOIN copies ON copies.sample_id = each.sample_id
JOIN logs ON log_id = coalesce(original_id, each.sample_id) >> 32
JOIN hosts USING (log_id)
"""
"""`seen`: all sightings as those of their original samples; `original_row` is the row of the one that counts.

`start_s` is where the second begins in which the process may have started: the kernel rounds the start of an exited
one up, by the fraction of its lifetime (acct_v3).
"""

_SAME_EXIT = "host, pid, btime, elaps, wait_status"
_IN_LIFE = "life_us, stage > 0, sample_id, stage, entry"
_OF_PID = f"PARTITION BY host, pid ORDER BY {_IN_LIFE}"
_OF_LIFE = f"PARTITION BY host, pid, life ORDER BY {_IN_LIFE}"
# `outlived` are live ones that are seen again behind an exit of their pid in their own sample: it was another's. Where
# all that is seen again is another exit, it is that of the live one by its name, else if its start is nearer.
_LIVES = f"""
CREATE OR REPLACE TEMP TABLE lives AS
WITH numbered AS (
    SELECT *, row_number() OVER (PARTITION BY log_id, is_exit, {_SAME_EXIT} ORDER BY sample_id, entry) AS repetition
    FROM seen WHERE row_id = original_row
),
once AS (
    SELECT * FROM numbered QUALIFY NOT is_exit OR 1 = row_number() OVER (
        PARTITION BY is_exit, {_SAME_EXIT}, repetition ORDER BY sample_id, entry
    )
),
met AS (
    SELECT alive.sample_id, alive.entry, ended.time_us, later.is_exit,
        abs(later.start_s - alive.start_s) < abs(ended.start_s - alive.start_s) AS is_nearer,
        alive.row_id AS alive_row, ended.row_id AS ended_row, later.row_id AS later_row
    FROM once AS alive
    JOIN once AS ended ON ended.sample_id = alive.sample_id AND ended.pid = alive.pid
    JOIN once AS later ON later.host = alive.host AND later.pid = alive.pid
    WHERE NOT alive.is_exit AND NOT alive.is_zombie AND ended.is_exit AND NOT later.is_zombie
        AND later.sample_id <> alive.sample_id AND later.time_us >= alive.time_us
        AND abs(ended.btime - alive.btime) <= alive.btime_tolerance
        AND abs(later.btime - alive.btime) <= alive.btime_tolerance
),
named AS (SELECT row_id, process FROM ({{known}})),
outlived AS (
    SELECT sample_id, entry, max(time_us) AS after_us
    FROM met
    JOIN named AS alive ON alive.row_id = alive_row
    JOIN named AS ended ON ended.row_id = ended_row
    JOIN named AS later ON later.row_id = later_row
    WHERE NOT is_exit OR CASE
        WHEN (ended.process = alive.process) = (later.process = alive.process) THEN is_nearer
        ELSE later.process = alive.process
    END
    GROUP BY sample_id, entry
),
staged AS (
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
),
stepped AS (
    SELECT *, first_value(row_id) OVER ({_OF_LIFE}) AS life_id, row_number() OVER ({_OF_LIFE}) AS step FROM counted
)
SELECT stepped.*, known.* EXCLUDE (row_id, pid) FROM stepped JOIN ({{known}}) AS known USING (row_id)
"""
"""`lives`: the sightings that count, in the `step`s of each life, with the columns of `known`."""

_FACE_ENDS = """
CREATE OR REPLACE TEMP TABLE face_ends AS
WITH stepped AS (
    SELECT samples.*, host, greatest(lag(time_us) OVER (PARTITION BY log_id ORDER BY sample_id) - time_us, 0) AS back_us
    FROM samples JOIN hosts ON log_id = sample_id >> 32
),
ordered AS (
    SELECT host, sample_id, time_us, is_complete,
        time_us + coalesce(sum(back_us) OVER (PARTITION BY sample_id >> 32 ORDER BY sample_id), 0) AS order_us
    FROM stepped
),
ends AS (
    SELECT lives.row_id AS face_row, life_id, last.time_us, order_us, last.entry, last.row_id,
        ordered.sample_id, ordered.host
    FROM {last_sightings} AS last
    JOIN {facts} AS facts ON facts.row_id = last.row_id
    JOIN seen ON seen.row_id = facts.face_row
    JOIN lives ON lives.row_id = seen.original_row
    LEFT JOIN copies ON copies.sample_id = last.sample_id
    JOIN ordered ON ordered.sample_id = coalesce(original_id, last.sample_id)
    QUALIFY 1 = row_number() OVER (
        PARTITION BY lives.row_id ORDER BY order_us DESC, ordered.sample_id DESC, original_id IS NOT NULL, last.row_id
    )
)
SELECT ends.*, next.time_us AS gone_us, ends.order_us < max_order_us AS has_later
FROM ends
JOIN (SELECT host, max(order_us) AS max_order_us FROM ordered GROUP BY host) USING (host)
ASOF LEFT JOIN (FROM ordered WHERE is_complete) AS next ON next.host = ends.host AND ends.order_us < next.order_us
"""
"""`face_ends`: the last sample of each face, and the next one that has everybody; in the order of recording.

A clock that is set back during a recording does not turn that order.
"""

_SPANS = f"""
CREATE OR REPLACE TEMP TABLE spans AS
WITH begun AS (
    SELECT life_id, host, hostname, pid, CASE WHEN btime > 0 THEN btime * 1000000 ELSE time_us END AS start_us,
        (start_us // 1000000 - (is_exit AND elaps % 100 >= 50)::INT) // {_GUID_SECONDS} AS span
    FROM lives WHERE step = 1
),
ended AS (
    SELECT life_id, max(time_us) FILTER (is_exit) AS exit_us, bool_and(is_exit AND is_new) AS is_short_lived
    FROM lives GROUP BY life_id
),
last_seen AS (
    SELECT life_id, time_us, sample_id, entry, row_id, gone_us, has_later
    FROM face_ends QUALIFY 1 = row_number() OVER (PARTITION BY life_id ORDER BY order_us DESC, sample_id DESC, row_id)
),
placed AS (
    SELECT *,
        row_number() OVER (PARTITION BY hostname, pid, span ORDER BY host, start_us, life_id) AS place
    FROM begun
)
SELECT placed.*, exit_us, is_short_lived, last_seen.* EXCLUDE (life_id),
    CAST(CAST(md5(concat_ws(' ', pid, span, nullif(place, 1), hostname)) AS UUID) AS VARCHAR) AS process_guid
FROM placed JOIN ended USING (life_id) LEFT JOIN last_seen USING (life_id)
"""
"""`spans`: each life from its start to its exit, or the sample in which it was last seen, or that misses it."""

_PARENTS = """
CREATE OR REPLACE TEMP TABLE parents AS
WITH children AS (SELECT life_id, host, ppid, time_us FROM lives WHERE step = 1),
ended AS (SELECT *, coalesce(exit_us, gone_us) AS end_us FROM spans),
before AS (
    SELECT children.*, ended.life_id AS parent_id
    FROM children ASOF JOIN ended
        ON children.host = ended.host AND children.ppid = ended.pid AND children.time_us >= ended.start_us
    WHERE end_us IS NULL OR end_us + 1000000 > children.time_us
),
at_once AS (
    SELECT children.*, ended.life_id AS parent_id
    FROM children ASOF JOIN ended
        ON children.host = ended.host AND children.ppid = ended.pid AND children.time_us + 1000000 >= ended.start_us
    WHERE end_us IS NULL OR end_us + 1000000 > children.time_us
)
SELECT children.life_id, children.ppid AS parent_pid, coalesce(before.parent_id, at_once.parent_id) AS parent_id
FROM children LEFT JOIN before USING (life_id) LEFT JOIN at_once USING (life_id)
"""
"""`parents`: which life had the pid of a life's first parent when that was first seen; starts may be late by 1 s."""

_IDS = {"user": ("uid", "euid", "suid", "fsuid"), "group": ("gid", "egid", "sgid", "fsgid")}
_MOST_ID = (1 << 31) - 1  # which atop on 32-bit machines has of the living in place of what is more
_CONTAINER = ("container", "uts_name", "openvz_container")


def _differs(*names: str) -> str:
    now, before = (f"({', '.join(f'{side}.{name}' for name in names)})" for side in ("now", "before"))
    return f"{now} IS DISTINCT FROM {before}"


_CHANGES = rf"""
CREATE OR REPLACE TEMP TABLE changes_of_lives AS
WITH compared AS (
    SELECT now.*, face_ends.time_us AS before_us, before, now.atop_version = before.atop_version AS is_same_atop,
        before.virtual_bytes <> 0 AND CASE
            WHEN now.is_exit THEN before.thread_count = 1 AND replace(now.process, '\x0a', '?') <> before.process
            ELSE now.virtual_bytes <> 0 AND (
                {_differs("process")} OR is_same_atop AND now.command_line <> before.command_line
            )
        END AS is_program,
        CASE WHEN now.is_exit THEN {_differs("uid")} AND before.uid <> {_MOST_ID}
            ELSE {_differs(*_IDS["user"])} END AS is_user,
        CASE WHEN now.is_exit THEN {_differs("gid")} AND before.gid <> {_MOST_ID}
            ELSE {_differs(*_IDS["group"])} END AS is_group,
        NOT now.is_exit AND is_same_atop AND {_differs(*_CONTAINER)} AS is_container,
        now.cgroup_path <> before.cgroup_path AS is_cgroup
    FROM lives AS now JOIN lives AS before ON before.life_id = now.life_id AND before.step = now.step - 1
    LEFT JOIN face_ends ON face_ends.face_row = before.row_id
    WHERE NOT (now.is_zombie OR before.is_zombie OR before.is_exit)
)
SELECT time_us, sample_id, entry, row_id, is_exit AND is_program AS is_late,
    greatest(time_us - before_us, 0) // 1000000 AS early_s, 0 AS late_s,
    concat_ws(', ',
        CASE WHEN is_program THEN 'program' END, CASE WHEN is_user THEN 'user' END, CASE WHEN is_group THEN 'group' END,
        CASE WHEN is_container THEN 'container' END, CASE WHEN is_cgroup THEN 'cgroup' END
    ) AS changed,
    CASE WHEN is_program THEN before.process END AS previous_process,
    CASE WHEN is_program THEN before.command_line END AS previous_command_line,
    CASE WHEN is_user THEN before.username END AS previous_username,
    CASE WHEN is_user THEN before.uid END AS previous_uid,
    CASE WHEN is_user THEN before.effective_username END AS previous_effective_username,
    CASE WHEN is_user THEN before.euid END AS previous_euid,
    CASE WHEN is_group THEN before.gid END AS previous_gid,
    CASE WHEN is_group THEN before.egid END AS previous_egid,
    CASE WHEN is_container THEN coalesce(before.container, before.uts_name) END AS previous_container,
    CASE WHEN is_cgroup THEN before.cgroup_path END AS previous_cgroup_path
FROM compared
WHERE changed <> ''
"""
r"""`changes_of_lives`: where a face differs from the one before of its life, and in what.

Names of kernel threads, which have no memory, change all the time. A process that is ending has none as well, and the
arguments of one that is just beginning a program are not there yet. An exit record's name is that of the last thread,
and has a line feed where that of a live one has `?`. What a version of atop does not record has not changed with it.
"""

_FACES = """
CREATE OR REPLACE TEMP TABLE faces AS
WITH looks AS (FROM lives WHERE step = 1 OR NOT (is_exit OR is_zombie)),
reused AS (SELECT DISTINCT sample_id, pid FROM lives WHERE stage = 2),
each AS (
    SELECT lives.*, process_guid, is_short_lived, parent_pid, parent_id,
        CASE WHEN NOT is_exit OR command_line IS NULL THEN NULL
            WHEN reused.pid IS NOT NULL
            THEN 'the pid was used again at once: the command line may be the next process''s'
            WHEN is_late
            THEN 'the name is not that of the last sample: a new program''s, or a thread''s; the command line is older'
        END AS doubt
    FROM lives JOIN spans USING (life_id) JOIN parents USING (life_id)
    LEFT JOIN reused ON is_exit AND reused.sample_id = lives.sample_id AND reused.pid = lives.pid
    LEFT JOIN changes_of_lives ON changes_of_lives.row_id = lives.row_id
)
SELECT seen.row_id AS face_row, each.process_guid, each.is_short_lived, doubt,
    parent_pid, parent.process_guid AS parent_guid,
    CASE WHEN look.life_id IS NULL THEN first.process ELSE look.process END AS parent_process,
    CASE WHEN look.life_id IS NULL THEN first.command_line ELSE look.command_line END AS parent_command_line
FROM seen JOIN each ON each.row_id = seen.original_row
LEFT JOIN spans AS parent ON parent.life_id = parent_id
LEFT JOIN looks AS first ON first.life_id = parent_id AND first.step = 1
ASOF LEFT JOIN looks AS look ON look.life_id = parent_id AND each.time_us >= look.time_us
"""
"""`faces`: by `face_row` whose life each sighting is, and who its parent was, as that looked then."""
