"""Logs that are grown for benchmarks show what was put into them, to ours and to atop."""

import io
from itertools import pairwise
from pathlib import Path

import pytest

from atop_timeline import extract
from atop_timeline.rawlog import RawLog
from tests.benchmarks.converted import convert
from tests.benchmarks.crowded import Crowd, crowded
from tests.benchmarks.grown import Counts, Growth, counted, write
from tests.benchmarks.patterns import Pattern
from tests.rawlogs import NAMES, raw, samples
from tests.tools import printed

SMALL = Growth(samples=8, processes=200, churn=20)
VERSIONS = ("1.26", "1.27-git8c9de7a", "2.2.6-a", "2.3.0", "2.8.1", "debian-2.8.1-i386", "debian-2.8.1-s390x", "2.13.0")
CHANGED_ONLY = {"1.26", "1.27-git8c9de7a", "2.0.1", "2.1", "2.2", "2.2-3", "odd-1.26"}
"""Logs of early versions without -a: what did not change is not in them."""


def grown(name: str, growth: Growth = SMALL) -> tuple[bytes, Counts]:
    stream = io.BytesIO()
    counts = write(Pattern(raw(name)), growth, stream)
    return stream.getvalue(), counts


def told(folder: Path, *logs: bytes) -> tuple[list[int], bool]:
    """How many processes the timeline of logs shows alive, begins and ends, and whether all could be read."""
    paths = [folder / f"atop_{number}" for number in range(len(logs))]
    for path, log in zip(paths, logs, strict=True):
        path.write_bytes(log)
    made, report = extract([str(path) for path in paths])
    with made:
        counts = {each.name: made.count(each) for each in made.types}
    return [counts[name] for name in ("observations", "starts", "exits", "changes")], report.complete


@pytest.mark.parametrize("name", VERSIONS)
def test_the_timeline_has_what_was_put_in(name: str, tmp_path: Path) -> None:
    log, counts = grown(name)
    assert (counts.samples, counts.observations, counts.starts, counts.exits) == (8, 8 * 204, 200 + 4 + 7 * 20, 7 * 20)
    assert told(tmp_path, log) == ([*counts[2:], 0], True)


def test_a_log_goes_on_where_the_one_before_ended(tmp_path: Path) -> None:
    (first, one), (second, two) = (grown("2.8.1", SMALL._replace(first=number)) for number in (0, SMALL.samples))
    shown = [one.observations + two.observations, one.starts + two.starts - SMALL.processes, one.exits + two.exits, 0]
    assert told(tmp_path, first, second) == (shown, True)


@pytest.mark.parametrize("name", ["1.26", "2.8.1", "2.13.0"])
def test_most_tasks_stay_as_they_are(name: str) -> None:
    found = [[bytes(task) for task in each.tasks] for each in samples(grown(name, Growth(samples=6))[0])[0][1:]]
    shares = [len({*one} & {*other}) / len(other) for one, other in pairwise(found)]
    assert 0.9 < min(shares) <= max(shares) < 0.94


def test_the_same_bytes_each_time() -> None:
    assert grown("2.13.0") == grown("2.13.0")
    assert grown("2.13.0") != grown("2.13.0", SMALL._replace(seed=1))


@pytest.mark.parametrize("apart", [0, 1])
@pytest.mark.parametrize("name", ["2.3.0", "2.8.1", "debian-2.8.1-s390x", "2.13.0"])
def test_nothing_repeats_in_a_crowd(name: str, apart: int, tmp_path: Path) -> None:
    log = b"".join(crowded(Pattern(raw(name)), Crowd(processes=50, letters=20, apart=apart)))
    assert told(tmp_path, log) == ([150, 50, 0, 100], True)


def test_atop_prints_as_many_tasks(tmp_path: Path) -> None:
    log, counts = grown("2.8.1")
    (tmp_path / "grown").write_bytes(log)
    if b"Version: 2.8.1 " not in printed("atop", "-V", tmp_path / "grown"):
        pytest.skip("atop reads logs of its own version only")
    rows = printed("atop", "-P", "PRG", "-r", tmp_path / "grown").splitlines()
    assert sum(row.startswith(b"PRG ") for row in rows) == counts.tasks


@pytest.mark.parametrize("name", [name for name in NAMES if name not in CHANGED_ONLY])
def test_records_count_as_atop_does(name: str) -> None:
    for sample in filter(lambda each: each.whole, samples(raw(name))[0]):
        counts = counted(sample.tasks)
        names = counts.keys() & set(sample.record.dtype.names or ())
        assert {each: int(sample.record[each]) for each in names} == {each: counts[each] for each in names}


def test_what_cannot_be_grown() -> None:
    begin = samples(raw("2.8.1"))[0][1].offset
    with pytest.raises(ValueError, match="nobody who came"):
        Pattern(raw("2.8.1")[:begin])


@pytest.mark.parametrize("like", ["2.7.1", "2.12.1", "debian-2.8.1-s390x"])
@pytest.mark.parametrize("name", ["1.26", "2.8.1", "2.13.0"])
def test_converted_logs_tell_the_same(name: str, like: str, tmp_path: Path) -> None:
    log, counts = grown(name)
    stream = io.BytesIO()
    convert(RawLog(io.BytesIO(log)), raw(like), stream)
    assert told(tmp_path, stream.getvalue()) == ([*counts[2:], 0], True)
