"""What else there is to tell: process accounting, damage, and what of the machine changed; as queries."""

from .telling import NAMED, Sign, Telling, event, utc

_MEMORY_SLACK = 0.05  # kernels keep different shares of it
_ACCOUNTING = """
WITH compared AS (
    SELECT steps.*, coalesce(
        lag(steps.has_accounting IGNORE NULLS) OVER (PARTITION BY steps.run_id ORDER BY step), before_accounting
    ) AS had
    FROM recording_measured AS steps LEFT JOIN recording_turns AS turns ON turns.run_id = steps.run_id
)
SELECT CASE WHEN has_accounting THEN 'accounting on' ELSE 'accounting off' END AS recording_event,
    time_us, sample_id, 0 AS early_s, 0 AS late_s,
    CASE WHEN has_accounting THEN 'exits are recorded again'
        ELSE 'exits are not recorded, nor processes that no sample saw' END AS description
FROM compared WHERE has_accounting <> coalesce(had, true)
"""
_SKIPPED = f"""
SELECT {event("exits skipped", "time_us", "sample_id")}, skipped_exits,
    skipped_exits || ' processes exited in the interval that atop did not record' AS description
FROM recording_measured WHERE skipped_exits > 0
"""
_DAMAGED = f"""
WITH placed AS (
    SELECT damages.*, coalesce(before.time_us, behind.time_us) AS time_us,
        coalesce(before.original_id, behind.original_id) AS sample_id,
        CASE WHEN behind.time_us >= before.time_us THEN behind.time_us END AS end_us,
        (end_us - before.time_us) // 1000000 AS gap_seconds
    FROM damages
    ASOF LEFT JOIN recording_placed AS before
        ON before.log_id = damages.log_id AND before.record_offset < damages."offset"
    ASOF LEFT JOIN recording_placed AS behind
        ON behind.log_id = damages.log_id AND behind.record_offset >= damages."offset" + damages."length"
)
SELECT {event("damage", "time_us", "sample_id")},
    "offset" AS damage_offset, "length" AS damage_bytes, samples AS lost_samples, parts AS saved_parts,
    gap_seconds, {utc("end_us")} AS gap_end,
    concat_ws('; ', coalesce(filename, 'carved') || ': ' || "length" || ' bytes at offset ' || "offset",
        nullif(samples, 0) || ' samples lost', nullif(parts, 0) || ' saved in part', what) AS description
FROM placed JOIN logs USING (log_id) WHERE sample_id IS NOT NULL
"""
_LOGS = """
SELECT steps.log_id, host, time_us, steps.sample_id, atop_version, nullif(kernel, '') AS kernel,
    nullif(kernel_version, '') AS kernel_version, nullif(machine, '') AS machine, pagesize
FROM recording_steps AS steps JOIN logs ON logs.log_id = steps.log_id
JOIN (
    SELECT sample_id >> 32 AS log_id, any_value(kernel) AS kernel, any_value(kernel_version) AS kernel_version,
        any_value(machine) AS machine, any_value(pagesize) AS pagesize
    FROM recording_headers GROUP BY ALL
) AS headers ON headers.log_id = steps.log_id
QUALIFY 1 = row_number() OVER (PARTITION BY steps.log_id ORDER BY time_us, steps.sample_id)
"""
_PROPERTIES = {
    "atop version": "atop_version",
    "kernel": "kernel",
    "kernel version": "kernel_version",
    "machine": "machine",
    "page size": "pagesize",
}


def _changed(name: str, before: str, now: str, tables: str, condition: str) -> str:
    return f"""
        SELECT {event("changed", "time_us", "sample_id")}, '{name}' AS changed_property,
            CAST({before} AS VARCHAR) AS previous_value, CAST({now} AS VARCHAR) AS value,
            '{name}: ' || {before} || ' before, ' || {now} || ' from here on' AS description
        FROM ({tables}) WHERE {condition}
    """


def _of_logs(name: str, column: str) -> str:
    order = "PARTITION BY host ORDER BY time_us, sample_id"
    before = f"lag({column} IGNORE NULLS) OVER ({order})"
    return _changed(name, "before", column, f"SELECT *, {before} AS before FROM ({_LOGS})", f"{column} <> before")


_TURN = "SELECT *, first_us AS time_us, first_id AS sample_id FROM recording_turns"
_HARDWARE = (
    _changed("processors", "before_processors", "processors", _TURN, "processors <> before_processors"),
    _changed(
        "memory in bytes",
        "before_memory_bytes",
        "memory_bytes",
        _TURN,
        f"abs(memory_bytes - before_memory_bytes) > {_MEMORY_SLACK} * before_memory_bytes",
    ),
)
_HOSTNAMES = f"""
WITH logs_of AS (
    SELECT folder, hostname, host, min(steps.time_us) AS first_us, max(steps.time_us) AS last_us,
        arg_min(steps.sample_id, (steps.time_us, steps.sample_id)) AS first_id, bool_and(day IS NOT NULL) AS is_daily
    FROM recording_steps AS steps JOIN logs USING (log_id) JOIN ({NAMED}) AS named USING (log_id)
    GROUP BY folder, hostname, host
),
compared AS (
    SELECT *, lag(hostname) OVER of_folder AS before,
        bool_and(is_daily AND hostname <> '') OVER (PARTITION BY folder) AS are_daily,
        max(last_us) OVER (of_folder ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS until_us
    FROM logs_of WINDOW of_folder AS (PARTITION BY folder ORDER BY first_us, first_id)
)
SELECT *, first_us AS time_us, first_id AS sample_id FROM compared
QUALIFY bool_and(until_us IS NULL OR first_us >= until_us) OVER (PARTITION BY folder) AND are_daily
"""
CONDITIONS = (
    Telling(_ACCOUNTING, Sign.NO_ACCOUNTING),
    Telling(_SKIPPED),
    Telling(_DAMAGED, Sign.DAMAGES),
    *(Telling(_of_logs(name, column), Sign.LOGS) for name, column in _PROPERTIES.items()),
    *(Telling(each, Sign.RUNS) for each in _HARDWARE),
    Telling(_changed("host name", "before", "hostname", _HOSTNAMES, "hostname <> before"), Sign.LOGS),
)
