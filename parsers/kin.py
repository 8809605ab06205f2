"""Whose child each life is, and what all sightings of one have in common, in SQL over the tables of `lives.py`."""

PARENTS = """
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

FACES = """
WITH looks AS (
    SELECT life_id, step, time_us, process, command_line FROM lives JOIN {known} USING (row_id)
    WHERE (step = 1 OR NOT (is_exit OR is_zombie)) AND life_id IN (SELECT parent_id FROM parents)
),
reused AS (SELECT DISTINCT sample_id, pid FROM lives WHERE stage = 2),
doubted AS (
    SELECT lives.row_id, CASE WHEN reused.pid IS NOT NULL
        THEN 'the pid was used again at once: the command line may be the next process''s'
        ELSE 'the name is not that of the last sample: a new program''s, or a thread''s; the command line is older'
        END AS doubt
    FROM lives JOIN {known} USING (row_id)
    LEFT JOIN reused ON reused.sample_id = lives.sample_id AND reused.pid = lives.pid
    LEFT JOIN changes_of_lives ON changes_of_lives.row_id = lives.row_id
    WHERE lives.is_exit AND (reused.pid IS NOT NULL OR is_late) AND command_line IS NOT NULL
),
each AS (
    SELECT lives.row_id, lives.time_us, process_guid, parent_pid, parent_id, doubt,
        is_short_lived OR step = 1 AND lives.is_exit AND reused.pid IS NOT NULL AS is_short_lived
    FROM lives JOIN spans USING (life_id) JOIN parents USING (life_id)
    LEFT JOIN reused ON reused.sample_id = lives.sample_id AND reused.pid = lives.pid
    LEFT JOIN doubted ON doubted.row_id = lives.row_id
)
SELECT seen.row_id AS face_row, each.* EXCLUDE (row_id, time_us, parent_id), parent.process_guid AS parent_guid,
    CASE WHEN look.life_id IS NULL THEN first.process ELSE look.process END AS parent_process,
    CASE WHEN look.life_id IS NULL THEN first.command_line ELSE look.command_line END AS parent_command_line
FROM seen JOIN each ON each.row_id = seen.original_row
LEFT JOIN spans AS parent ON parent.life_id = parent_id
LEFT JOIN looks AS first ON first.life_id = parent_id AND first.step = 1
ASOF LEFT JOIN looks AS look ON look.life_id = parent_id AND each.time_us >= look.time_us
"""
"""`faces`: by `face_row` whose life each sighting is, and who its parent was, as that looked then."""
