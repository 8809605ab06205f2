"""Facts and events in portions: none of them is lost, and none is large."""

import numpy as np
import pytest

from atop_timeline import portions
from atop_timeline.events import Facts
from atop_timeline.portions import Chunk, Chunks, Place, Window, divided


def facts(count: int, text: str = "text") -> Facts:
    numbers = np.arange(count)
    values = [f"{text} {number}" for number in range(count)]
    return Facts({"pid": numbers}, {"name": numbers[::-1], "parent": np.where(numbers % 2, numbers, -1)}, values)


def texts(some: Facts) -> list[tuple[str | None, ...]]:
    columns = [[some.values[each] if each >= 0 else None for each in column.tolist()] for column in some.texts.values()]
    return list(zip(*columns, strict=True))


def test_few_facts_stay_as_they_are() -> None:
    few = facts(10)
    assert list(divided(few)) == [few]


def test_parts_have_all_facts_and_their_own_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    many = facts(1000)
    monkeypatch.setattr(portions, "_FACTS_BYTES", 25_000)
    parts = list(divided(many))
    assert len(parts) > 10
    assert [pid for part in parts for pid in part.columns["pid"].tolist()] == list(range(1000))
    assert [text for part in parts for text in texts(part)] == texts(many)
    assert max(len(part.values) for part in parts) < 400


def test_chunks_grow_up_to_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions, "_FACTS_BYTES", 12_000)
    monkeypatch.setattr(portions, "_FEW_BYTES", 0)
    chunks = Chunks()
    for _ in range(3):
        chunks.add(facts(10))
    assert chunks.chunks == [Chunk(0, 20, 0, 20), Chunk(20, 30, 20, 30)]


def test_chunks_of_many_facts_leave_room_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions, "_FACTS_BYTES", 12_000)
    monkeypatch.setattr(portions, "_FEW_BYTES", 30_000)
    chunks = Chunks(2)
    for _ in range(5):
        chunks.add(facts(10))
    few = chunks.chunks
    for _ in range(5):
        chunks.add(facts(10))
    assert few == [Chunk(0, 30, 0, 30), Chunk(30, 50, 30, 50)]
    assert chunks.chunks == [Chunk(begin, begin + 10, begin, begin + 10) for begin in range(0, 100, 10)]


@pytest.mark.parametrize(
    ("text", "columns", "rows"), [("few", 0, 90_000), ("few", 500, 7_500), ("few", 10**8, 1), ("t" * 1000, 0, 4_888)]
)
def test_fewer_rows_are_together_where_they_are_long(text: str, columns: int, rows: int) -> None:
    chunks = Chunks()
    chunks.add(facts(100, text))
    assert chunks.together(columns) == pytest.approx(rows, rel=0.5)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_a_window_has_what_stands_in_it(rank: int) -> None:
    places = [
        Place(time, each, sample, entry)
        for time in (1, 2)
        for each in range(3)
        for sample in (5, 6)
        for entry in (0, 3)
    ]
    begin, end = places[6], places[17]
    condition = (
        Window(begin, end, [rank])
        .condition(rank)
        .replace(" = ", " == ")
        .replace("AND", "and")
        .replace("OR", "or")
        .replace("NOT", "not")
    )
    found = [place for place in places if place.rank == rank and eval(condition, {}, place._asdict())]  # noqa: S307  ours
    assert found == [place for place in places if place.rank == rank and begin <= place < end]
