"""Tables that grow by columns as they come."""

from contextlib import closing
from typing import Any

import numpy as np
import pytest

from atop_timeline.events import Kind
from atop_timeline.store import Store

PARTS: list[dict[str, Any]] = [
    {"id": np.array([1])},
    {"id": np.array([2]), "number": np.array([0.5]), "text": ["zwei"]},
    {"flag": np.ma.masked_array([True, True], [False, True]), "id": np.array([3, 4])},
]
ALL = "SELECT id, number, text, flag FROM growing ORDER BY id"


@pytest.mark.parametrize("flushed", ["at once", "row by row"])
def test_a_table_grows_by_columns_as_they_come(flushed: str) -> None:
    with closing(Store()) as store:
        table = store.table("growing", {"id": Kind.INTEGER})
        for columns in PARTS:
            table.add(columns)
            if flushed == "row by row":
                table.flush()
        table.flush()
        assert [name for name, *_ in store.execute("DESCRIBE growing")] == ["id", "number", "text", "flag"]
        assert store.execute(ALL) == [
            (1, None, None, None),
            (2, 0.5, "zwei", None),
            (3, None, None, True),
            (4, None, None, None),
        ]


def test_what_a_query_filled_in_stays_when_columns_come() -> None:
    with closing(Store()) as store:
        table = store.table("growing", {"id": Kind.INTEGER})
        store.execute("INSERT INTO growing VALUES (1)")
        table.add({"id": np.array([2]), "number": np.array([7])})
        table.flush()
        assert store.execute("FROM growing ORDER BY id") == [(1, None), (2, 7)]
