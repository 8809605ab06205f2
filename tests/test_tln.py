"""TLN: what Plaso's own output module writes of the same events."""

from collections.abc import Callable

import pytest

from atop_timeline.timeline import Timeline
from tests.plasos import written_by_plaso
from tests.test_l2tcsv import SOURCES
from tests.timelines import START, T0_US, Told, log_of, timeline_of, written


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_bytes_are_plasos(source: Callable[[], Timeline]) -> None:
    with source() as timeline:
        assert written(timeline, "tln") == written_by_plaso(timeline, "tln")


def test_line() -> None:
    with timeline_of([Told(START, {"pid": 7, "username": b"a|b", "process": b"c|d;e"}, T0_US + 1)]) as timeline:
        assert written(timeline, "tln").decode().splitlines() == [
            "Time|Source|Host|User|Description",
            "1795404820|LOG|server|a b|2026-11-23T03:33:40.000001+00:00; Start Time; Process: c d e pid: 7 user: a b",
        ]


def test_unknown_is_a_dash() -> None:
    with timeline_of([Told(START, {"pid": 7})], log_of(b"")) as timeline:
        assert written(timeline, "tln").decode().splitlines()[1].split("|")[2:4] == ["-", "-"]
