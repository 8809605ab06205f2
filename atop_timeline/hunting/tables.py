"""What is asked, in SQL over Parquet timelines: events, processes, their faces, when samples were taken.

* `events`: of all files, with the columns that questions have use for, unknown where a file has none of them
* `measured`: those of processes, without threads
* `told`: the same without zombies, which have died already
* `faces`: a process while it has one name, command line and user; `first_us` and `last_us` are those of its events
* `processes`: each with the latest that is known of it, and what was known of its parent first
* `samples`: `since_boot` tells whether their numbers count since the boot, as those of the first of an atop run do
"""

from collections.abc import Sequence

from atop_timeline.events import Kind
from atop_timeline.store import Questions, literal, quoted

NEEDED = ("timestamp", "timestamp_desc", "data_type", "message")
"""Columns without which a Parquet file is no timeline."""

COLUMNS = {
    **dict.fromkeys(("timestamp_desc", "data_type", "message", "hostname", "process_guid", "parent_guid"), Kind.TEXT),
    **dict.fromkeys(("process", "command_line", "state", "username", "parent_process", "fate", "gone_by"), Kind.TEXT),
    **dict.fromkeys(("recording_event", "reason", "description"), Kind.TEXT),
    **dict.fromkeys(
        ("timestamp", "gap_seconds", "pid", "uid", "parent_pid", "exit_code", "signal", "sample_interval"), Kind.INTEGER
    ),
    **dict.fromkeys(("is_process", "is_new", "is_short_lived"), Kind.FLAG),
    **dict.fromkeys(("duration", "user_cpu_seconds", "system_cpu_seconds"), Kind.NUMBER),
    **dict.fromkeys(("resident_bytes", "disk_read_bytes", "disk_write_bytes"), Kind.INTEGER),
    **dict.fromkeys(("tcp_sent_bytes", "tcp_received_bytes", "udp_sent_bytes", "udp_received_bytes"), Kind.INTEGER),
}
_MEASURED = """
CREATE VIEW measured AS
SELECT * EXCLUDE (process_guid), process_guid AS guid FROM events
WHERE data_type IN ('linux:atop:process', 'linux:atop:observation')
    AND process_guid IS NOT NULL AND coalesce(is_process, true)
"""
_TOLD = """
CREATE VIEW told AS FROM measured
WHERE NOT (data_type = 'linux:atop:observation' AND state IS NOT DISTINCT FROM 'Z')
"""
_FACES = """
CREATE TABLE faces AS
SELECT guid, hostname AS host, pid, process, command_line, uid, coalesce(username, CAST(uid AS VARCHAR)) AS user,
    min(timestamp) AS first_us, max(timestamp) AS last_us
FROM told GROUP BY ALL
"""
_PROCESSES = """
CREATE TABLE processes AS
WITH lives AS (
    SELECT guid,
        min(timestamp) FILTER (timestamp_desc = 'Start Time') AS started_us,
        max(timestamp) FILTER (timestamp_desc = 'Exit Time') AS ended_us,
        max(exit_code) AS exit_code, max(signal) AS signal, max(duration) AS duration,
        arg_max(fate, timestamp) AS fate, arg_max(gone_by, timestamp) AS gone_by,
        arg_min(parent_guid, timestamp) AS parent_guid, arg_min(parent_pid, timestamp) AS parent_pid,
        arg_min(parent_process, timestamp) AS parent,
        coalesce(bool_or(is_short_lived), false) AS is_short_lived,
        count_if(data_type = 'linux:atop:observation') AS sightings
    FROM told GROUP BY guid
),
latest AS (
    SELECT * EXCLUDE (first_us, last_us),
        min(first_us) OVER (PARTITION BY guid) AS first_us, max(last_us) OVER (PARTITION BY guid) AS last_us
    FROM faces QUALIFY 1 = row_number() OVER (
        PARTITION BY guid ORDER BY faces.last_us DESC, faces.first_us DESC, process, command_line, user
    )
)
SELECT row_number() OVER (ORDER BY first_us, host, pid, guid) AS id, latest.*, lives.* EXCLUDE (guid),
    CASE WHEN signal IS NOT NULL THEN 'signal ' || signal
         WHEN exit_code IS NOT NULL THEN 'exit code ' || exit_code
         WHEN ended_us IS NOT NULL THEN 'exited'
         WHEN fate = 'gone' THEN 'inferred: gone by ' || replace(gone_by, '+00:00', 'Z')
         WHEN fate = 'running' THEN 'running in the last sample'
         ELSE 'unknown' END AS "end"
FROM latest JOIN lives USING (guid)
"""
_SAMPLES = """
CREATE TABLE samples AS
WITH taken AS (
    SELECT told.hostname AS host, timestamp AS time_us, max(sample_interval) * 1000000 AS interval_us,
        min(started_us) AS oldest_us
    FROM told LEFT JOIN processes USING (guid)
    WHERE data_type = 'linux:atop:observation' GROUP BY ALL
)
SELECT host, time_us, interval_us, time_us - interval_us <= oldest_us + 5000000 AND NOT coalesce(
    abs(time_us - interval_us - lag(time_us) OVER (PARTITION BY host ORDER BY time_us)) <= 2000000, false
) AS since_boot
FROM taken
"""


def define(questions: Questions, files: Sequence[str]) -> None:
    """Makes them all of Parquet files."""
    questions.execute(f"CREATE VIEW events AS {events(files)}")
    for statement in (_MEASURED, _TOLD, _FACES, _PROCESSES, _SAMPLES):
        questions.execute(statement)


def events(files: Sequence[str]) -> str:
    """The query for the events of Parquet files."""
    paths = ", ".join(map(literal, files))
    shown = ", ".join(f"CAST({quoted(name)} AS {kind}) AS {quoted(name)}" for name, kind in COLUMNS.items())
    none = ", ".join(f"CAST(NULL AS {kind}) AS {quoted(name)}" for name, kind in COLUMNS.items())
    return f"""
        SELECT {shown} FROM (
            SELECT {none} WHERE false UNION ALL BY NAME FROM read_parquet([{paths}], union_by_name = true)
        )
    """


def moment(microseconds: str) -> str:
    """SQL for the text of a time, in UTC."""
    return f"strftime(make_timestamp({microseconds}), '%Y-%m-%dT%H:%M:%SZ')"
