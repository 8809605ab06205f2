"""Tables that grow by columns as they come."""

from collections.abc import Callable
from contextlib import closing
from typing import Any, NoReturn

import numpy as np
import pytest

from atop_timeline.events import Kind
from atop_timeline.store import Questions, Store
from tests.interrupts import interrupt

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


class Interrupted:
    """Columns that are interrupted when DuckDB asks for them."""

    def __arrow_c_schema__(self) -> NoReturn:
        raise KeyboardInterrupt

    def __arrow_c_stream__(self, requested_schema: object = None) -> NoReturn:
        raise KeyboardInterrupt


def test_an_interrupt_while_columns_are_handed_over() -> None:
    with closing(Store()) as store, pytest.raises(KeyboardInterrupt), store.errors():
        store._database.register("columns", Interrupted())  # noqa: SLF001  otherwise they are nanoarrow's


@pytest.mark.parametrize("ask", [Questions.execute, Questions.fault])
def test_an_interrupt_while_a_question_is_answered(ask: Callable[[Questions, str], object]) -> None:
    with closing(Questions()) as questions:
        with interrupt(after=0.3), pytest.raises(KeyboardInterrupt):
            ask(questions, "SELECT sum(range) FROM range(1_000_000_000_000)")
        assert questions.execute("SELECT 1") == [(1,)]
