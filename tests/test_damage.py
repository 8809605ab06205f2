"""The damage table of the README, our side of it, for many versions and machines."""

import io
from functools import cache

import pytest

from atop_timeline.errors import WrongParser
from atop_timeline.header import RAWHEADER_BYTES
from atop_timeline.rawlog import RawLog
from tests.benchmarks.damages import KINDS, Kind, Log, first_difference, plain, read
from tests.rawlogs import LOGS, contents, whole

VERSIONS = ("1.26-a", "1.27-git8c9de7a", "2.1", "2.2", "2.2.6-a", "2.3.0", "2.7.1", "2.8.1", "2.10.0", "2.13.0")
MACHINES = ("debian-2.8.1-armhf", "debian-2.8.1-i386", "debian-2.8.1-s390x")

NO_LOG = {"empty file", "text file"}
NOTHING_TO_TELL = {"whole log", "one byte of the system-level data", "`gzip`"}

each_name = pytest.mark.parametrize("name", [*VERSIONS, *MACHINES])


@cache
def log_of(name: str) -> Log:
    return read(LOGS / name / "atop_raw")


def of(kinds: list[Kind]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("kind", kinds, ids=[kind.what for kind in kinds])


@each_name
@of([kind for kind in KINDS if kind.what not in NO_LOG])
def test_every_intact_sample_is_given_out(name: str, kind: Kind) -> None:
    data = plain(kind.damaged(log_of(name)))
    expected = [contents(whole(name))[number] for number in log_of(name).intact(data)]
    found = contents([sample for sample in RawLog(io.BytesIO(data)).samples() if sample.whole])
    assert [each for each in found if each in expected] == expected


@each_name
@of([kind for kind in KINDS if kind.what not in NO_LOG])
def test_the_place_of_a_damage_is_told(name: str, kind: Kind) -> None:
    data = plain(kind.damaged(log_of(name)))
    place = first_difference(data, log_of(name).data)
    log = RawLog(io.BytesIO(data))
    for _ in log.samples():
        pass
    told = [(each.offset, each.offset + each.length) for each in log.damages]
    told += [(each.offset, each.offset + RAWHEADER_BYTES) for each in log.remarks]
    assert any(begin <= place <= end for begin, end in told) == (kind.what not in NOTHING_TO_TELL)


@pytest.mark.parametrize("data", [b"", b"no atop log\n" * 100], ids=["empty", "text"])
def test_what_is_no_log(data: bytes) -> None:
    with pytest.raises(WrongParser):
        RawLog(io.BytesIO(data))
