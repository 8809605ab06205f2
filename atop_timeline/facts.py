"""What is known of events, in the store: distinct rows, in which texts are numbers."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from weakref import ref

import numpy as np

from atop_timeline.events import EventType, Facts, Kind
from atop_timeline.logs import LOG_COLUMNS
from atop_timeline.portions import Chunk, Chunks, divided
from atop_timeline.store import Store, quoted


class FactTables:
    """The tables of facts of a store, each of rows that events refer to by `row_id`, and the table `texts`."""

    def __init__(self, store: Store, names: Iterable[str]) -> None:
        self._store = store
        self._tables = {name: store.table(name, {"row_id": Kind.INTEGER, "log_id": Kind.INTEGER}) for name in names}
        self._texts = store.table("texts", {"id": Kind.INTEGER, "text": Kind.TEXT})
        self._completions: dict[str, tuple[str, frozenset[str]]] = {}
        self._chunks = Chunks()
        self._latest: Callable[[], Facts | None] = lambda: None
        self._first = 0

    @property
    def lines_per_window(self) -> int:
        """How many lines, with all that is known of events, may be put together at once."""
        return self._chunks.lines_per_window

    @property
    def events_per_window(self) -> int:
        """How many events may be looked at together, with all that is known of them, by columns."""
        return self._chunks.events_per_window

    def insert(self, table: str, facts: Facts, log_id: int) -> int:
        """The number of the first of these rows, all of a log; facts that were just inserted are not inserted again."""
        if facts is not self._latest():
            self._latest, self._first = ref(facts), self._chunks.rows
            for part in divided(facts):
                row, base = self._chunks.rows, self._chunks.texts
                self._chunks.add(part)
                texts = {name: np.where(each < 0, each, each + base) for name, each in part.texts.items()}
                rows = {name: each + self._first for name, each in part.rows.items()}
                own = {"row_id": np.arange(row, self._chunks.rows), "log_id": np.full(self._chunks.rows - row, log_id)}
                self._tables[table].add(own | part.columns | texts | rows)
                self._texts.add({"id": np.arange(base, self._chunks.texts), "text": part.values})
        return self._first

    def known(self, table: str) -> set[str]:
        """The columns of which anything is known."""
        _, told = self._completions.get(table, ("", frozenset()))
        return self._tables[table].names | told

    def flush(self) -> None:
        """Has all rows in the store."""
        for table in (self._texts, *self._tables.values()):
            table.flush()

    def complete(self, facts: str, key: str, query: str) -> None:
        """Adds columns to facts: those that a query gives for each value of a column that both have."""
        self._store.execute(f"CREATE OR REPLACE TABLE {facts}_completion AS {query}")
        described = self._store.execute(f"DESCRIBE {facts}_completion")
        self._completions[facts] = key, frozenset(str(name) for name, *_ in described)

    def keep(self, event_type: EventType, expressions: Mapping[str, str]) -> str:
        """The name of a temporary table of expressions, by name, over the facts of a type's events, and `row_id`."""
        name = f"{event_type.name}_facts"
        for number, query in enumerate(self.queries(event_type, expressions)):
            into = f"INSERT INTO {name}" if number else f"CREATE OR REPLACE TEMP TABLE {name} AS"
            self._store.execute(f"{into} {query}")
        return name

    def queries(
        self, event_type: EventType, expressions: Mapping[str, str], text: Callable[[str], str] | None = None
    ) -> Iterator[str]:
        """Queries for all facts of a type's events, some at a time: `row_id` and expressions over them, by name.

        The columns of their log are there as well.
        `text` gives SQL for how a text is shown: in the columns named by `shown`, which are made once per text.
        """
        for chunk in self._chunks.chunks or [Chunk(0, 0, 0, 0)]:
            yield f"SELECT row_id{listed(expressions)} FROM ({self._known(event_type, chunk, text)})"

    def _known(self, event_type: EventType, chunk: Chunk, text: Callable[[str], str] | None) -> str:
        """The query for a chunk of the facts of a type's events: `row_id` and its columns, texts as texts.

        The texts of a chunk are together as well, so that few of them are looked through.
        """
        names = self._tables[event_type.facts].names
        texts = [each.name for each in event_type.columns if each.kind is Kind.TEXT]
        of_texts = [name for name in texts if name in names]
        columns = {each.name: f"CAST(NULL AS {each.kind})" for each in event_type.columns}
        columns |= {name: f"facts.{quoted(name)}" for name in columns if name in names}
        columns |= {name: f"{name}_text.text" for name in of_texts}
        columns |= {name: f"logs.{name}" for name in LOG_COLUMNS}
        key, told = self._completions.get(event_type.facts, ("", frozenset()))
        completion = ""
        if key in names:
            columns |= {name: f"completion.{quoted(name)}" for name in columns if name in told}
            completion = f"LEFT JOIN {event_type.facts}_completion AS completion USING ({key})"
        if text:
            columns |= {shown(name): text(columns[name]) for name in texts}
            columns |= {shown(name): f"{name}_text.shown" for name in of_texts}
        joins = " ".join(f"LEFT JOIN some_texts AS {name}_text ON {name}_text.id = facts.{name}" for name in of_texts)
        some_texts = f"SELECT id, text, {text('text') if text else 'NULL'} AS shown FROM texts"
        rows = f"row_id >= {chunk.row} AND row_id < {chunk.end_row}"
        return (
            f"WITH some_texts AS ({some_texts} WHERE id >= {chunk.text} AND id < {chunk.end_text})"
            f" SELECT facts.row_id{listed(columns)}"
            f" FROM {event_type.facts} AS facts JOIN logs USING (log_id) {completion} {joins}"
            f" WHERE {rows} AND row_id IN (SELECT row_id FROM {event_type.name} WHERE {rows})"
        )


def shown(name: str) -> str:
    """The name of a column of texts as they are shown."""
    return f"{name} shown"


def listed(expressions: Mapping[str, str]) -> str:
    """SQL for further expressions in a list, by name."""
    return "".join(f", {sql} AS {quoted(name)}" for name, sql in expressions.items())
