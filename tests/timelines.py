"""Timelines of made-up events, and what formatters write of them."""

import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from atop_timeline import plugins
from atop_timeline.events import Events, EventType, Facts, Kind
from atop_timeline.logs import SAMPLE, LogOrigin
from atop_timeline.texts import Texts, decode
from atop_timeline.timeline import Timeline

T0_US = 1_795_404_820_000_000  # 2026-11-23T03:33:40Z
LOG = LogOrigin("server", "disk.E01", "disk.E01", "p1", "/var/log/atop/atop_20261123", 12, "allocated", "atop 2.8")
TYPES = {each.name: each for each in plugins.event_types()}
START, CHANGE, OBSERVATION, EXIT = (TYPES[name] for name in ("starts", "changes", "observations", "exits"))

Known: TypeAlias = Mapping[str, bytes | float]


class Told(NamedTuple):
    """An event to make: its type, what is known (texts as a log has them), and when it was."""

    event_type: EventType
    known: Known
    time_us: int = T0_US


def timeline_of(events: Sequence[Told], log: LogOrigin = LOG) -> Timeline:
    """These events, as tasks of one sample, decoded and stored as a parser's are."""
    timeline = _empty(list(dict.fromkeys(each.event_type for each in events)), log)
    for entry, each in enumerate(events):
        own = {column.name: column for column in each.event_type.own if column.name in each.known}
        columns = _columns(each.time_us, entry) | {name: _own(each.known[name]) for name in own}
        facts = {name: value for name, value in each.known.items() if name not in own}
        timeline.insert(0, Events(each.event_type, *_referring(each.event_type, columns, facts)))
    timeline.complete()
    return timeline


def many(count: int, usual: Mapping[str, bytes], odd: Mapping[str, bytes], odd_time_us: int) -> Timeline:
    """So many starts, a second apart; the last is odd, in its texts and its time."""
    timeline = _empty([START], LOG)
    texts = Texts()
    numbers = {name: texts.decoded(np.array([usual[name], odd[name]])) for name in usual}
    entries, last = np.arange(count), count - 1
    columns = {name: np.zeros(count, dtype=np.int64) for name in ("sample", "early_s", "late_s")}
    columns |= {"time_us": T0_US + entries * 1_000_000, "entry": entries, "row": (entries == last).astype(np.int64)}
    columns["time_us"][last] = odd_time_us
    timeline.insert(0, Events(START, columns, Facts({"pid": np.array([1, 1])}, numbers, texts.values)))
    timeline.complete()
    return timeline


def _empty(types: Sequence[EventType], log: LogOrigin) -> Timeline:
    """A timeline of one sample, without events yet."""
    timeline = Timeline(types)
    timeline.add_log(0, log)
    sample = {"offset": 480, "sample_interval": 600, "digest_high": 0, "digest_low": 0}
    timeline.insert(0, Events(SAMPLE, _columns(T0_US, 0) | {name: np.array([n]) for name, n in sample.items()}))
    return timeline


def _columns(time_us: int, entry: int) -> dict[str, NDArray[np.int64]]:
    keys = {"time_us": time_us, "sample": 0, "entry": entry, "row": 0, "early_s": 0, "late_s": 0}
    return {name: np.array([value]) for name, value in keys.items()}


def _own(value: bytes | float) -> Any:  # noqa: ANN401  texts or numbers
    return [decode(value)] if isinstance(value, bytes) else np.array([value])


def _referring(event_type: EventType, columns: dict[str, Any], known: Known) -> tuple[dict[str, Any], Facts | None]:
    """The columns, and the facts to which they refer if the type has some."""
    if event_type.facts:
        return columns, _facts(known)
    return {name: each for name, each in columns.items() if name != "row"}, None


def _facts(known: Known) -> Facts:
    texts = Texts()
    numbers = {name: texts.decoded(np.array([raw])) for name, raw in known.items() if isinstance(raw, bytes)}
    columns = {name: np.array([value]) for name, value in known.items() if not isinstance(value, bytes)}
    return Facts(columns, numbers, texts.values)


def written(timeline: Timeline, format_name: str) -> bytes:
    """What a formatter makes of a timeline."""
    stream = io.BytesIO()
    count = plugins.formatters()[format_name].write(timeline, stream)
    assert count == sum(timeline.count(each) for each in timeline.types)
    return stream.getvalue()


def log_of(raw: bytes) -> LogOrigin:
    """A log whose every text is this."""
    text = decode(raw)
    return LogOrigin(text, text, text, text, text, None, text, text)


def hostile(raws: Sequence[bytes], step_us: int, log: LogOrigin) -> Timeline:
    """Every text in every column of text, and numbers of either sign, in each event type."""
    events = []
    for event_type in (START, CHANGE, OBSERVATION, EXIT):
        for number, raw in enumerate(raws):
            values: dict[Kind, Any] = {Kind.TEXT: raw, Kind.NUMBER: -0.5, Kind.INTEGER: -number, Kind.FLAG: True}
            known = {each.name: values[each.kind] for each in event_type.attributes}
            events.append(Told(event_type, known, T0_US + number * step_us))
    return timeline_of(events, log)
