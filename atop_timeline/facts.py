"""What is known of events, in the store: distinct rows, in which texts are numbers."""

from collections.abc import Callable, Iterator, Mapping
from weakref import ref

import numpy as np

from atop_timeline.events import EventType, Facts, Kind
from atop_timeline.logs import LOG_COLUMNS
from atop_timeline.portions import Chunk, Chunks, divided
from atop_timeline.store import Store, quoted

_JOIN_BYTES = 10_000_000  # that a query takes for each, however few its rows: DuckDB parts them by 16
_OTHER_JOINS = 4  # besides those of texts: of logs, of what completes facts, of events, of their rows


class FactTable:
    """A table of facts of a store, of rows that events refer to by `row_id`, and one of their texts.

    `at_once` is how many of its queries may run at the same time.
    """

    def __init__(self, store: Store, name: str, at_once: int) -> None:
        self.chunks = Chunks(at_once)
        self._store = store
        self._name = name
        self._rows = store.table(name, {"row_id": Kind.INTEGER, "log_id": Kind.INTEGER})
        self._texts = store.table(f"{name}_texts", {"id": Kind.INTEGER, "text": Kind.TEXT})
        self._known: set[str] = set()
        self._completed_by = ""
        self._completed: frozenset[str] = frozenset()
        self._latest: Callable[[], Facts | None] = lambda: None
        self._base = 0

    def insert(self, facts: Facts, log_id: int) -> int:
        """What is to be added to the number of each row of a log; facts that were just inserted are not once more."""
        if facts is not self._latest():
            self._latest, self._base = ref(facts), self.chunks.rows - facts.first
            for part in divided(facts):
                row, text = self.chunks.rows, self.chunks.texts
                self.chunks.add(part)
                self._known.update(self._told(part))
                numbers = np.arange(row, self.chunks.rows)
                texts = {name: np.where(each < 0, each, each + text) for name, each in part.texts.items()}
                rows = {name: each + self._base for name, each in part.rows.items()}
                log = np.full(len(numbers), log_id)
                self._rows.add({"row_id": numbers, "log_id": log, **part.columns, **texts, **rows})
                self._texts.add({"id": np.arange(text, self.chunks.texts), "text": part.values})
        return self._base

    @property
    def known(self) -> frozenset[str]:
        """The columns of which anything is known."""
        return self._completed | self._known

    def _told(self, facts: Facts) -> Iterator[str]:
        """The columns of some facts of which something is known: those of which nothing was before."""
        yield from facts.rows
        yield from (name for name, each in facts.columns.items() if name not in self._known and np.ma.count(each))
        yield from (name for name, each in facts.texts.items() if name not in self._known and (each >= 0).any())

    def flush(self) -> None:
        """Has all rows in the store."""
        self._texts.flush()
        self._rows.flush()

    def complete(self, key: str, query: str) -> None:
        """Adds columns: those that a query gives for each value of a column that both have."""
        self._store.execute(f"CREATE OR REPLACE TABLE {self._name}_completion AS {query}")
        described = self._store.execute(f"DESCRIBE {self._name}_completion")
        self._completed_by, self._completed = key, frozenset(str(name) for name, *_ in described)

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

        The columns of their log are there as well. `text` gives SQL for how a text is shown: in the columns named by
        `shown`, which are made once per text.
        """
        for chunk in self.chunks.chunks or [Chunk(0, 0, 0, 0)]:
            yield f"SELECT row_id{listed(expressions)} FROM ({self._of(event_type, chunk, text)})"

    def query_bytes(self, event_type: EventType) -> int:
        """About how much of the store's memory one of the queries for a type's events takes, at most."""
        return (len(self._joined(event_type)) + _OTHER_JOINS) * _JOIN_BYTES

    def _joined(self, event_type: EventType) -> list[str]:
        """The columns of texts of which something is known."""
        return [each.name for each in event_type.columns if each.kind is Kind.TEXT and each.name in self._known]

    def _of(self, event_type: EventType, chunk: Chunk, text: Callable[[str], str] | None) -> str:
        """The query for a chunk of the facts of a type's events: `row_id` and its columns, texts as texts.

        The texts of a chunk are together as well, so that few of them are looked through. Of what completes facts only
        that of the chunk is joined: all of it may be large. What rows are looked for by is distinct: a join would hold
        each as often as events have it.
        """
        texts = [each.name for each in event_type.columns if each.kind is Kind.TEXT]
        of_texts = self._joined(event_type)
        columns = {each.name: f"CAST(NULL AS {each.kind})" for each in event_type.columns}
        columns |= {name: f"facts.{quoted(name)}" for name in columns if name in self._known}
        columns |= {name: f"{name}_text.text" for name in of_texts}
        columns |= {name: f"logs.{name}" for name in LOG_COLUMNS}
        rows = f"row_id >= {chunk.row} AND row_id < {chunk.end_row}"
        completion = ""
        if self._completed_by in self._known:
            columns |= {name: f"completion.{quoted(name)}" for name in columns if name in self._completed}
            keys = f"SELECT DISTINCT {self._completed_by} FROM {self._name} WHERE {rows}"
            some = f"WHERE {self._completed_by} IN ({keys})" if len(self.chunks.chunks) > 1 else ""
            completed = f"(FROM {self._name}_completion {some})"
            completion = f"LEFT JOIN {completed} AS completion USING ({self._completed_by})"
        if text:
            columns |= {shown(name): text(columns[name]) for name in texts}
            columns |= {shown(name): f"{name}_text.shown" for name in of_texts}
        joins = " ".join(f"LEFT JOIN some_texts AS {name}_text ON {name}_text.id = facts.{name}" for name in of_texts)
        some_texts = f"SELECT id, text, {text('text') if text else 'NULL'} AS shown FROM {self._name}_texts"
        return (
            f"WITH some_texts AS ({some_texts} WHERE id >= {chunk.text} AND id < {chunk.end_text})"
            f" SELECT facts.row_id{listed(columns)}"
            f" FROM {self._name} AS facts JOIN logs USING (log_id) {completion} {joins}"
            f" WHERE {rows} AND row_id IN (SELECT DISTINCT row_id FROM {event_type.name} WHERE {rows})"
        )


def shown(name: str) -> str:
    """The name of a column of texts as they are shown."""
    return f"{name} shown"


def listed(expressions: Mapping[str, str]) -> str:
    """SQL for further expressions in a list, by name."""
    return "".join(f", {sql} AS {quoted(name)}" for name, sql in expressions.items())
