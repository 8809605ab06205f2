"""What processes used of the machine, in SQL.

A sample's numbers count over its interval. Those of the first sample of an atop run, and of a process that atop takes
for a new one, count since the process started: of them only counts what is more than was known of it before, or all
if it started in the time that is recorded. An exit record's numbers count since the sample before it.
"""

from typing import NamedTuple


class Amount(NamedTuple):
    """A number by which processes are compared: its name, SQL for it over an event, and for all of a process."""

    name: str
    value: str
    total: str = "sum(amount)"


_NETWORK = ("tcp_sent_bytes", "tcp_received_bytes", "udp_sent_bytes", "udp_received_bytes")
KINDS = {
    "cpu": Amount("cpu_seconds", "user_cpu_seconds + system_cpu_seconds", "round(sum(amount), 2)"),
    "memory": Amount("resident_bytes", "resident_bytes", "max(amount)"),
    "disk-read": Amount("disk_read_bytes", "disk_read_bytes"),
    "disk-write": Amount("disk_write_bytes", "disk_write_bytes"),
    "net": Amount("network_bytes", " + ".join(f"CAST({each} AS HUGEINT)" for each in _NETWORK)),
}


def amounts(kind: str) -> str:
    """The query for the number of each process (`guid`, its `uid`) in each sample or exit (`time_us`), as it is."""
    return f"""
        SELECT guid, timestamp AS time_us, hostname AS host, timestamp_desc = 'Exit Time' AS is_exit,
            coalesce(bool_or(is_new), false) AS is_new, max(uid) AS uid, max({KINDS[kind].value}) AS amount
        FROM measured WHERE timestamp_desc IN ('Sample Time', 'Exit Time') AND {KINDS[kind].value} IS NOT NULL
        GROUP BY ALL
    """


def growths(kind: str) -> str:
    """The same of a number that grows, with how much it grew since the sample before."""
    return f"""
        WITH flagged AS (
            SELECT amounts.*, NOT is_exit AND (is_new OR coalesce(since_boot, false)) AS since_start
            FROM ({amounts(kind)}) AS amounts LEFT JOIN samples USING (host, time_us)
        ),
        placed AS (
            SELECT *, count_if(since_start) OVER (PARTITION BY guid ORDER BY time_us, is_exit) AS run FROM flagged
        ),
        runs AS (SELECT guid, run + 1 AS run, sum(amount) AS known FROM placed GROUP BY ALL),
        recorded AS (
            SELECT guid, coalesce(started_us > recorded_us, false) AS is_recorded
            FROM processes JOIN (SELECT host, min(time_us) AS recorded_us FROM samples GROUP BY host) USING (host)
        )
        SELECT guid, time_us, uid,
            CASE WHEN NOT since_start THEN amount
                 WHEN run > 1 OR is_recorded THEN greatest(amount - coalesce(known, 0), 0) END AS amount
        FROM placed LEFT JOIN runs USING (guid, run) LEFT JOIN recorded USING (guid)
    """
