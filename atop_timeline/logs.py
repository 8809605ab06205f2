"""All logs of a timeline: whose they are, which samples are in them, and which of these are there again."""

from typing import Any, NamedTuple

import numpy as np

from atop_timeline.events import PROVENANCE, Column, EventType, Kind
from atop_timeline.store import Store

SAMPLE = EventType(
    "samples",
    own=(
        Column("offset", Kind.INTEGER, "byte", "where its record begins in the log"),
        Column("sample_interval", Kind.INTEGER, "s", "length of its interval"),
        Column("digest_high", Kind.INTEGER, "", "half of what samples that are the same have in common"),
        Column("digest_low", Kind.INTEGER, "", "the other half"),
        Column("is_part", Kind.FLAG, "", "not as atop wrote it, but saved"),
        Column("is_complete", Kind.FLAG, "", "whether it has every process, or only those that changed"),
        Column("caveat", Kind.TEXT, "", "what is wrong with it"),
    ),
)
"""The samples themselves, to which all events refer; they are inserted like events."""

DAMAGE = (
    Column("offset", Kind.INTEGER, "byte", "where it begins in the log"),
    Column("length", Kind.INTEGER, "byte", "how much is damaged"),
    Column("samples", Kind.INTEGER, "", "samples lost"),
    Column("parts", Kind.INTEGER, "", "samples saved in part"),
    Column("what", Kind.TEXT, "", "what is wrong"),
)
"""What the table `damages` has of each damaged place, besides `log_id`."""

SAMPLE_DIGEST = "sample_digest"
"""The column of `origins` that has the digest as a text."""

SAMPLE_BITS = 32
"""A sample's number is that of its log, and behind it these bits of its own."""

_ORIGINS = f"""
CREATE VIEW origins AS
SELECT sample_id, logs.*, host, "offset", sample_interval, caveat,
    strftime(make_timestamp(time_us), '%Y-%m-%dT%H:%M:%S+00:00') AS sample_time,
    lower(lpad(hex(digest_high), 16, '0') || lpad(hex(digest_low), 16, '0')) AS {SAMPLE_DIGEST}
FROM samples JOIN logs ON log_id = sample_id >> {SAMPLE_BITS} JOIN hosts USING (log_id)
"""
_HOSTS = """
INSERT INTO hosts SELECT log_id, min(log_id) OVER (PARTITION BY hostname, disk) FROM logs
"""
_SAME_HOSTS = f"""
SELECT DISTINCT list_sort(list(DISTINCT host)) AS hosts
FROM samples JOIN hosts ON log_id = sample_id >> {SAMPLE_BITS}
GROUP BY digest_high, digest_low HAVING count(DISTINCT host) > 1
ORDER BY hosts
"""
_COPIES = f"""
CREATE TABLE copies AS
WITH first AS (
    SELECT *, min(sample_id) OVER (PARTITION BY digest_high, digest_low) AS original_id
    FROM samples JOIN hosts ON log_id = sample_id >> {SAMPLE_BITS}
),
whole AS (
    SELECT host, time_us, min(sample_id) AS original_id
    FROM first WHERE NOT is_part AND sample_id = original_id GROUP BY ALL
)
SELECT sample_id, coalesce(whole.original_id, first.original_id) AS original_id
FROM first LEFT JOIN whole ON is_part AND whole.host = first.host AND whole.time_us = first.time_us
WHERE sample_id <> coalesce(whole.original_id, first.original_id)
"""


class LogOrigin(NamedTuple):
    """Where a log was found and who wrote it: a row of the table `logs`.

    `disk` is what it shares with other logs of its machine: hosts of one name with different ones are not the
    same, unless they share a sample.
    """

    hostname: str
    disk: str
    evidence: str
    volume: str
    filename: str | None
    inode: int | None
    allocation: str
    atop_version: str


LOG_COLUMNS = tuple(each.name for each in PROVENANCE if each.name in LogOrigin._fields)
"""What of `PROVENANCE` is the same for all events of a log."""


class Logs:
    """The tables `logs`, `hosts`, `damages` and `copies` of a store, and the view `origins`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        kinds = dict.fromkeys(LogOrigin._fields, Kind.TEXT) | {"inode": Kind.INTEGER}
        self._logs = store.table("logs", {"log_id": Kind.INTEGER, **kinds})
        self._damages = store.table("damages", {"log_id": Kind.INTEGER, **{each.name: each.kind for each in DAMAGE}})
        store.table("hosts", {"log_id": Kind.INTEGER, "host": Kind.INTEGER})

    def add(self, log_id: int, log: LogOrigin) -> None:
        """A log, by its number."""
        texts = {name: [value] for name, value in log._replace(inode=None)._asdict().items() if name != "inode"}
        inode = np.ma.masked_array([log.inode or 0], [log.inode is None])
        self._logs.add({"log_id": np.array([log_id]), "inode": inode, **texts})

    def add_damage(self, log_id: int, damage: tuple[int | str, ...]) -> None:
        """What is lost of a log: the values of `DAMAGE`."""
        known = dict(zip((each.name for each in DAMAGE), damage, strict=True)) | {"log_id": log_id}
        self._damages.add(
            {name: [value] if isinstance(value, str) else np.array([value]) for name, value in known.items()}
        )

    def complete(self) -> None:
        """Tells hosts apart, once all samples are there."""
        self._logs.flush()
        self._damages.flush()
        self._store.execute(_ORIGINS)
        self._tell_hosts_apart()

    def forget_copies(self) -> int:
        """Forgets samples that are there again; how many."""
        self._store.execute(_COPIES)
        return int(self._store.execute("DELETE FROM samples WHERE sample_id IN (SELECT sample_id FROM copies)")[0][0])

    def hosts(self) -> list[tuple[Any, ...]]:
        """The name of each host that has samples, and the evidence that its logs were found in."""
        return self._store.execute("""
            SELECT hostname, list_sort(list(DISTINCT evidence))
            FROM logs JOIN hosts USING (log_id)
            GROUP BY hostname, host ORDER BY ALL
        """)

    def _tell_hosts_apart(self) -> None:
        """Numbers the hosts: one name and disk is one, and so are those that share a sample."""
        self._store.execute(_HOSTS)
        for (hosts,) in self._store.execute(_SAME_HOSTS):
            numbers = ", ".join(map(str, hosts))
            self._store.execute(f"""
                UPDATE hosts SET host = (SELECT min(host) FROM hosts WHERE log_id IN ({numbers}))
                WHERE host IN (SELECT host FROM hosts WHERE log_id IN ({numbers}))
            """)
