"""Columns of rows of others, and streams made while DuckDB reads them."""

from collections.abc import Iterator
from itertools import repeat
from typing import Any

import numpy as np
import pytest

from atop_timeline.arrow import Stream, fetched, read, rows_of, struct
from atop_timeline.errors import StoreError
from atop_timeline.store import Store
from tests.interrupts import interrupt

ENDS = [StoreError("disk full"), KeyboardInterrupt(), ValueError("a bug of ours")]
VALUES = "SELECT key, nullif(key, 7) AS number, nullif('é' || key, 'é8') AS text FROM keys ORDER BY key"


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store()
    yield opened
    opened.close()


def numbers(count: int) -> Any:  # noqa: ANN401  nanoarrow has no types
    return struct({"n": np.arange(count)})


def ending(error: BaseException) -> Iterator[Any]:
    yield numbers(3)
    raise error


def test_columns_of_rows_of_others(store: Store) -> None:
    found = fetched(store, VALUES, np.array([7, 8, 9]))
    rows = np.array([2, 0, 0, 1, 2], np.int32)
    columns = {name: rows_of(found.child(place), rows) for place, name in enumerate(("key", "number", "text"))}
    assert read(store, Stream(iter([struct(columns)])), "FROM stream") == [
        (9, 9, "é9"),
        (7, None, "é7"),
        (7, None, "é7"),
        (8, 8, None),
        (9, 9, "é9"),
    ]


def test_the_store_is_asked_while_a_stream_is_read(store: Store) -> None:
    counts = (store.execute(f"SELECT {count}")[0][0] for count in (2, 0, 5_000))
    stream = Stream(map(numbers, counts))
    assert read(store, stream, "SELECT count(*), sum(n) FROM stream") == [(5_002, 12_497_501)]
    assert (stream.names, stream.count) == (("n",), 5_002)


def test_what_is_told_of_a_stream(store: Store) -> None:
    told: list[int] = []
    read(store, Stream(map(numbers, (2, 3)), told.append), "FROM stream")
    assert told == [2, 5]


@pytest.mark.parametrize("error", ENDS, ids=repr)
def test_what_ends_a_stream_is_raised(store: Store, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        read(store, Stream(ending(error)), "SELECT count(*) FROM stream")
    assert caught.value is error
    assert store.execute("SELECT 1") == [(1,)]


def test_a_stream_that_was_not_read_to_its_end(store: Store) -> None:
    with pytest.raises(MemoryError):
        read(store, Stream(map(numbers, (2, 3))), "SELECT 1")


def test_an_interrupt_ends_a_stream(store: Store) -> None:
    stream = Stream(map(numbers, repeat(1, 1_000_000)))
    with interrupt(after=0.3), pytest.raises(KeyboardInterrupt):
        read(store, stream, "SELECT count(*) FROM stream")
    assert (stream.count > 0, store.execute("SELECT 1")) == (True, [(1,)])
