"""What is told of the recording: of real logs nothing but what is known of them, of altered ones what was done."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

from atop_timeline.events import Event
from atop_timeline.extraction import extract
from tests.altered import (
    Part,
    moved,
    parts_of,
    rebooted,
    retimed,
    slowed,
    ticking,
    with_memory,
    without_accounting,
    written,
)
from tests.rawlogs import LOGS, NAMES, offsets, raw, without
from tests.servers import write

NAME = "odd-2.13.0"
PARTS = parts_of(NAME)
SLOW = slowed(PARTS, 300)
T0, UPTIME, TAKES = PARTS[0].second, int(PARTS[0].record["interval"][0]), PARTS[-1].second - PARTS[0].second
HOUR, DAY = 3600, 86400
NODENAME, RELEASE = slice(101, 166), slice(166, 231)

Told: TypeAlias = tuple[int, str, str | None]


def events(*paths: Path) -> list[Event]:
    """The events of the recording, in their order."""
    with extract([str(path) for path in paths], only=["recording"]).timeline as made:
        return list(made.events())


def told(*paths: Path) -> list[Told]:
    """When what was told, and why; in seconds since the first sample of the log that is altered here."""
    return [(_second(each) - T0, str(each.recording_event), each.reason) for each in events(*paths)]  # type: ignore[misc]  # texts


def _second(event: Event) -> int:
    return int(event.date_time.timestamp) // 1_000_000


def first(event: str, found: Sequence[Event]) -> Event:
    return next(each for each in found if each.recording_event == event)


BOOTED = (-UPTIME, "machine booted", "uptime")
STARTED = (0, "atop started", "unknown")
ENDS = (TAKES, "recording ends", "unknown")
USUAL = ["machine booted", "atop started", "recording ends"]
BOOT = ["atop ended", "machine down", "gap", "machine booted", "atop started"]
OF_LOGS: Mapping[str, list[str]] = {
    "debian-2.8.1-3boots": [*USUAL[:2], *BOOT, *BOOT, "recording ends"],
    "atopcat-2.8.1": [*USUAL[:2], *BOOT, "changed", "recording ends"],
    "torn-append-2.8.1": [*USUAL[:2], "damage", "recording ends"],
}


@pytest.mark.parametrize("name", NAMES)
def test_of_a_real_log_nothing_is_told_that_is_not_there(name: str) -> None:
    assert [each.recording_event for each in events(LOGS / name)] == OF_LOGS.get(name, USUAL)


def test_three_boots_one_shut_down_and_one_crash() -> None:
    found = events(LOGS / "debian-2.8.1-3boots")
    boots = [json.loads(path.read_text()) for path in sorted((LOGS / "debian-2.8.1-3boots").glob("truth*.json"))]
    booted = [_second(each) for each in found if each.recording_event == "machine booted"]
    assert [round(each["boottime_offset"] - second) for each, second in zip(boots, booted, strict=True)] == [0, 1, 0]
    down = [(each.reason, each.time_accuracy) for each in found if each.recording_event == "machine down"]
    assert down == [("clean", "within 8 s"), ("without a word", "within 4 s")]
    assert [each.reason for each in found if each.recording_event == "atop started"] == ["unknown", "boot", "boot"]


def test_logs_of_one_machine_over_two_boots() -> None:
    found = [each for each in events(LOGS) if each.hostname == "lab-guest"]
    booted = [_second(each) for each in found if each.recording_event == "machine booted"]
    assert booted == [1795405302, 1795405397, 1795405513, 1795406796]
    clocks = {"clock changed", "time goes back", "time contradicts", "samples missing", "days missing"}
    assert not clocks & {str(each.recording_event) for each in found}


class Case(NamedTuple):
    """Samples of a log, and what is told of them beyond what is told of the log as it was."""

    parts: Sequence[Part]
    told: Sequence[Told]
    gap_seconds: int | None = None
    clock_change_seconds: int | None = None
    begins: bool = True
    ends: Told = ENDS


def clocked(parts: Sequence[Part], after: int, seconds: int) -> list[Part]:
    """The same with the clock set some time after the first sample; atop goes on with the boot time that it knew."""
    return retimed(parts, lambda second: second + (seconds if second > T0 + after else 0), lambda second: second)


def asleep(parts: Sequence[Part], after: int, seconds: int) -> list[Part]:
    return retimed(parts, lambda second: second + (seconds if second > T0 + after else 0))


def held_up() -> list[Part]:
    late = asleep(SLOW, 1900, HOUR)
    return [*late[:4], ticking(late[4], 7), *late[5:]]


SLOW_ENDS = (TAKES * 300, "recording ends", "without a word")
CASES = {
    "as it was": Case(PARTS, []),
    "slow": Case(SLOW, [], ends=SLOW_ENDS),
    "samples cut out": Case(PARTS[:3] + PARTS[6:], [(4, "samples missing", "cut out or lost")], 8),
    "beginning cut off": Case(PARTS[3:], [(6, "samples missing", "cut out or lost")], begins=False),
    "end cut off": Case(PARTS[:6], [], ends=(10, "recording ends", "unknown")),
    "clock set back": Case(
        clocked(PARTS, 8, -HOUR),
        [(10 - HOUR, "clock changed", "set back")],
        clock_change_seconds=-HOUR,
        ends=(TAKES - HOUR, "recording ends", "unknown"),
    ),
    "clock set back by less than the interval": Case(
        clocked(SLOW, 1900, -300),
        [(2100, "clock changed", "set back")],
        clock_change_seconds=-302,
        ends=(TAKES * 300 - 300, "recording ends", "without a word"),
    ),
    "clock set forward": Case(
        clocked(SLOW, 1900, HOUR),
        [(1800, "clock changed", "clock set forward")],
        600 + HOUR,
        HOUR,
        ends=(TAKES * 300 + HOUR, "recording ends", "without a word"),
    ),
    "clock set forward by less than the interval": Case(
        clocked(SLOW, 1900, 200),
        [(1800, "clock changed", "clock set forward")],
        800,
        200,
        ends=(TAKES * 300 + 200, "recording ends", "without a word"),
    ),
    "suspended for less than the interval": Case(
        asleep(SLOW, 1900, 200),
        [(1800, "gap", "suspended")],
        800,
        ends=(TAKES * 300 + 200, "recording ends", "without a word"),
    ),
    "clock set back by as much as the interval": Case(
        clocked(SLOW, 1900, -600),
        [(1800, "clock changed", "set back")],
        clock_change_seconds=-602,
        ends=(TAKES * 300 - 600, "recording ends", "without a word"),
    ),
    "suspended": Case(
        asleep(SLOW, 1900, HOUR),
        [(1800, "gap", "suspended")],
        600 + HOUR,
        ends=(TAKES * 300 + HOUR, "recording ends", "without a word"),
    ),
    "held up": Case(
        held_up(),
        [(1800, "gap", "held up")],
        600 + HOUR,
        ends=(TAKES * 300 + HOUR, "recording ends", "without a word"),
    ),
    "interval changed": Case(
        [*PARTS[:5], PARTS[5].with_fields(interval=600), *PARTS[6:]],
        [(10, "time contradicts", "interval too long")],
    ),
    "records exchanged": Case([*PARTS[:4], PARTS[5], PARTS[4], *PARTS[6:]], [(8, "time contradicts", "out of order")]),
    "accounting switched off": Case(
        [*PARTS[:3], *map(without_accounting, PARTS[3:6]), *PARTS[6:]],
        [(6, "accounting off", None), (12, "accounting on", None)],
    ),
    "never any accounting": Case([without_accounting(each) for each in PARTS], [(0, "accounting off", None)]),
    "too many exits": Case([*PARTS[:5], PARTS[5].with_fields(noverflow=12), *PARTS[6:]], [(10, "exits skipped", None)]),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_was_done_to_a_log_is_told_and_nothing_else(tmp_path: Path, case: Case) -> None:
    folder = write(tmp_path, {"atop_1": written(NAME, case.parts)})
    begins = [BOOTED, STARTED] if case.begins else []
    assert sorted(told(folder)) == sorted([*begins, *case.told, case.ends])
    for name in ("gap_seconds", "clock_change_seconds"):
        values = [getattr(each, name) for each in events(folder) if getattr(each, name) is not None]
        assert values == [value for value in (getattr(case, name),) if value is not None]


def begun_again(parts: Sequence[Part], uptime: int) -> list[Part]:
    return [rebooted(parts[0], uptime), *parts[1:]]


def test_a_log_in_which_the_clock_was_set_back_while_atop_was_off(tmp_path: Path) -> None:
    again = begun_again(retimed(SLOW, lambda second: second + 5000 - HOUR), UPTIME + 5000)
    folder = write(tmp_path, {"atop_1": written(NAME, [*SLOW, *again])})
    assert told(folder) == [
        BOOTED,
        STARTED,
        (1400, "atop started", "restart"),
        (1400, "clock changed", "set back"),
        (4800, "atop ended", "without a word"),
        (6200, "recording ends", "without a word"),
    ]
    assert first("clock changed", events(folder)).clock_change_seconds == -HOUR


def test_a_machine_whose_clock_is_wrong_when_it_boots(tmp_path: Path) -> None:
    boot = begun_again(moved(PARTS, -600), 30)
    folder = write(tmp_path, {"atop_1": written(NAME, [*PARTS, *boot])})
    assert told(folder) == [
        BOOTED,
        (-630, "machine booted", "uptime"),
        (-600, "atop started", "boot"),
        (-600, "time goes back", "wrong clock at boot"),
        (-600 + TAKES, "recording ends", "unknown"),
        STARTED,
        (TAKES, "atop ended", "unknown"),
        (TAKES, "machine down", "unknown"),
    ]


def test_logs_that_were_put_together_in_the_wrong_order(tmp_path: Path) -> None:
    tomorrow = retimed(PARTS, lambda second: second + DAY)
    folder = write(tmp_path, {"atop_1": written(NAME, [*tomorrow, *PARTS])})
    assert told(folder) == [
        BOOTED,
        STARTED,
        (0, "time goes back", "unknown"),
        (TAKES, "atop ended", "unknown"),
        (TAKES, "gap", "atop off"),
        (DAY, "atop started", "restart"),
        (DAY + TAKES, "recording ends", "unknown"),
    ]


def closed(parts: Sequence[Part], seconds: int) -> list[Part]:
    """The same with a last sample that comes so long after the one before, as if atop were told to stop."""
    last = ticking(parts[-1], seconds / int(parts[-1].record["interval"][0]))
    return [*parts[:-1], last.with_fields(curtime=parts[-2].second + seconds, interval=seconds)]


def test_a_rotation(tmp_path: Path) -> None:
    today = closed(SLOW, 130)
    tomorrow = retimed(SLOW, lambda second: second + today[-1].second + 2 - T0)
    folder = write(tmp_path, {"atop_20261123": written(NAME, today), "atop_20261124": written(NAME, tomorrow)})
    assert told(folder) == [
        BOOTED,
        STARTED,
        (4330, "atop ended", "clean"),
        (4332, "atop started", "rotation"),
        (9132, "recording ends", "without a word"),
    ]


def daily(*days: int) -> dict[str, bytes]:
    """Logs of some days after the first."""
    return {
        f"atop_202611{23 + day}": written(NAME, retimed(PARTS, lambda second, day=day: second + day * DAY))  # type: ignore[misc]  # bound
        for day in days
    }


@pytest.mark.parametrize(
    ("days", "missing"),
    [((0, 1, 2), [None, None]), ((0, 1, 3), [None, "2026-11-25"]), ((0, 4), ["2026-11-24 to 2026-11-26"])],
    ids=["none", "one", "some"],
)
def test_missing_days(tmp_path: Path, days: Sequence[int], missing: list[str | None]) -> None:
    found = [each for each in events(write(tmp_path, daily(*days))) if each.gap_seconds is not None]
    assert [each.missing_days for each in found] == missing
    assert [each.recording_event for each in found] == ["days missing" if each else "gap" for each in missing]


def test_days_are_those_by_which_logs_are_named(tmp_path: Path) -> None:
    first_log, last_log = daily(0, 2).values()
    found = events(write(tmp_path, {"atop_20261123": first_log, "atop_20261124": last_log}))
    assert first("gap", found).missing_days is None


COPIES: dict[str, Callable[[], dict[str, list[Part]]]] = {
    "older copy": lambda: {"atop_1": PARTS[:5], "atop_1.bak": PARTS},
    "older copy, read later": lambda: {"atop_1": PARTS, "atop_2": PARTS[:5]},
    "parts": lambda: {"atop_1": PARTS[:5], "atop_2": PARTS[5:]},
    "parts, the last one first": lambda: {"atop_2": PARTS[:5], "atop_1": PARTS[5:]},
    "parts that overlap": lambda: {"atop_3": PARTS[:5], "atop_1": PARTS[3:7], "atop_2": PARTS[6:]},
}


@pytest.mark.parametrize("parts", COPIES.values(), ids=COPIES)
def test_copies_and_parts_of_a_log_are_one(tmp_path: Path, parts: Callable[[], dict[str, list[Part]]]) -> None:
    folder = write(tmp_path, {name: written(NAME, each) for name, each in parts().items()})
    assert told(folder) == [BOOTED, STARTED, ENDS]


def test_samples_that_only_one_log_lacks(tmp_path: Path) -> None:
    logs = {"atop_1": PARTS[:3] + PARTS[6:], "atop_1.bak": PARTS}
    folder = write(tmp_path, {name: written(NAME, each) for name, each in logs.items()})
    assert told(folder) == [BOOTED, STARTED, (4, "samples missing", "in this log only"), ENDS]
    assert str(first("samples missing", events(folder)).description).startswith("atop_1 has no sample up to ")


def test_a_boot_that_was_cut_out(tmp_path: Path) -> None:
    log, cuts = raw("debian-2.8.1-3boots"), offsets("debian-2.8.1-3boots")
    folder = write(tmp_path, {"atop_1": without(log, cuts[9], cuts[13])})
    found = [(_second(each), each.recording_event, each.reason) for each in events(folder)][2:6]
    assert found == [
        (1795405381, "samples missing", "cut out or lost"),
        (1795405397, "machine booted", "start of process 1"),
        (1795405509, "atop ended", "without a word"),
        (1795405509, "machine down", "without a word"),
    ]


def test_a_recording_beside_another(tmp_path: Path) -> None:
    other = retimed(PARTS, lambda second: second + 1000)
    folder = write(tmp_path, {"atop_1": written(NAME, SLOW), "atop_2": written(NAME, other)})
    assert told(folder) == [
        BOOTED,
        STARTED,
        (1000, "atop started", "beside another"),
        (1000 + TAKES, "recording ends", "unknown"),
        SLOW_ENDS,
    ]


def test_damage_explains_missing_samples(tmp_path: Path) -> None:
    log, begin, end = written(NAME, PARTS), *(len(written(NAME, PARTS[:number])) for number in (4, 6))
    folder = write(tmp_path, {"atop_1": without(log, begin, end, bytes(end - begin))})
    found = events(folder)
    assert [each.recording_event for each in found] == [*USUAL[:2], "samples missing", "damage", USUAL[2]]
    assert first("samples missing", found).reason == "damage"
    damage = first("damage", found)
    assert (_second(damage) - T0, damage.damage_offset, damage.damage_bytes) == (6, begin, end - begin)
    assert (damage.lost_samples, damage.gap_seconds) == (2, 6)


def another(log: bytes, place: slice, text: bytes) -> bytes:
    return log[: place.start] + text.ljust(place.stop - place.start, b"\0") + log[place.stop :]


CHANGES: dict[str, Callable[[list[Part]], bytes]] = {
    "host name": lambda parts: another(written(NAME, parts), NODENAME, b"web-2"),
    "kernel": lambda parts: another(written(NAME, parts), RELEASE, b"6.19"),
    "memory in bytes": lambda parts: written(NAME, [with_memory(parts[0], 2), *parts[1:]]),
}


@pytest.mark.parametrize(("name", "change"), CHANGES.items(), ids=CHANGES)
def test_what_changed_between_logs(tmp_path: Path, name: str, change: Callable[[list[Part]], bytes]) -> None:
    tomorrow = change(retimed(PARTS, lambda second: second + DAY))
    found = events(write(tmp_path, {"atop_20261123": written(NAME, PARTS), "atop_20261124": tomorrow}))
    (changed,) = (each for each in found if each.recording_event == "changed")
    assert (changed.changed_property, _second(changed) - T0) == (name, DAY)
    assert str(changed.description) == f"{name}: {changed.previous_value} before, {changed.value} from here on"


def test_hosts_that_share_a_folder_are_no_change(tmp_path: Path) -> None:
    other = another(written(NAME, PARTS), NODENAME, b"web-2")
    found = events(write(tmp_path, {"atop_20261123": written(NAME, PARTS), "atop_20261124": other}))
    assert "changed" not in {each.recording_event for each in found}


def test_a_log_that_ends_in_the_middle_of_a_sample(tmp_path: Path) -> None:
    folder = write(tmp_path, {"atop_1": raw("2.8.1")[:-100]})
    assert [each.recording_event for each in events(folder)] == [*USUAL[:2], "damage", "recording ends"]
