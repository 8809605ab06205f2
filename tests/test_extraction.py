"""Evidence in, timeline and report out; and the same from Python, as the README has it."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import atop_timeline
from atop_timeline import RawLog, extract, open_evidence
from atop_timeline.evidence import Problem, Wanted
from atop_timeline.rawlog import Damage
from atop_timeline.reading import LogReport
from atop_timeline.record import Remark

if TYPE_CHECKING:
    from atop_timeline.extraction import Progress

TEST_DATA = Path(__file__).parents[1] / "test_data"
SERVER = str(TEST_DATA / "server.E01")
T0 = 1_795_406_190  # 2.8.1 began then

Told = tuple[str, list[str], list[str], int, int | None, int | None, list[Damage]]


def log(name: str) -> str:
    return str(TEST_DATA / "logs" / name / "atop_raw")


def told(report: LogReport) -> Told:
    """All but the place."""
    return (
        report.file.path,
        report.hostnames,
        report.atop_versions,
        report.samples,
        report.first,
        report.last,
        report.damages,
    )


def test_one_log() -> None:
    made, report = extract([log("2.8.1")])
    made.close()
    assert [told(each) for each in report.logs] == [("atop_raw", ["lab-guest"], ["2.8"], 10, T0, T0 + 18, [])]
    assert (report.problems, report.repeated_samples, report.complete) == ([], 0, True)


def test_one_bad_source_does_not_hide_the_others(tmp_path: Path) -> None:
    noise, missing = tmp_path / "noise", tmp_path / "missing"
    noise.write_bytes(b"no log\n" * 100)
    made, report = extract([str(noise), log("2.8.1"), str(missing), log("torn-append-2.8.1")])
    made.close()
    assert [(each.hostnames, each.samples) for each in report.logs] == [(["lab-guest"], 10), (["lab-2-8-1"], 9)]
    assert [(each.where, each.serious) for each in report.problems] == [(str(noise), True), (str(missing), True)]
    assert report.problems[1].what == "No such file or directory"


def changed(name: str, at: int, value: bytes) -> bytes:
    data = Path(log(name)).read_bytes()
    return data[:at] + value + data[at + len(value) :]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        pytest.param(
            changed("2.8.1", 28, bytes(4))[:4000],
            "atop 2.8 writes rawrecord/tstat/sstat of 96/968/0 bytes, which no known atop does",
            id="sizes",
        ),
        pytest.param(changed("2.8.1", 0, b"")[:400], "rawheader: 400 bytes, atop writes 480", id="cut header"),
    ],
)
def test_a_log_that_cannot_be_read_does_not_hide_the_others(data: bytes, what: str, tmp_path: Path) -> None:
    (tmp_path / "atop_20261122").write_bytes(data)
    (tmp_path / "atop_20261123").write_bytes(changed("2.8.1", 0, b""))
    made, report = extract([str(tmp_path)])
    made.close()
    assert report.problems == [Problem(f"{tmp_path} atop_20261122", what, serious=True)]
    assert [(each.file.path, each.samples) for each in report.logs] == [("atop_20261123", 10)]
    assert not report.complete


def test_what_was_lost_of_a_log(tmp_path: Path) -> None:
    (tmp_path / "atop_1").write_bytes(changed("2.8.1", 0, b"")[:-1])
    made, report = extract([str(tmp_path)])
    made.close()
    what = "record at offset 63450: announces 4696 bytes behind it, 4695 are left"
    damaged = ("atop_1", ["lab-guest"], ["2.8"], 10, T0, T0 + 18, [Damage(63_450, 4791, 0, 1, what)])
    assert ([told(each) for each in report.logs], report.logs[0].parts, report.complete) == ([damaged], 1, False)


def test_events_tell_what_is_wrong_with_their_sample(tmp_path: Path) -> None:
    (tmp_path / "atop_1").write_bytes(changed("2.8.1", 0, b"")[:-1])
    with extract([str(tmp_path)]).timeline as made:
        caveats = {(each.offset, each.caveat) for each in made.events() if each.offset in (58_094, 63_450)}
    what = "damaged sample: the first 88 of 88 tasks, not proved by a checksum"
    assert caveats == {(58_094, ""), (63_450, what)}


def test_several_machines_in_one_log(tmp_path: Path) -> None:
    names = ["2.8.1", "debian-2.8.1-s390x", "odd-1.26"]
    (tmp_path / "atop_1").write_bytes(b"".join(Path(log(name)).read_bytes() for name in names))
    made, report = extract([str(tmp_path)])
    with made:
        found = {(each.hostname, each.atop_version) for each in made.events()}
    machines = {("lab-guest", "atop 2.8"), ("lab-bookworm-s390x", "atop 2.8"), ("lab-1-26", "atop 1.26")}
    assert (found, report.logs[0].samples, report.complete) == (machines, 29, True)


def test_a_log_without_its_header(tmp_path: Path) -> None:
    (tmp_path / "atop_1").write_bytes(changed("2.8.1", 0, b"")[480:])
    made, report = extract([str(tmp_path)])
    with made:
        found = {(each.hostname, each.caveat) for each in made.events()}
    what = "no readable header: read as atop 2.8, whose structures the samples have"
    assert (found, [each.samples for each in report.logs]) == ({("", what)}, [10])
    assert (report.problems, report.logs[0].remarks) == ([], [Remark(0, what, serious=True)])


def test_a_sample_without_tasks(tmp_path: Path) -> None:
    """A hostile or an odd one: atop itself always runs."""
    empty = changed("2.8.1", 480 + 16, bytes(12))[:576] + b"\x78\x9c\x03\0\0\0\0\x01"
    record = empty[:500] + (8).to_bytes(4, "little") + empty[504:508] + bytes(4) + empty[512:]
    (tmp_path / "atop_1").write_bytes(record)
    made, report = extract([str(tmp_path)])
    made.close()
    assert [told(each) for each in report.logs] == [("atop_1", ["lab-guest"], ["2.8"], 1, T0, T0, [])]


@pytest.mark.parametrize("name", ["1.26-a", "2.8.1", "2.13.0", "torn-append-2.8.1", "debian-2.8.1-s390x"])
def test_progress_goes_up_to_the_total(name: str) -> None:
    steps: list[Progress] = []
    extract([log(name), log("odd-2.8.1")], progress=steps.append).timeline.close()
    done, total = [each.done for each in steps], {each.total for each in steps}
    size = sum(Path(log(each)).stat().st_size for each in (name, "odd-2.8.1"))
    assert (done, done[-1], total) == (sorted(done), size, {size})
    assert steps[0].log.evidence == log(name)


def test_no_source_at_all() -> None:
    made, report = extract([])
    with made:
        assert (list(made.events()), report.logs, report.problems) == ([], [], [])


def test_further_places_of_logs(tmp_path: Path) -> None:
    (tmp_path / "srv").mkdir()
    (tmp_path / "srv" / "recording").write_bytes(changed("2.8.1", 0, b""))
    for log_paths, count in (((), 0), (("/srv/*",), 1)):
        made, report = extract([str(tmp_path)], Wanted(log_paths))
        made.close()
        assert len(report.logs) == count


def test_events_as_objects() -> None:
    with extract([log("2.8.1")]).timeline as made:
        killed = [each for each in made.events() if each.timestamp_desc == "Exit Time" and each.signal]
    assert [(each.date_time.CopyToDateTimeString(), each.signal, each.process, each.pid) for each in killed] == [
        ("2026-11-23 03:56:37.000000", 6, "fx_victim", 20106),
        ("2026-11-23 03:56:39.000000", 11, "fx_victim", 20101),
        ("2026-11-23 03:56:40.000000", 15, "fx_victim", 20099),
        ("2026-11-23 03:56:40.000000", 9, "fx_victim", 20095),
        ("2026-11-23 03:56:48.000000", 15, "fx_sleeper", 20077),
    ]


def test_an_event_has_all_attributes_of_the_timeline() -> None:
    with extract([log("2.8.1")]).timeline as made:
        event = next(made.events())
        names = {each.name for each in made.columns()}
    assert names < set(event.attributes)
    assert (event.data_type, event.timestamp_desc, event.hostname, event.exit_code) == (
        "linux:atop:process",
        "Start Time",
        "lab-guest",
        None,
    )


def test_an_unknown_attribute() -> None:
    with extract([log("2.8.1")]).timeline as made:
        event = next(made.events())
    with pytest.raises(AttributeError, match=r"^a linux:atop:process event has no colour$"):
        _ = event.colour


def test_the_steps_on_the_way() -> None:
    found = []
    for evidence in open_evidence([SERVER]):
        for file in evidence.logs():
            with file.open() as stream:
                samples = list(RawLog(stream).samples())
            found.append((file.path.rpartition("/")[2], len(samples), int(samples[0].tasks["gen"]["pid"][0])))
    assert found == [
        ("atop_20261117.gz", 10, 1),
        ("atop_20261118", 10, 1),
        ("atop_20261119", 10, 1),
        ("atop_20261120", 10, 1),
        ("atop_20261121", 10, 1),
        ("atop_20261122", 10, 1),
        ("atop_20261123", 10, 1),
    ]


def test_names_of_the_package() -> None:
    homes = {name: getattr(atop_timeline, name).__module__ for name in atop_timeline.__all__}
    assert homes == {name: f"atop_timeline.{module}" for name, module in atop_timeline._HOMES.items()}  # noqa: SLF001
    assert all(hasattr(importlib.import_module(module), name) for name, module in homes.items())


def test_a_name_that_the_package_does_not_have() -> None:
    with pytest.raises(AttributeError, match=r"^module atop_timeline has no attribute nothing$"):
        _ = atop_timeline.nothing
