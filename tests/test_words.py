"""Columns that have but few different texts."""

from collections.abc import Iterator

import pytest

from atop_timeline import words as words_module
from atop_timeline.store import Store, literal
from atop_timeline.words import Words

ODD = ["", "it's", '"quoted"', "=1+1", "a, b", "tab\tand\nline", "höst ☃", "\x01\x7f", "x" * 250]
COLUMNS = {"text": "text"}


@pytest.fixture
def store() -> Iterator[Store]:
    with_texts = Store()
    yield with_texts
    with_texts.close()


def table(store: Store, name: str, texts: list[str | None]) -> None:
    store.execute(f"CREATE TABLE {name} (row BIGINT, text VARCHAR)")
    for row, text in enumerate(texts):
        store.execute(f"INSERT INTO {name} VALUES ({row}, {'NULL' if text is None else literal(text)})")


def there_and_back(store: Store, words: Words, name: str) -> tuple[list[object], list[object]]:
    """The numbers of a table's texts, and the texts that come of those."""
    store.execute(f"CREATE TABLE {name}_coded AS SELECT row, {words.coded(COLUMNS)['text']} AS text FROM {name}")
    coded, told = (
        [value for (value,) in store.execute(f"SELECT {sql} FROM {name}_coded ORDER BY row")]
        for sql in ("text", words.told("text"))
    )
    return coded, told


def test_few_texts_are_numbers_in_their_order_in_all_tables(store: Store) -> None:
    texts: dict[str, list[str | None]] = {
        "first": [None, *ODD[:5], ODD[0]],
        "second": [*ODD[4:], None],
        "empty": [],
        "unknown": [None],
    }
    for name, each in texts.items():
        table(store, name, each)
    words = Words(store)
    words.find(dict.fromkeys(texts, COLUMNS))
    for name, each in texts.items():
        numbers = [None if text is None else sorted(ODD, key=str.encode).index(text) for text in each]
        assert there_and_back(store, words, name) == (numbers, each)


def test_they_are_looked_for_anew(store: Store) -> None:
    for name in ("first", "second"):
        table(store, name, [name])
        words = Words(store)
        words.find({name: COLUMNS})
        assert there_and_back(store, words, name) == ([0], [name])


def test_a_table_may_have_no_texts(store: Store) -> None:
    table(store, "numbers", [None, None])
    words = Words(store)
    words.find({"numbers": {}})
    assert words.coded(COLUMNS) == COLUMNS


@pytest.mark.parametrize("count", [255, 256])
def test_as_many_texts_as_a_byte_tells_apart(store: Store, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(words_module, "_MOST", 400)  # what is counted is about right
    texts: list[str | None] = [f"text {number:03}" for number in range(count)]
    table(store, "texts", texts)
    words = Words(store)
    words.find({"texts": COLUMNS})
    assert there_and_back(store, words, "texts") == (list(range(count)), texts)


@pytest.mark.parametrize("texts", [[f"text {number}" for number in range(400)], ["short", "x" * 251], [None]])
def test_many_texts_and_long_ones_stay(store: Store, texts: list[str | None]) -> None:
    table(store, "texts", texts)
    words = Words(store)
    words.find({"texts": COLUMNS})
    assert (words.coded(COLUMNS), words.told("text")) == (COLUMNS, '"text"')
