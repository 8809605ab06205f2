"""Columns that have but few different texts, as numbers: narrow to hold, and quick to write.

Each is an ENUM to DuckDB, which it writes to Parquet without a look at the texts of rows.
"""

from collections import defaultdict
from collections.abc import Mapping

from atop_timeline.store import Store, quoted

_MOST = 250  # texts of a column, about: what a number of one byte tells apart
_MOST_CHARACTERS = 250  # of each: in a file all texts of a column are there once for each group of rows


class Words:
    """Which columns are such, and what their texts are: an ENUM of the store for each."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._types: dict[str, str] = {}

    def find(self, tables: Mapping[str, Mapping[str, str]]) -> None:
        """Looks for them among columns of texts, which are given by their names, as SQL over each table."""
        counts, sources = defaultdict[str, int](int), defaultdict[str, list[str]](list)
        for table, columns in tables.items():
            looks = "".join(
                f", CASE WHEN max(length({sql})) > {_MOST_CHARACTERS} THEN {_MOST + 1}"
                f" ELSE approx_count_distinct({sql}) END"
                for sql in columns.values()
            )
            ((_, *found),) = self._store.execute(f"SELECT count(*){looks} FROM {table}")
            for (name, sql), count in zip(columns.items(), found, strict=True):
                counts[name] += count
                sources[name].append(f"SELECT {sql} AS text FROM {table}")
        for name, count in counts.items():
            if 0 < count <= _MOST:
                self._make(name, " UNION ALL ".join(sources[name]))

    def coded(self, columns: Mapping[str, str]) -> dict[str, str]:
        """SQL for columns, which are given as SQL: numbers for those that have few texts."""
        return {
            name: f"enum_code(CAST({sql} AS {self._types[name]}))" if name in self._types else sql
            for name, sql in columns.items()
        }

    def told(self, name: str) -> str:
        """SQL for a column that `coded` has made: as it was."""
        kind = self._types.get(name)
        if not kind:
            return quoted(name)
        return f"list_extract(CAST(enum_range(CAST(NULL AS {kind})) AS {kind}[]), {quoted(name)} + 1)"

    def _make(self, name: str, texts: str) -> None:
        kind = quoted(f"{name} words")
        self._store.execute(f"DROP TYPE IF EXISTS {kind}")
        distinct = f"SELECT DISTINCT text FROM ({texts}) WHERE text IS NOT NULL ORDER BY text"
        self._store.execute(f"CREATE TYPE {kind} AS ENUM ({distinct})")
        self._types[name] = kind
