"""What happened between runs of atop; as queries for events over the tables of runs.py."""

from .runs import CLOCK_ERROR_S, LEAST_SHORT_S
from .telling import MOVED, NAMED, Sign, Telling, days, event, utc

_ROTATION_S = 60
_UP = f"""
coalesce(uptime || ' s after the machine booted at ' || {utc("boot_us")}, 'with an impossible time since the boot')
"""
_REASON = f"""
CASE WHEN is_parallel THEN 'beside another'
    WHEN previous_id IS NULL OR is_booted IS NULL THEN 'unknown'
    WHEN is_booted THEN 'boot'
    WHEN folder = before_folder AND filename <> before_filename AND off_s BETWEEN 0 AND {_ROTATION_S}
        AND (before_ending = 'clean' OR day > before_day) THEN 'rotation'
    ELSE 'restart' END
"""
_TURNS = f"""
SELECT turns.*, named.* EXCLUDE (log_id), before.filename AS before_filename, before.folder AS before_folder,
    before.day AS before_day, (first_us - before_us) // 1000000 AS off_s
FROM recording_turns AS turns JOIN ({NAMED}) AS named USING (log_id)
LEFT JOIN ({NAMED}) AS before ON before.log_id = before_log_id
"""
_STARTED = f"""
SELECT {event("atop started", "first_us", "first_id", 1)}, {_REASON} AS reason,
    uptime AS uptime_seconds,
    CASE {_REASON}
        WHEN 'boot' THEN 'first run since the machine booted, '
        WHEN 'rotation' THEN 'a new log, ' || off_s || ' s after the last sample of the one before, '
        WHEN 'restart' THEN 'again, ' || CASE WHEN off_s >= 0 THEN off_s || ' s after the last sample, ' ELSE '' END
        WHEN 'beside another' THEN 'while another recording went on, or under a wrong clock, '
        ELSE 'the first run that is known, ' END || {_UP} AS description
FROM ({_TURNS}) WHERE is_begun
"""
_BOOTED = f"""
SELECT {event("machine booted", "boot_us", "first_id", 1, "1")}, 'uptime' AS reason,
    'as the first sample of atop tells: up for ' || uptime || ' s at ' || {utc("first_us")} AS description
FROM recording_turns WHERE is_booted IS DISTINCT FROM false AND boot_us IS NOT NULL AND NOT is_parallel
"""
_INITS = f"""
SELECT first_id AS sample_id, init_us FROM recording_turns WHERE init_us IS NOT NULL
UNION ALL
SELECT sample_id, init_start * 1000000 FROM ({MOVED}) WHERE is_booted
"""
_BOOTED_UNSEEN = f"""
SELECT {event("machine booted", "init_us", "sample_id", 1, "1")}, 'start of process 1' AS reason,
    'as process 1 tells: it started behind the last sample before; what atop recorded of it is missing' AS description
FROM ({_INITS})
"""
BEGUN = (Telling(_BOOTED), Telling(_BOOTED_UNSEEN, Sign.BOOTS), Telling(_STARTED))
_ENDINGS = """
CASE ending WHEN 'clean' THEN 'with a closing sample, as atop takes it when it is told to stop'
    WHEN 'without a word' THEN 'without a closing sample: killed, gone with the machine, or told to take so many'
    ELSE 'it is not known how' END
"""
_ENDED = f"""
SELECT {event("atop ended", "last_us", "last_id", late_s="late_s")}, ending AS reason, expected AS expected_interval,
    {_ENDINGS} AS description
FROM (
    SELECT *, CASE WHEN ending = 'clean' THEN 0
        ELSE coalesce(least(expected, CASE WHEN next_us > last_us THEN (next_us - last_us) // 1000000 END), 0)
        END AS late_s
    FROM recording_turns WHERE is_followed AND is_continued IS NOT TRUE
)
"""
_LAST = f"""
SELECT {event("recording ends", "last_us", "last_id")}, ending AS reason, expected AS expected_interval,
    CASE ending WHEN 'clean' THEN 'with a closing sample, as atop takes it when it is told to stop'
        ELSE 'nothing is known of what follows' END AS description
FROM recording_turns WHERE NOT is_followed
"""
_DOWN = f"""
SELECT {event("machine down", "down_us", "down_id", late_s="late_s")},
    down_ending AS reason,
    CASE down_ending WHEN 'clean' THEN 'atop had been stopped first, as when the machine is shut down'
        WHEN 'without a word' THEN 'atop was not stopped first: a crash, a reset, a loss of power, or it was killed'
        ELSE 'it is not known how' END
        || '; the machine booted at ' || {utc("boot_us")} AS description
FROM (
    SELECT *, CASE WHEN boot_us > down_us THEN (boot_us - down_us) // 1000000 ELSE coalesce(down_expected, 0)
        END AS late_s
    FROM recording_turns WHERE is_booted
)
"""
ENDED = (Telling(_ENDED, Sign.RUNS), Telling(_DOWN, Sign.RUNS), Telling(_LAST))
_GAP_DAYS = days("until_us", "first_us", "CASE WHEN folder = before_folder THEN [before_day, day] END")
_BETWEEN = f"""
SELECT CASE WHEN missing_days IS NULL THEN 'gap' ELSE 'days missing' END AS recording_event,
    until_us AS time_us, until_id AS sample_id, 0 AS early_s, 0 AS late_s,
    CASE WHEN is_booted THEN 'boot' WHEN NOT is_booted THEN 'atop off' ELSE 'unknown' END AS reason,
    gap_seconds, {utc("first_us")} AS gap_end, missing_days, expected AS expected_interval,
    'no sample for ' || gap_seconds || ' s, to ' || {utc("first_us")}
        || coalesce('; no log of ' || missing_days, '')
        || CASE WHEN is_booted THEN '; the machine was booted in it'
            WHEN NOT is_booted THEN '; the machine was up, so atop was off or what it recorded is missing'
            ELSE '' END AS description
FROM (
    SELECT *, (first_us - until_us) // 1000000 AS gap_seconds, {_GAP_DAYS} AS missing_days FROM ({_TURNS})
    WHERE is_begun AND NOT is_set_back
)
WHERE gap_seconds > 1.5 * expected AND gap_seconds > expected + {LEAST_SHORT_S}
"""
_SET_OFF = f"""
SELECT {event("clock changed", "first_us", "first_id")},
    CASE WHEN is_set_back THEN 'set back' ELSE 'time of boot moved' END AS reason,
    boot_moved AS clock_change_seconds, uptime AS uptime_seconds,
    'the same boot now seems to be ' || abs(boot_moved)
        || CASE WHEN boot_moved < 0 THEN ' s earlier' ELSE ' s later' END
        || ': the clock was set since the run before had begun' AS description
FROM recording_turns WHERE abs(boot_moved) > {CLOCK_ERROR_S} AND (
    clock_set = 0 OR abs(boot_moved - clock_set) > 2 * {CLOCK_ERROR_S} + coalesce(known_expected, 0) / 10
)
"""
_BACKWARDS = f"""
SELECT {event("time goes back", "first_us", "first_id")},
    CASE WHEN is_set_back THEN 'wrong clock at boot' ELSE 'unknown' END AS reason,
    'the run before it in the log ended ' || (log_before_us - first_us) // 1000000 || ' s later: '
        || CASE WHEN is_set_back THEN 'the clock was wrong when the machine booted'
            ELSE 'logs were put together, or the clock was set back' END AS description
FROM recording_turns
WHERE first_us < log_before_us AND NOT is_carved AND (NOT is_set_back OR is_booted)
"""
BETWEEN = (Telling(_BETWEEN, Sign.RUNS), Telling(_SET_OFF, Sign.RUNS), Telling(_BACKWARDS, Sign.RUNS))
