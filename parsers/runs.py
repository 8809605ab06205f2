"""Runs of atop out of samples, in SQL: which samples are of one run, and which run came after which.

A run begins with a sample that has the flag BOOT. Parts of it may lie in several logs: copies of different age,
what was carved. The order of runs is that of the clock, but in a log in which the clock was set back that of the log.
"""

from collections.abc import Sequence

from atop_timeline.timeline import Timeline

CLOCK_ERROR_S = 3
"""By so much starts and times of boot may differ without a change of the clock: each is measured anew, to a second."""

LEAST_SHORT_S = 2
"""An interval that is shorter than usual by this is no matter of rounding."""

_MOST_DAYS_OFF = 1
_LONG_S = 30
_STEP = "order_us, sample_id"


def find_runs(timeline: Timeline, traces: str) -> bool:
    """Makes the tables of this module that are documented, of the table of traces; False where there is none."""
    ((count,),) = timeline.execute(f"SELECT count(*) FROM {traces}")
    if not count:
        return False
    timeline.execute(_PLACED.format(traces=traces))
    timeline.execute("CREATE OR REPLACE TEMP TABLE recording_joined (run BIGINT, run_id BIGINT)")
    for rows in _joined(timeline.execute(_SAME_RUNS)):
        timeline.execute(f"INSERT INTO recording_joined VALUES {rows}")
    for table in (_STEPS, _EXPECTED, _MEASURED, _RUNS, _TURNS):
        timeline.execute(table)
    return True


def forget_runs(timeline: Timeline) -> None:
    """Drops the tables, which may be large."""
    names = ("placed", "joined", "steps", "expected", "measured", "runs", "turns")
    timeline.execute("; ".join(f"DROP TABLE recording_{name}" for name in names))


_PLACED = """
CREATE OR REPLACE TEMP TABLE recording_placed AS
WITH placed AS (
    SELECT each.* EXCLUDE (row_id, entry, early_s, late_s), host, log_id, allocation = 'carved' AS is_carved,
        coalesce(original_id, each.sample_id) AS original_id,
        CASE WHEN allocation = 'carved' THEN each.time_us ELSE 0 END AS place
    FROM {traces} AS each
    JOIN logs ON log_id = each.sample_id >> 32
    JOIN hosts USING (log_id)
    LEFT JOIN copies ON copies.sample_id = each.sample_id
),
numbered AS (
    SELECT *, sum(is_boot::INT) OVER (PARTITION BY log_id ORDER BY place, sample_id) AS run_number FROM placed
),
stepped AS (
    SELECT *,
        first_value(sample_id) OVER in_run AS run,
        greatest(lag(time_us) OVER in_run - time_us, 0) AS back_us
    FROM numbered WINDOW in_run AS (PARTITION BY log_id, run_number ORDER BY place, sample_id)
)
SELECT * EXCLUDE (back_us, run_number, place),
    time_us + coalesce(sum(back_us) OVER (PARTITION BY run ORDER BY place, sample_id), 0) AS order_us
FROM stepped
"""
# `recording_placed`: all samples, also those that are copies, by the part of a run that they have in their log.

_SAME_RUNS = """
SELECT DISTINCT copy.run, original.run
FROM recording_placed AS copy JOIN recording_placed AS original ON original.sample_id = copy.original_id
WHERE copy.run <> original.run
UNION
SELECT DISTINCT later.run, min(before.run)
FROM recording_placed AS later
JOIN recording_placed AS before
    ON before.host = later.host AND before.time_us = later.time_us - later.seconds * 1000000
WHERE later.sample_id = later.run AND NOT later.is_boot AND later.original_id = later.sample_id
    AND before.run <> later.run
GROUP BY later.run
ORDER BY ALL
"""


def _joined(pairs: Sequence[tuple[int, int]]) -> list[str]:
    """SQL for rows of a run in one log, and the run of which it is a part; some at a time."""
    wholes: dict[int, int] = {}

    def whole(run: int) -> int:
        while run in wholes:
            wholes[run] = wholes.get(wholes[run], wholes[run])
            run = wholes[run]
        return run

    for pair in pairs:
        first, last = sorted(map(whole, pair))
        if first != last:
            wholes[last] = first
    rows = [f"({run}, {whole(run)})" for run in sorted(wholes)]
    return [", ".join(rows[begin : begin + 1000]) for begin in range(0, len(rows), 1000)]


_STEPS = f"""
CREATE OR REPLACE TEMP TABLE recording_steps AS
WITH originals AS (
    SELECT each.* EXCLUDE (run, original_id), coalesce(run_id, each.run) AS run_id
    FROM recording_placed AS each LEFT JOIN recording_joined AS joined ON joined.run = each.run
    WHERE sample_id = original_id
)
SELECT *, row_number() OVER in_run AS step,
    lag(sample_id) OVER in_run AS before_id,
    lag(time_us) OVER in_run AS before_us,
    (time_us - lag(time_us) OVER in_run) // 1000000 AS passed,
    CASE WHEN greatest(passed, 1) = seconds THEN newest_new - lag(time_us) OVER in_run // 1000000 END AS new_after
FROM originals
WINDOW in_run AS (PARTITION BY run_id ORDER BY {_STEP})
"""
"""`recording_steps`: the samples that count, in the `step`s of their run; `passed` since the one before by the clock.

`new_after` is when the latest new process began, since the sample before, if that is the one before indeed.
"""

_EXPECTED = """
CREATE OR REPLACE TEMP TABLE recording_expected AS
WITH counted AS (
    SELECT run_id, host, seconds, count(*) AS samples
    FROM recording_steps WHERE NOT is_boot AND seconds > 0 GROUP BY ALL
),
usual AS (
    SELECT host, arg_max(seconds, (samples, seconds)) AS seconds
    FROM (SELECT host, seconds, sum(samples) AS samples FROM counted GROUP BY ALL)
    GROUP BY host HAVING sum(samples) > 1
),
own AS (
    SELECT run_id, arg_max(seconds, (samples, seconds)) AS seconds FROM counted GROUP BY run_id HAVING sum(samples) > 1
)
SELECT run_id, coalesce(own.seconds, usual.seconds) AS expected
FROM (SELECT DISTINCT run_id, host FROM recording_steps) LEFT JOIN own USING (run_id) LEFT JOIN usual USING (host)
"""
# `recording_expected`: the usual interval of each run; of one that is too short the usual one of its host.

_MEASURED = f"""
CREATE OR REPLACE TEMP TABLE recording_measured AS
WITH measured AS (
    SELECT steps.*, expected,
        lead(new_after) OVER of_news AS second_new_after,
        lead(new_after, 2) OVER of_news AS third_new_after,
        min(new_after) OVER later AS least_new_after,
        max(newest_start - time_us // 1000000) OVER later AS most_ahead
    FROM recording_steps AS steps JOIN recording_expected USING (run_id)
    WINDOW of_news AS (PARTITION BY run_id, new_after IS NOT NULL ORDER BY step),
        later AS (PARTITION BY run_id ORDER BY step ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)
)
SELECT *,
    coalesce(greatest(passed, 1) = seconds, false) AS is_next,
    coalesce(
        passed < 0 AND is_next
        OR is_next AND ticked BETWEEN 1.1 * seconds + {CLOCK_ERROR_S} AND 1.2 * expected + 1, false
    ) AS is_back,
    coalesce(is_next AND NOT is_back AND (
        seconds > 1.5 * expected AND seconds > expected + {LEAST_SHORT_S}
        OR expected >= {_LONG_S} AND seconds > 1.05 * expected AND ticked BETWEEN 0.97 * expected AND 1.03 * expected
    ), false) AS is_late,
    CASE WHEN is_back THEN coalesce(ticked::BIGINT, expected, seconds) END - passed AS back_by,
    is_late AND most_ahead > expected - seconds + {CLOCK_ERROR_S} AS is_suspended,
    is_late AND NOT is_suspended AND least_new_after < -{CLOCK_ERROR_S} AS is_forward,
    CASE WHEN step = 1 THEN 0 ELSE greatest(least(passed, ticked::BIGINT), 0) END AS ran
FROM measured
"""
"""`recording_measured`: the same with what was made of the clock.

`is_back`: it was set back, since the interval of a clock that goes on is 1 at least, and the processors cannot have
run for longer; by about `back_by` seconds. `is_late`: the interval is far too long, or what it has too much is not in
what the processors ran. `is_forward`: since the clock was set forward, as all processes that are new later seem to be
older; unless `is_suspended`, as one of them does not. `ran` is for how long the machine was up in it at least.
"""

_RUNS = f"""
CREATE OR REPLACE TEMP TABLE recording_runs AS
WITH known AS (
    SELECT run_id, any_value(host) AS host, any_value(expected) AS expected, count(*) AS samples,
        arg_min(sample_id, step) AS first_id, arg_min(time_us, step) AS first_us, arg_min(log_id, step) AS log_id,
        arg_min(is_boot, step) AS is_begun, bool_or(is_carved) AS is_carved,
        arg_max(sample_id, step) AS last_id, arg_max(time_us, step) AS last_us,
        arg_max(log_id, step) AS last_log_id,
        CASE WHEN count(*) > 1 THEN arg_max(seconds, step) END AS last_seconds,
        sum(CASE WHEN is_back THEN -back_by WHEN is_forward THEN seconds - expected ELSE 0 END) AS clock_set,
        arg_max(is_back, step) AS ends_back,
        arg_min(seconds, step) AS first_seconds, sum(ran) AS ran,
        arg_max(has_accounting, step) AS had_accounting,
        arg_min(init_start, step) AS init_start,
        arg_min(processors, step) AS processors, arg_min(memory_bytes, step) AS memory_bytes
    FROM recording_measured GROUP BY run_id
),
booted AS (
    SELECT *,
        CASE WHEN is_begun AND first_seconds >= 0 THEN first_seconds END AS uptime,
        first_us - CASE WHEN first_us > uptime * 1000000 THEN uptime * 1000000 END AS boot_us,
        uptime + ran AS reached,
        CASE WHEN expected <= {LEAST_SHORT_S} OR last_seconds IS NULL OR ends_back THEN 'unknown'
            WHEN last_seconds <= expected - {LEAST_SHORT_S} THEN 'clean' ELSE 'without a word' END AS ending
    FROM known
),
followed AS (
    SELECT *,
        lag(last_us) OVER in_log AS log_before_us,
        max(last_us) OVER (in_log ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS log_until_us,
        uptime - lag(reached) OVER in_log BETWEEN -{CLOCK_ERROR_S} AND {_MOST_DAYS_OFF} * 86400 AS goes_on,
        (boot_us - lag(boot_us) OVER in_log) / 1000000 AS boot_moved
    FROM booted WINDOW in_log AS (PARTITION BY log_id, is_carved ORDER BY first_id)
),
chained AS (
    SELECT *,
        NOT is_carved AND CASE WHEN first_us < log_before_us
            THEN goes_on AND abs(boot_moved) > {CLOCK_ERROR_S} OR boot_moved > {CLOCK_ERROR_S}
            ELSE first_us < log_until_us END IS TRUE AS is_set_back
    FROM followed
),
placed AS (
    SELECT *, sum((NOT is_set_back)::INT) OVER (PARTITION BY log_id ORDER BY first_id) AS chain FROM chained
),
ordered AS (
    SELECT *, first_value(first_us) OVER (PARTITION BY log_id, chain ORDER BY first_id) AS place_us FROM placed
),
numbered AS (
    SELECT *, row_number() OVER (PARTITION BY host ORDER BY place_us, log_id, first_id) AS run_number FROM ordered
),
covered AS (
    SELECT *, max(last_us) OVER earlier AS until_us, arg_max(last_id, last_us) OVER earlier AS until_id,
        first_us < max(last_us) OVER earlier AND NOT is_set_back AS is_beside
    FROM numbered
    WINDOW earlier AS (PARTITION BY host ORDER BY run_number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT * EXCLUDE (chain, place_us, log_until_us, goes_on, boot_moved),
    coalesce(is_beside, false) AS is_parallel,
    lag(run_id) OVER (PARTITION BY host, coalesce(is_beside, false) ORDER BY run_number) AS previous_id
FROM covered
"""
"""`recording_runs`: the runs in order, each with `ending`, and what was before.

`is_begun`: its first sample is there, so it is known when the machine booted (`boot_us`) and how long it had been
up at the end at least (`reached`). `is_set_back`: by the clock it is before the run that it follows in its log.
`is_parallel`: it began before others had ended, so it has no `previous_id`; all of those ended `until_us`.
"""

_KNOWN = "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
_TURNS = f"""
CREATE OR REPLACE TEMP TABLE recording_turns AS
WITH known AS (
    SELECT * REPLACE (CASE WHEN lead(is_begun) OVER in_host = false THEN 'unknown' ELSE ending END AS ending),
        lead(is_begun) OVER in_host = false AS is_continued,
        last_value(CASE WHEN boot_us IS NOT NULL THEN run_id END IGNORE NULLS) OVER (in_host {_KNOWN}) AS known_id,
        last_value(had_accounting IGNORE NULLS) OVER (in_host {_KNOWN}) AS before_accounting,
        last_value(processors IGNORE NULLS) OVER (in_host {_KNOWN}) AS before_processors,
        last_value(memory_bytes IGNORE NULLS) OVER (in_host {_KNOWN}) AS before_memory_bytes,
        max(CASE WHEN NOT is_parallel THEN run_number END) OVER (PARTITION BY host) > run_number AS is_followed,
        lead(first_us) OVER in_host AS next_us
    FROM recording_runs WINDOW in_host AS (PARTITION BY host, is_parallel ORDER BY run_number)
)
SELECT run.* EXCLUDE (clock_set),
    before.last_us AS before_us, before.ending AS before_ending, before.last_log_id AS before_log_id,
    run.boot_us >= booted.last_us OR run.uptime < booted.reached - {CLOCK_ERROR_S} AND NOT (
        run.log_id <> booted.log_id
        AND booted.uptime - run.reached BETWEEN -{CLOCK_ERROR_S} AND {_MOST_DAYS_OFF} * 86400
    ) AS is_booted,
    CASE WHEN NOT is_booted THEN (run.boot_us - booted.boot_us) // 1000000 END AS boot_moved,
    coalesce(booted.clock_set, 0) AS clock_set, booted.expected AS known_expected,
    down.last_us AS down_us, down.last_id AS down_id, down.ending AS down_ending, down.expected AS down_expected,
    CASE WHEN NOT run.is_begun AND run.init_start * 1000000 > before.last_us
        THEN run.init_start * 1000000 END AS init_us
FROM known AS run
LEFT JOIN known AS before ON before.run_id = run.previous_id
LEFT JOIN known AS booted ON booted.run_id = run.known_id AND NOT run.is_parallel
LEFT JOIN known AS down
    ON down.run_id = CASE WHEN before.last_us <= run.boot_us THEN before.run_id ELSE booted.run_id END
"""
"""`recording_turns`: the runs, and what came about between the one before and each: whether the machine `is_booted`.

By the clock the machine booted behind the last sample, or it has been up for less time than it had been before:
that holds with a clock that was wrong at boot. Else `boot_moved` with the clock. `is_continued`: its end is missing,
as is the beginning of the next one; that the machine booted then is known by process 1 (`init_us`).
"""
