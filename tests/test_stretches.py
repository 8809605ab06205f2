"""One log read by several, each a stretch of it: the same bytes and the same summary as by one."""

import gzip
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from atop_timeline import rawlog, stretches, workers
from atop_timeline.evidence import LogFile, Wanted, open_evidence
from atop_timeline.extraction import Progress, extract
from atop_timeline.rawlog import WHOLE
from atop_timeline.store import Room
from atop_timeline.stretches import stretches_of
from atop_timeline.workers import Workers, local
from tests.rawlogs import LOGS, offsets, raw, with_field, without
from tests.test_workers import Unreliable, outcome

THREADS = Workers(partial(ThreadPoolExecutor, 2), ahead=4, are_here=True, readers=3)


@pytest.fixture(name="eager")
def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small logs are shared as well."""
    for module in (stretches, workers):
        monkeypatch.setattr(module, "_LEAST_BYTES", 0)


def log_of(path: Path) -> LogFile:
    (file,) = open_evidence([str(path)])[0].logs()
    return file


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("name", ["1.26", "2.3.0", "2.13.0", "odd-2.10.0", "debian-2.8.1-3boots", "debian-2.8.1-s390x"])
def test_real_logs(name: str) -> None:
    evidence = [str(LOGS / name / "atop_raw")]
    assert outcome(evidence, THREADS) == outcome(evidence, None)


@pytest.mark.usefixtures("eager")
def test_what_others_do_not_give_is_read_here() -> None:
    evidence = [str(LOGS / "2.8.1" / "atop_raw")]
    given = replace(THREADS, start=Unreliable)
    assert (outcome(evidence, given), given.left) == (outcome(evidence, None), 1)


def damaged(share: float) -> bytes:
    """A log in which some bytes of a sample at about this share of it are others."""
    places = offsets("2.8.1")
    begin = next(place for place in places if place >= share * places[-1]) + 2000
    return without(raw("2.8.1"), begin, begin + 50, bytes(50))


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(damaged(0.1), id="damage in the first stretch"),
        pytest.param(damaged(0.5), id="damage in the second"),
        pytest.param(damaged(0.8), id="damage in the last"),
        pytest.param(raw("2.8.1")[:-1000], id="cut"),
        pytest.param(raw("2.8.1") + raw("2.9.0"), id="another header"),
        pytest.param(raw("2.8.1")[100:], id="no header"),
        pytest.param(with_field("2.8.1", 3, "pcomplen", 1 << 31), id="a record that leads beyond the log"),
        pytest.param(with_field("2.8.1", 3, "curtime", 0), id="a record without a time"),
        pytest.param(raw("2.8.1")[: offsets("2.8.1")[1]], id="one sample"),
    ],
)
def test_odd_logs(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "atop_20261123"
    path.write_bytes(data)
    assert outcome([str(path)], THREADS) == outcome([str(path)], None)


@pytest.mark.usefixtures("eager")
def test_all_stretches_are_read_elsewhere_but_the_first() -> None:
    evidence = [str(LOGS / "2.8.1" / "atop_raw")]
    given = local(Room(2_000_000_000, jobs=3))
    assert given
    assert len(stretches_of(log_of(Path(evidence[0])), given.readers)) == 3
    assert (outcome(evidence, given), given.left) == (outcome(evidence, None), 0)


@pytest.mark.usefixtures("eager")
def test_what_is_read_by_one(tmp_path: Path) -> None:
    packed = tmp_path / "atop_20261123.gz"
    packed.write_bytes(gzip.compress(raw("2.8.1")))
    image = str(LOGS.parent / "server.E01")
    (carved,) = (each for each in open_evidence([image], Wanted(carve=True))[0].logs() if each.is_carved)
    assert [stretches_of(each, 3) for each in (log_of(packed), carved)] == [[WHOLE], [WHOLE]]
    assert stretches_of(log_of(LOGS / "2.8.1" / "atop_raw"), 1) == [WHOLE]


@pytest.mark.usefixtures("eager")
def test_a_log_of_large_samples_is_read_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rawlog, "BLOCK_BYTES", 150_000)
    assert [len(stretches_of(log_of(LOGS / name / "atop_raw"), 3)) for name in ("2.8.1", "2.13.0")] == [1, 3]


def test_a_small_log_is_read_by_one() -> None:
    assert stretches_of(log_of(LOGS / "2.8.1" / "atop_raw"), 3) == [WHOLE]


@pytest.mark.usefixtures("eager")
def test_a_log_that_is_gone_before_its_rest_was_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "atop_20261123"
    path.write_bytes(raw("2.8.1"))

    def vanish(_: Progress) -> None:
        path.unlink(missing_ok=True)

    timeline, report = extract([str(path)], workers=replace(THREADS, start=Unreliable, readers=2), progress=vanish)
    timeline.close()
    (problem,) = report.problems
    assert (problem.where, "No such file" in problem.what, problem.serious) == (str(path), True, True)
    assert 0 < report.logs[0].samples < len(offsets("2.8.1")) - 1
    assert not report.complete


@pytest.mark.usefixtures("eager")
def test_progress_counts_a_log_once() -> None:
    steps = list[Progress]()
    path = LOGS / "2.8.1" / "atop_raw"
    extract([str(path)], workers=THREADS, progress=steps.append).timeline.close()
    assert {each.total for each in steps} == {path.stat().st_size}
    assert [each.done for each in steps] == sorted(each.done for each in steps)
    assert steps[-1].done == steps[-1].total
