"""Messages, as the formats show them: what Plaso would say of the same event, from the same YAML."""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import yaml

from atop_timeline import plugins
from atop_timeline.events import Events, EventType, Facts
from atop_timeline.texts import Texts
from atop_timeline.timeline import SAMPLE, LogOrigin, Timeline

T0_US = 1_795_404_820_000_000  # 2026-11-23T03:33:40Z
LOG = LogOrigin("server", "disk.E01", "p1", "/var/log/atop/atop_20261123", "2.8")

Known: TypeAlias = Mapping[str, bytes | float]


class Told(NamedTuple):
    """An event to make: its type, what is known (texts as the log has them), and when it was."""

    event_type: EventType
    known: Known
    time_us: int = T0_US


def types() -> dict[str, EventType]:
    """Of our parsers, by name."""
    return {each.name: each for parser in plugins.parsers().values() for each in parser.event_types}


def timeline_of(events: Sequence[Told], log: LogOrigin = LOG) -> Timeline:
    """These events of one sample, decoded and stored as a parser's are."""
    timeline = Timeline(list({each.event_type: None for each in events}))
    timeline.add_log(0, log)
    sample = {"offset": 480, "sample_interval": 600, "digest_high": 0, "digest_low": 0}
    timeline.insert(0, Events(SAMPLE, _columns(T0_US, 0) | {name: np.array([n]) for name, n in sample.items()}))
    for entry, each in enumerate(events):
        timeline.insert(0, Events(each.event_type, _columns(each.time_us, entry), _facts(each.known)))
    timeline.complete()
    return timeline


def _columns(time_us: int, entry: int) -> dict[str, np.ndarray]:
    keys = {"time_us": time_us, "sample": 0, "entry": entry, "row": 0, "early_s": 0, "late_s": 0}
    return {name: np.array([value]) for name, value in keys.items()}


def _facts(known: Known) -> Facts:
    texts = Texts()
    numbers = {name: texts.decoded(np.array([raw])) for name, raw in known.items() if isinstance(raw, bytes)}
    columns = {name: np.array([value]) for name, value in known.items() if not isinstance(value, bytes)}
    return Facts(columns, numbers, texts.values)


def written(timeline: Timeline, format_name: str) -> bytes:
    """What a formatter makes of a timeline."""
    stream = io.BytesIO()
    plugins.formatters()[format_name].write(timeline, stream)
    return stream.getvalue()
