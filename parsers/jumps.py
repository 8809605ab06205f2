"""What is odd within runs of atop: missing samples, times that do not fit, a clock that was set; as queries."""

from .runs import CLOCK_ERROR_S
from .telling import MOVED, Sign, Telling, days, event, utc

_LOST = """
EXISTS (
    FROM damages WHERE damages.log_id = torn.log_id
        AND damages."offset" BETWEEN coalesce(before.record_offset, 0) AND torn.record_offset
)
"""
_MISSING = f"""
WITH torn AS (
    SELECT steps.*, coalesce(steps.before_us, CASE WHEN until_us < first_us THEN until_us END) AS begin_us,
        CASE WHEN begin_us IS NOT NULL THEN coalesce(before_id, until_id) END AS begin_id
    FROM recording_measured AS steps LEFT JOIN recording_runs ON recording_runs.first_id = steps.sample_id
    WHERE NOT is_boot AND (step = 1 OR passed > seconds AND passed > 1)
),
missing AS (
    SELECT * FROM torn ANTI JOIN recording_steps AS other
        ON other.host = torn.host AND other.time_us = torn.time_us - torn.seconds * 1000000
),
told AS (
    SELECT torn.*, {_LOST} AS is_lost, (torn.time_us - begin_us) // 1000000 AS gap_seconds,
        {days("begin_us", "torn.time_us")} AS missing_days
    FROM missing AS torn
    LEFT JOIN recording_steps AS before ON before.sample_id = torn.before_id AND before.log_id = torn.log_id
)
SELECT 'samples missing' AS recording_event, coalesce(begin_us, time_us) AS time_us,
    coalesce(begin_id, sample_id) AS sample_id, 0 AS early_s, 0 AS late_s,
    CASE WHEN is_lost THEN 'damage' ELSE 'cut out or lost' END AS reason,
    gap_seconds, CASE WHEN begin_us IS NOT NULL THEN {utc("time_us")} END AS gap_end, missing_days,
    expected AS expected_interval, greatest(round(gap_seconds / expected)::BIGINT - 1, 1) AS lost_samples,
    'the sample of ' || {utc("time_us")} || ' counts from one ' || seconds || ' s before, but '
        || coalesce('the last one there is lies ' || gap_seconds || ' s before', 'there is none before')
        || coalesce('; nothing of ' || missing_days, '') AS description
FROM told WHERE gap_seconds IS NULL OR gap_seconds > 0
"""
_ELSEWHERE = f"""
WITH torn AS (
    SELECT each.*, lag(time_us) OVER in_log AS begin_us, lag(original_id) OVER in_log AS begin_id,
        lag(record_offset) OVER in_log AS before_offset
    FROM recording_placed AS each WHERE NOT is_carved
    WINDOW in_log AS (PARTITION BY log_id, run ORDER BY order_us, sample_id)
)
SELECT {event("samples missing", "begin_us", "begin_id")}, 'in this log only' AS reason,
    (time_us - begin_us) // 1000000 AS gap_seconds, {utc("time_us")} AS gap_end,
    filename || ' has no sample up to ' || {utc("time_us")} || ', but another log has' AS description
FROM torn JOIN logs USING (log_id)
WHERE NOT is_boot AND time_us - begin_us > seconds * 1000000
    AND EXISTS (
        FROM recording_steps AS other
        WHERE other.host = torn.host AND other.time_us = torn.time_us - torn.seconds * 1000000
            AND other.log_id <> torn.log_id
    )
    AND NOT EXISTS (
        FROM damages
        WHERE damages.log_id = torn.log_id AND damages."offset" BETWEEN torn.before_offset AND torn.record_offset
    )
"""
_CONTRADICTION = f"""
WITH contradicting AS (FROM recording_measured WHERE step > 1 AND NOT is_boot AND greatest(passed, 1) < seconds)
SELECT {event("time contradicts", "time_us", "sample_id")},
    CASE WHEN passed < 0 THEN 'out of order' ELSE 'interval too long' END AS reason,
    'its interval is ' || seconds || ' s, but it is ' || abs(passed)
        || CASE WHEN passed < 0 THEN ' s before' ELSE ' s behind' END
        || ' the sample that it follows: records were changed, or logs put together' AS description
FROM contradicting AS steps WHERE passed < 0 OR NOT EXISTS (
    FROM recording_steps AS other
    WHERE other.host = steps.host AND other.time_us = steps.time_us - steps.seconds * 1000000
)
"""
_VERDICT = """
CASE WHEN is_forward THEN 'clock set forward'
    WHEN ticked IS NULL THEN 'unknown'
    WHEN ticked > 1.1 * expected + 1 THEN 'held up'
    WHEN is_suspended THEN 'suspended'
    ELSE 'suspended or clock set forward' END
"""
_WHY_LATE = f"""
CASE {_VERDICT}
    WHEN 'clock set forward' THEN 'processes that are new later seem to be older: the clock was set forward'
    WHEN 'held up' THEN 'the processors went on: atop was held up, or the machine overloaded'
    WHEN 'suspended'
    THEN 'the processors did not go on, but later processes have the right time: the machine was suspended'
    WHEN 'suspended or clock set forward'
    THEN 'the processors did not go on: the machine was suspended, or the clock set forward'
    ELSE 'the machine was suspended or overloaded, or the clock set forward' END
"""
_LATE = f"""
SELECT CASE WHEN is_forward THEN 'clock changed' ELSE 'gap' END AS recording_event,
    before_us AS time_us, before_id AS sample_id, 0 AS early_s, 0 AS late_s, {_VERDICT} AS reason,
    seconds AS gap_seconds, {utc("time_us")} AS gap_end, {days("before_us", "time_us")} AS missing_days,
    expected AS expected_interval,
    CASE WHEN is_forward THEN seconds - expected END AS clock_change_seconds,
    'the interval to ' || {utc("time_us")} || ' is ' || seconds || ' s instead of ' || expected || ' s: '
        || {_WHY_LATE} AS description
FROM recording_measured WHERE is_late
"""
_BACK = f"""
SELECT {event("clock changed", "time_us", "sample_id")}, 'set back' AS reason,
    expected AS expected_interval, -back_by AS clock_change_seconds,
    'by about ' || back_by || ' s, since the sample before, which is of ' || {utc("before_us")} AS description
FROM recording_measured WHERE is_back
"""
_EVER = "OVER (PARTITION BY run_id ORDER BY step)"
_STARTS = f"""
WITH found AS (
    SELECT *, newest_start - time_us // 1000000 AS ahead,
        newest_start > time_us // 1000000 + {CLOCK_ERROR_S} AS is_ahead,
        greatest(new_after, second_new_after, third_new_after) < -{CLOCK_ERROR_S}
            AND third_new_after IS NOT NULL AS is_behind,
        coalesce(bool_or(is_back) {_EVER}, false) AS was_back, coalesce(bool_or(is_late) {_EVER}, false) AS was_late
    FROM recording_measured
)
SELECT {event("clock changed", "time_us", "sample_id")},
    CASE WHEN is_ahead THEN 'processes start behind the sample' ELSE 'new processes start before the sample before' END
        AS reason,
    CASE WHEN is_ahead THEN 'the latest process starts ' || ahead || ' s behind the sample: the clock was set back'
        ELSE 'the latest of the new processes starts ' || -new_after
            || ' s before the sample before: the clock was set forward' END AS description
FROM found WHERE is_ahead AND NOT was_back OR is_behind AND NOT was_late
QUALIFY 1 = row_number() OVER (PARTITION BY run_id, is_ahead ORDER BY step)
"""
_INIT = f"""
SELECT {event("clock changed", "time_us", "sample_id")}, 'start of process 1 moved' AS reason,
    moved AS clock_change_seconds,
    'process 1 now seems to have started ' || abs(moved) || CASE WHEN moved < 0 THEN ' s earlier' ELSE ' s later' END
        AS description
FROM ({MOVED}) WHERE NOT is_booted
"""
_BEFORE_BOOT = f"""
SELECT {event("clock changed", "steps.time_us", "steps.sample_id")}, 'process starts before boot' AS reason,
    'a process starts ' || boot_us // 1000000 - oldest_start || ' s before the machine booted' AS description
FROM recording_runs JOIN recording_measured AS steps ON steps.sample_id = first_id
WHERE oldest_start < boot_us // 1000000 - {CLOCK_ERROR_S}
"""
WITHIN = (
    Telling(_MISSING, Sign.TORN),
    Telling(_ELSEWHERE, Sign.LOGS),
    Telling(_CONTRADICTION, Sign.CONTRADICTING),
    Telling(_LATE, Sign.LATE),
    Telling(_BACK),
    Telling(_STARTS, Sign.STARTS),
    Telling(_INIT, Sign.INIT),
    Telling(_BEFORE_BOOT),
)
