"""Parquet in the tools that read it: the same events, types and units in each."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from atop_timeline.extraction import extract
from tests.test_timesketch import SERVER
from tests.timelines import written

COLUMNS = ("timestamp", "process", "pid", "duration", "is_process")
KINDS = {"timestamp": "int64", "process": "string", "pid": "int64", "duration": "double", "is_process": "bool"}


@cache
def server() -> tuple[bytes, list[tuple[Any, ...]]]:
    """The file, and what it has to hold in some columns, behind the time as a text."""
    with extract([str(SERVER)]).timeline as timeline:
        lines = [json.loads(line) for line in written(timeline, "timesketch-jsonl").splitlines()]
        return written(timeline, "parquet"), [
            (each["datetime"], *(each.get(name) for name in COLUMNS)) for each in lines
        ]


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    path = tmp_path / "timeline.parquet"
    path.write_bytes(server()[0])
    return path


def of_duckdb(path: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect() as database:
        return database.execute(f"SELECT datetime, {', '.join(COLUMNS)} FROM '{path}'").fetchall()


def of_polars(path: Path) -> list[tuple[Any, ...]]:
    return pl.read_parquet(path, columns=["datetime", *COLUMNS]).rows()


def of_pandas(path: Path) -> list[tuple[Any, ...]]:
    table = pd.read_parquet(path, columns=["datetime", *COLUMNS], dtype_backend="pyarrow")
    return [tuple(None if pd.isna(each) else each for each in row) for row in table.itertuples(index=False)]


def of_pyarrow(path: Path) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in pq.read_table(path, columns=["datetime", *COLUMNS]).to_pylist()]


@pytest.mark.parametrize("reader", [of_duckdb, of_polars, of_pandas, of_pyarrow])
def test_reader_gives_every_event(path: Path, reader: Callable[[Path], list[tuple[Any, ...]]]) -> None:
    rows = [(time.isoformat(timespec="microseconds"), *others) for time, *others in reader(path)]
    assert rows == server()[1]


def test_columns_are_typed(path: Path) -> None:
    schema = pq.read_schema(path)
    assert {name: str(schema.field(name).type) for name in KINDS} == KINDS
    assert str(schema.field("datetime").type) == "timestamp[us, tz=UTC]"


def test_units_are_in_the_metadata(path: Path) -> None:
    metadata = pq.read_schema(path).metadata
    units = json.loads(metadata[b"units"])
    assert {name: units.get(name) for name in ("duration", "resident_bytes", "pid")} == {
        "duration": "s",
        "resident_bytes": "byte",
        "pid": None,
    }


def test_texts_that_repeat_are_in_dictionaries_and_all_is_zstd(path: Path) -> None:
    group = pq.ParquetFile(path).metadata.row_group(0)
    columns = {each.path_in_schema: each for each in (group.column(number) for number in range(group.num_columns))}
    assert {each.compression for each in columns.values()} == {"ZSTD"}
    texts = ("process", "command_line", "hostname", "data_type", "filename")
    assert {name for name in texts if not any("DICTIONARY" in each for each in columns[name].encodings)} == set()
