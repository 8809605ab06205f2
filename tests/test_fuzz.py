"""Logs that are damaged at random: nothing intact is lost, every byte is accounted for, and nothing fails.

tests/fuzz has the mutations and what must hold, and a fuzzer that runs for hours on the same.
"""

import errno
import io
import os
import zlib
from itertools import accumulate
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from atop_timeline import extract, layout, plugins, recovery, texts
from atop_timeline.errors import WrongParser
from atop_timeline.plausible import plausible
from atop_timeline.rawlog import RawLog
from atop_timeline.record import Bytes
from atop_timeline.recovery import Recovery
from tests.fuzz import corpus, hostile
from tests.fuzz.compression import Member, check_compressed
from tests.fuzz.corpus import NAMES, all_pristine, chosen, header, small
from tests.fuzz.invariants import check, check_twice
from tests.fuzz.mutations import MUTATIONS, mutated
from tests.fuzz.timelines import check_timeline
from tests.servers import PACK

Plan = list[tuple[str, int]]

names = st.sampled_from(NAMES)
plans = st.lists(st.tuples(st.sampled_from(sorted(MUTATIONS)), st.integers(0, 2**32 - 1)), min_size=1, max_size=4)


def fails(reason: str) -> pytest.MarkDecorator:
    """A finding that is still open."""
    return pytest.mark.xfail(reason=reason, strict=True)


def repeatable(examples: int) -> settings:
    """The same examples in each run."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=examples, derandomize=True, deadline=None, database=None, suppress_health_check=slow)


def damaged(name: str, plan: Plan) -> bytes:
    data = small(name)
    for mutation, seed in plan:
        data = mutated(data, mutation, seed)
    return data


@repeatable(300)
@hypothesis.given(st.binary(max_size=2000))
def test_any_bytes(data: bytes) -> None:
    check(data, ())


@repeatable(300)
@hypothesis.given(names, st.binary(max_size=2000))
def test_any_bytes_behind_a_header(name: str, data: bytes) -> None:
    check(header(name) + data, ())


@repeatable(800)
@hypothesis.given(names, plans)
def test_damaged_logs(name: str, plan: Plan) -> None:
    data = damaged(name, plan)
    check(data, all_pristine())
    check_twice(data)


@pytest.mark.parametrize("mutation", sorted(MUTATIONS))
def test_each_kind_of_damage(mutation: str) -> None:
    for seed, name in enumerate(NAMES[::3]):
        check(mutated(small(name), mutation, seed), all_pristine())


@repeatable(8)
@hypothesis.given(st.lists(st.tuples(names, plans), min_size=1, max_size=2))
def test_timelines_of_damaged_logs(tmp_path_factory: pytest.TempPathFactory, logs: list[tuple[str, Plan]]) -> None:
    folder = tmp_path_factory.mktemp("timelines")
    evidence = folder / "evidence"
    evidence.mkdir()
    for number, (name, plan) in enumerate(logs):
        (evidence / f"atop_{number}").write_bytes(damaged(name, plan))
    check_timeline(evidence, folder)


# What was found. Each of these went wrong once.


def given(data: bytes) -> list[tuple[int, str]]:
    """Offset and machine of each whole sample."""
    return [(each.offset, each.header.hostname) for each in RawLog(io.BytesIO(data)).samples() if each.whole]


@pytest.mark.parametrize("missing", [1, 8, 96, 300])
def test_a_sample_behind_a_header_that_lacks_its_end(missing: int) -> None:
    first, second, *_ = chosen("2.8.1")
    head = header("2.8.1")[:-missing]
    expected = [(len(head), "lab-guest"), (len(head) + len(first.data), "lab-guest")]
    assert given(head + first.data + second.data) == expected


@fails("a first header is known by 4 bytes, not by 12")
@pytest.mark.parametrize("left", [4, 11])
def test_a_sample_behind_the_magic_alone(left: int) -> None:
    assert given(header("2.8.1")[:left] + chosen("2.8.1")[0].data) == [(left, "")]


@pytest.mark.parametrize("missing", [1, 300])
def test_a_sample_behind_a_second_header_that_lacks_its_end(missing: int) -> None:
    data = small("2.3.0") + header("2.8.1")[:-missing]
    assert given(data + chosen("2.8.1")[0].data)[-1] == (len(data), "lab-guest")


def test_a_machine_whose_name_the_header_lacks() -> None:
    assert given(header("2.8.1")[:80] + chosen("2.8.1")[0].data) == [(80, "")]


def test_samples_belong_to_the_header_before_others_without_one() -> None:
    (mine, more, *_), (other, *_) = chosen("2.8.1"), chosen("debian-2.8.1-s390x")
    data = header("2.8.1") + mine.data + other.data + more.data
    assert [hostname for _, hostname in given(data)] == ["lab-guest", "", "lab-guest"]


def test_an_empty_sample_belongs_to_the_header_before_others_without_one() -> None:
    (mine, *_), (other, *_) = chosen("2.8.1"), chosen("debian-2.8.1-s390x")
    empty = hostile.sample(zlib.compress(bytes(1_021_960)), zlib.compress(b""), 0)
    data = header("2.8.1") + mine.data + other.data
    assert (len(data), "lab-guest") in given(data + empty)


def test_intact_samples_between_many_damaged_ones() -> None:
    """In a log of 9 MB whose every 700th sample was intact, one of these was lost."""
    damaged, intact = bytearray(chosen("debian-2.8.1-s390x")[0].data), chosen("debian-2.8.1-s390x")[1].data
    damaged[-1] ^= 1
    data = header("debian-2.8.1-s390x") + (damaged * 700 + intact) * 3
    assert sum(len(each.tasks) == 6 for each in RawLog(io.BytesIO(data)).samples() if each.whole) == 3


def test_intact_samples_behind_records_that_lie() -> None:
    """Behind 6 KB of these, nothing of a small log was found."""
    lie = hostile.record(ndeviat=1, scomplen=20_000, pcomplen=1000) + b"\x78\x9c"
    samples = b"".join(each.data for each in corpus.pristine("2.8.1"))
    assert len(given(header("2.8.1") + b"damage" + lie * 60 + samples)) == 10


class BadSector(io.BytesIO):
    """A log of which 512 bytes cannot be read."""

    def __init__(self, data: bytes, begin: int) -> None:
        super().__init__(data)
        self._bad = range(begin, begin + 512)

    def read(self, size: int | None = -1, /) -> bytes:
        """The same, or an error."""
        begin = self.tell()
        data = super().read(size)
        if begin < self._bad.stop and self._bad.start < begin + len(data):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return data


def test_samples_near_a_bad_sector() -> None:
    samples = corpus.pristine("2.8.1")
    offsets = list(accumulate((len(each.data) for each in samples), initial=480))
    stream = BadSector(header("2.8.1") + b"".join(each.data for each in samples), offsets[2] - 2000)
    found = [each.offset for each in RawLog(stream).samples() if each.whole]
    assert found == [offsets[0], *offsets[2:-1]]


def test_a_task_list_of_no_known_atop_is_not_looked_through_over_and_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Took 30 s for a log of 96 KB."""
    looked_at = []

    def counting(tasks: NDArray[np.void], second: int) -> NDArray[np.bool_]:
        looked_at.append(len(tasks))
        return plausible(tasks, second)

    monkeypatch.setattr(recovery, "plausible", counting)
    with pytest.raises(WrongParser):
        RawLog(io.BytesIO(hostile.of_no_known_atop(2000, bytes(1000))))
    assert sum(looked_at) < 4 * 2000


def test_structures_are_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Took 25 ms for each sample of 120 bytes."""
    data = hostile.of_no_known_atop(1, bytes(1000)) * 20
    check(data, ())
    monkeypatch.setattr(layout, "cstruct", None)
    check(data, ())


def test_records_that_share_a_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    """Took 1 s for 68 KB, and as much more for each further record of a kilobyte."""
    inflated = []
    whole = Recovery._whole  # noqa: SLF001  the only place where it is known

    def counting(*arguments: Any) -> bytes | None:  # noqa: ANN401  handed on
        data = whole(*arguments)
        inflated.append(len(data or b""))
        return data

    monkeypatch.setattr(Recovery, "_whole", counting)
    data = hostile.nested(60, 1 << 24)
    with pytest.raises(WrongParser):
        RawLog(io.BytesIO(data))
    assert sum(inflated) < (1 << 27) + 1032 * len(data) + (1 << 24)


def test_records_that_share_a_bomb_whose_checksum_is_wrong() -> None:
    """Took as long."""
    data = bytearray(hostile.nested(60, 1 << 24))
    data[-1] ^= 1
    search = Recovery(Bytes(io.BytesIO(data)))
    with pytest.raises(WrongParser):
        search.first_header()
    assert search.budget.exhausted


def test_records_behind_many_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Took 30 s for a log of 5 MB: 10,000 headers, then 4,000 records."""
    compared = []
    is_of = recovery._is_of  # noqa: SLF001  the only place where it is known

    def counting(*arguments: Any) -> bool:  # noqa: ANN401  handed on
        compared.append(arguments)
        return is_of(*arguments)

    monkeypatch.setattr(recovery, "_is_of", counting)
    data = header("2.8.1") * 100 + b"damage" + hostile.of_no_known_atop(1, bytes(1000)) * 100
    check(data, ())
    assert len(compared) < 1000


def test_a_sample_of_many_texts(tmp_path: Path) -> None:
    """A log of 500 KB; also with letters only, from 100,000 tasks on, 1.6 MB."""
    evidence = tmp_path / "atop_1"
    evidence.write_bytes(hostile.of_many_texts(25_000))
    with extract([str(evidence)]).timeline as made, (tmp_path / "out.csv").open("wb") as stream:
        assert (
            plugins.formatters()["timesketch"].write(made, stream) == 75_003
        )  # starts, observations, ends; the recording


@fails("only once it is looked back for a member in a damaged one")
def test_a_member_in_which_two_damaged_ones_end() -> None:
    """zstd: frames whose first block, not compressed, is said to be longer than what is left of it."""
    torn = [b"\x28\xb5\x2f\xfd\0\0" + (size << 3).to_bytes(3, "little") for size in (300, 200)]
    intact = Member(PACK["zstd"](small("2.8.1")), small("2.8.1"))
    check_compressed(b"".join(torn) + intact.packed, "zstd", [intact])


@pytest.mark.parametrize("character", ["\u180e", "\U000e0041", "\u115f", "\u3164"], ids=ascii)
def test_invisible_characters_are_shown(character: str) -> None:
    assert texts.decode(f"a{character}b".encode()) != f"a{character}b"
