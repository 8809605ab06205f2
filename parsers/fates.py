"""How each life ended, or when it was last seen, in SQL over the tables of `lives.py`."""

_GUID_SECONDS = 32
"""The starts of one process in different records, which may differ by 1 s, hardly ever lie in two such spans."""

_ORDERED = """
CREATE OR REPLACE TEMP TABLE ordered AS
WITH stepped AS (
    SELECT samples.*, host, greatest(lag(time_us) OVER (PARTITION BY log_id ORDER BY sample_id) - time_us, 0) AS back_us
    FROM samples JOIN hosts ON log_id = sample_id >> 32
),
placed AS (
    SELECT host, sample_id, time_us, is_complete,
        time_us + coalesce(sum(back_us) OVER (PARTITION BY sample_id >> 32 ORDER BY sample_id), 0) AS order_us
    FROM stepped
)
SELECT *, row_number() OVER (PARTITION BY host ORDER BY order_us, sample_id) AS number FROM placed
"""
"""`ordered`: the samples of each host in the order of recording, which a clock that is set back does not turn."""

_FACE_ENDS = """
CREATE OR REPLACE TEMP TABLE face_ends AS
SELECT lives.row_id AS face_row, life_id, step, last.time_us, last.entry, last.row_id,
    ordered.sample_id, ordered.host, ordered.number
FROM {last_sightings} AS last
JOIN {facts} AS facts ON facts.row_id = last.row_id
JOIN seen ON seen.row_id = facts.face_row
JOIN lives ON lives.row_id = seen.original_row
LEFT JOIN copies ON copies.sample_id = last.sample_id
JOIN ordered ON ordered.sample_id = coalesce(original_id, last.sample_id)
QUALIFY 1 = row_number() OVER (
    PARTITION BY lives.row_id ORDER BY ordered.number DESC, original_id IS NOT NULL, last.row_id
)
"""
"""`face_ends`: the last sample of each face."""

_COMPLETE = """
CREATE OR REPLACE TEMP TABLE complete AS
WITH skipped AS (
    SELECT DISTINCT ordered.host, face_ends.number AS begin, ordered.number AS end
    FROM face_ends
    JOIN lives ON lives.life_id = face_ends.life_id AND lives.step = face_ends.step + 1 AND NOT is_exit
    JOIN ordered ON ordered.sample_id = lives.sample_id
    WHERE ordered.number > face_ends.number + 1
)
FROM ordered WHERE is_complete AND NOT EXISTS (
    FROM skipped WHERE skipped.host = ordered.host AND begin < ordered.number AND ordered.number < "end"
)
"""
"""`complete`: the samples that show everybody: what atop misses when it lists /proc, others show before and behind."""

_SPANS = f"""
CREATE OR REPLACE TEMP TABLE spans AS
WITH begun AS (
    SELECT life_id, host, hostname, pid, time_us AS seen_us, sample_id, entry,
        CASE WHEN btime > 0 THEN btime * 1000000 ELSE time_us END AS start_us,
        (start_us // 1000000 - (is_exit AND elaps % 100 >= 50)::INT) // {_GUID_SECONDS} AS span
    FROM lives JOIN logs USING (log_id) WHERE step = 1
),
ended AS (
    SELECT life_id, max(time_us) FILTER (is_exit) AS exit_us,
        bool_or(is_exit) AND bool_and(is_exit AND is_new OR is_zombie) AS is_short_lived
    FROM lives GROUP BY life_id
),
last_seen AS (
    SELECT face_ends.*, next.time_us AS gone_us, face_ends.number < last_number AS has_later
    FROM (
        FROM face_ends SEMI JOIN (FROM ended WHERE exit_us IS NULL) USING (life_id)
        QUALIFY 1 = row_number() OVER (PARTITION BY life_id ORDER BY number DESC, row_id)
    ) AS face_ends
    JOIN (SELECT host, max(number) AS last_number FROM ordered GROUP BY host) USING (host)
    ASOF LEFT JOIN complete AS next ON next.host = face_ends.host AND face_ends.number < next.number
),
placed AS (
    SELECT * EXCLUDE (seen_us, sample_id, entry), row_number() OVER (
        PARTITION BY hostname, pid, span ORDER BY host, start_us, seen_us, sample_id, entry
    ) AS place
    FROM begun
)
SELECT placed.*, exit_us, is_short_lived, last_seen.* EXCLUDE (life_id, step, face_row, host),
    CAST(CAST(md5(concat_ws(' ', pid, span, nullif(place, 1), hostname)) AS UUID) AS VARCHAR) AS process_guid
FROM placed JOIN ended USING (life_id) LEFT JOIN last_seen USING (life_id)
"""
"""`spans`: each life from its start to its exit; of one without, the sample in which it was last seen, and the next."""

TABLES = (_ORDERED, _FACE_ENDS, _COMPLETE, _SPANS)
