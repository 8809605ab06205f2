"""Raw logs of each version and machine, whole, torn and hostile."""

import io
import os
import shutil
import subprocess
import tracemalloc
import zlib
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from atop_timeline import blocks
from atop_timeline.errors import UnknownLayout, WrongParser
from atop_timeline.header import RAWHEADER_BYTES
from atop_timeline.rawlog import Damage, RawLog
from atop_timeline.record import LAST_SECOND, Remark
from tests.rawlogs import (
    LOGS,
    NAMES,
    contents,
    offsets,
    raw,
    read,
    samples,
    whole,
    with_field,
    with_header,
    with_task_list,
    without,
)


@pytest.mark.parametrize(
    ("name", "version", "abi", "sample_count", "task_count"),
    [
        ("1.26-a", "1.26", "x86-64", 10, 958),
        ("1.27-git8c9de7a", "1.27", "x86-64", 10, 412),
        ("2.0.1", "2.0", "x86-64", 10, 462),
        ("2.1", "2.1", "x86-64", 10, 358),
        ("2.10.0", "2.10", "x86-64", 10, 1094),
        ("2.11.1", "2.11", "x86-64", 10, 1109),
        ("2.12.1", "2.12", "x86-64", 10, 1078),
        ("2.13.0", "2.13", "x86-64", 10, 1037),
        ("2.13.0-RW", "2.13", "x86-64", 10, 1071),
        ("2.2", "2.2", "x86-64", 10, 440),
        ("2.2-3", "2.2.3", "x86-64", 10, 459),
        ("2.2.6-a", "2.2.3", "x86-64", 10, 1118),
        ("2.3.0", "2.3", "x86-64", 10, 1090),
        ("2.4.0-acctd", "2.4", "x86-64", 10, 1086),
        ("2.6.0", "2.6", "x86-64", 10, 1078),
        ("2.7.1", "2.7", "x86-64", 10, 1093),
        ("2.8.1", "2.8", "x86-64", 10, 1087),
        ("2.9.0", "2.9", "x86-64", 10, 1078),
        ("atopcat-2.8.1", "2.8", "x86-64", 19, 1436),
        ("debian-2.8.1-3boots", "2.8", "x86-64", 37, 3410),
        ("debian-2.8.1-armhf", "2.8", "armhf", 10, 359),
        ("debian-2.8.1-i386", "2.8", "i386", 10, 343),
        ("debian-2.8.1-s390x", "2.8", "s390x", 10, 374),
        ("odd-1.26", "1.26", "x86-64", 9, 170),
        ("odd-2.10.0", "2.10", "x86-64", 9, 343),
        ("odd-2.13.0", "2.13", "x86-64", 9, 350),
        ("odd-2.3.0", "2.3", "x86-64", 9, 349),
        ("odd-2.8.1", "2.8", "x86-64", 9, 349),
    ],
)
def test_each_version_and_machine(name: str, version: str, abi: str, sample_count: int, task_count: int) -> None:
    log = RawLog(io.BytesIO(raw(name)))
    counts = [len(each.tasks) for each in log.samples()]
    layout = log.header.layout
    found = (layout.version, layout.abi.name, len(counts), sum(counts), log.damages, log.remarks)
    assert found == (version, abi, sample_count, task_count, [], [])


def test_what_a_log_says_of_itself() -> None:
    log = RawLog(io.BytesIO(raw("debian-2.8.1-s390x")))
    header = log.header
    assert (header.hostname, header.version, header.atop_version, header.caveat, log.size, dict(log.users)) == (
        "lab-bookworm-s390x",
        (2, 8),
        "2.8",
        "",
        35044,
        {},
    )


def test_samples_lie_one_behind_the_other() -> None:
    assert offsets("2.8.1") == [480, 5612, 9939, 14475, 19695, 26413, 43144, 51969, 58094, 63450, 68242]


def test_samples_can_be_read_again() -> None:
    log = RawLog(io.BytesIO(raw("2.8.1")[:-1]))
    first, damages = [each.digest for each in log.samples()], list(log.damages)
    assert ([each.digest for each in log.samples()], log.damages) == (first, damages)
    assert len(damages) == 1


@pytest.mark.parametrize(
    ("cut", "damage"),
    [
        pytest.param(481, Damage(480, 1, 1, 0, "record at offset 480: 96 bytes expected, 1 found"), id="first record"),
        pytest.param(
            600,
            Damage(480, 120, 1, 0, "record at offset 480: announces 5036 bytes behind it, 24 are left"),
            id="first blob",
        ),
        pytest.param(5613, Damage(5612, 1, 1, 0, "record at offset 5612: 96 bytes expected, 1 found"), id="first byte"),
        pytest.param(
            5707, Damage(5612, 95, 1, 0, "record at offset 5612: 96 bytes expected, 95 found"), id="last of record"
        ),
        pytest.param(
            5708,
            Damage(5612, 96, 1, 0, "record at offset 5612: announces 4231 bytes behind it, 0 are left"),
            id="behind a record",
        ),
        pytest.param(
            68_241,
            Damage(63_450, 4791, 0, 1, "record at offset 63450: announces 4696 bytes behind it, 4695 are left"),
            id="last byte",
        ),
    ],
)
def test_a_cut_is_told_with_its_place(cut: int, damage: Damage) -> None:
    assert samples(raw("2.8.1")[:cut])[1] == [damage]


@pytest.mark.parametrize("name", ["1.26-a", "2.8.1", "2.13.0", "debian-2.8.1-i386", "debian-2.8.1-s390x"])
def test_samples_before_a_cut_are_kept(name: str) -> None:
    ends = offsets(name)
    for cut in range(RAWHEADER_BYTES + 1, len(raw(name)), 997):
        kept, damages = samples(raw(name)[:cut])
        before = sum(end <= cut for end in ends[1:])
        assert contents(kept[:before]) == contents(whole(name)[:before])
        assert all(not each.whole for each in kept[before:])
        assert [(each.offset, each.length) for each in damages] == [(ends[before], cut - ends[before])]


def test_header_only() -> None:
    assert samples(raw("2.8.1")[:RAWHEADER_BYTES]) == ([], [Damage(480, 0, 0, 0, "header only, no sample behind it")])


def test_zeros_behind_the_last_sample() -> None:
    kept, damages = samples(raw("2.8.1") + bytes(4096))
    assert (len(kept), damages) == (10, [Damage(68_242, 4096, 0, 0, "nothing but zeros")])


def test_a_time_that_goes_back() -> None:
    log = read(raw("2.8.1") + raw("2.8.1")[RAWHEADER_BYTES:])
    assert log.remarks == [Remark(68_242, "time goes back by 18 s", serious=False)]


def test_a_sample_that_was_taken_out() -> None:
    _, first, second, *_ = offsets("2.8.1")
    log = read(without(raw("2.8.1"), first, second))
    what = "4 s behind the sample before, but says 2 s: samples are missing or times wrong"
    assert (log.damages, log.remarks) == ([], [Remark(first, what, serious=True)])


@pytest.mark.parametrize("bit", [4, 12, 20, 36])
def test_a_sample_whose_time_is_wrong_says_so(bit: int) -> None:
    time = int(whole("2.8.1")[4].record["curtime"]) ^ 1 << bit
    given, _ = samples(with_field("2.8.1", 4, "curtime", time))
    assert [bool(each.caveat) for each in given] == [number in (4, 5) for number in range(10)]


def test_the_same_bytes_read_twice_tell_the_same() -> None:
    log = RawLog(io.BytesIO(without(raw("2.8.1"), 20_000, 30_000) + raw("2.9.0")))
    told = [(contents(list(log.samples())), log.headers, log.damages, log.remarks) for _ in range(2)]
    assert told[0] == told[1]


def test_a_sample_without_tasks() -> None:
    (only,), damages = samples(with_task_list(0, zlib.compress(b"")))
    assert (only.tasks.shape, damages) == ((0,), [])


@pytest.mark.parametrize("time", [1, LAST_SECOND])
def test_times_that_a_sample_may_have(time: int) -> None:
    kept, damages = samples(with_field("2.8.1", 1, "curtime", time))
    assert (int(kept[1].record["curtime"]), damages) == (time, [])


MOST = 2**32 - 1
BEHIND = 68_242 - 5612 - 96


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("curtime", 0, "record at offset 5612: time 0 is no second of the years to 9999"),
        ("curtime", -1, "record at offset 5612: time -1 is no second of the years to 9999"),
        (
            "curtime",
            LAST_SECOND + 1,
            "record at offset 5612: time 253402300800 is no second of the years to 9999",
        ),
        ("scomplen", MOST, f"record at offset 5612: announces {MOST + 2940} bytes behind it, {BEHIND} are left"),
        ("pcomplen", MOST, f"record at offset 5612: announces {MOST + 1291} bytes behind it, {BEHIND} are left"),
        ("pcomplen", 2941, "task list at offset 6999: ends 1 bytes before it should"),
        ("ndeviat", MOST, f"task list at offset 6999: {MOST} tasks in 2940 bytes are not possible"),
        ("ndeviat", 2**31, f"task list at offset 6999: {2**31} tasks in 2940 bytes are not possible"),
        ("ndeviat", 1, "task list at offset 6999: 1 tasks in 2940 bytes are not possible"),
        ("ndeviat", 81, "task list at offset 6999: 78408 bytes expected, inflates to 77440 bytes"),
        ("ndeviat", 79, "task list at offset 6999: 76472 bytes expected, inflates to 76473 bytes and no end"),
        ("pcomplen", 0, "task list at offset 6999: 80 tasks in 0 bytes are not possible"),
    ],
)
def test_a_record_that_atop_did_not_write(field: str, value: int, what: str) -> None:
    kept, damages = samples(with_field("2.8.1", 1, field, value))
    intact = [each for number, each in enumerate(whole("2.8.1")) if number != 1]
    assert contents([each for each in kept if each.whole]) == contents(tuple(intact))
    assert [(each.offset, each.length, each.what) for each in damages] == [(5612, 9939 - 5612, what)]


@cache
def bomb() -> bytes:
    return zlib.compress(bytes(1 << 28), 9)


_SALVAGED_BYTES = 120 << 20


@pytest.mark.parametrize("count", [0, 1, 103_991, 103_992, MOST])
def test_a_bomb_inflates_to_what_its_record_announces(count: int) -> None:
    """103,991 tasks of 968 bytes are the most that is believed, 96 MiB; and never more than a stream can hold."""
    data = with_task_list(count, bomb())
    announced = count * 968 if count <= 103_991 else 0
    tracemalloc.start()
    kept, damages = samples(data)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (kept, len(damages)) == ([], 1)
    assert most < max(announced, _SALVAGED_BYTES) + 4 * len(data)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        pytest.param(b"", "rawheader: starts with nothing, atop writes 0xfeedbeef", id="empty"),
        pytest.param(b"\x1f\x8b\x08\0", "rawheader: starts with 1f8b0800, atop writes 0xfeedbeef", id="gzip"),
        pytest.param(b"\xef\xbe\xed", "rawheader: starts with efbeed, atop writes 0xfeedbeef", id="half a magic"),
        pytest.param(raw("2.8.1")[:479], "rawheader: 479 bytes, atop writes 480", id="cut header"),
        pytest.param(bytes(4096), "rawheader: starts with 00000000, atop writes 0xfeedbeef", id="zeros"),
    ],
)
def test_not_a_raw_log(data: bytes, what: str) -> None:
    with pytest.raises(WrongParser) as raised:
        RawLog(io.BytesIO(data))
    assert str(raised.value) == what


def test_a_header_that_no_sample_explains() -> None:
    with pytest.raises(UnknownLayout) as raised:
        RawLog(io.BytesIO(with_header("2.8.1", "tstatlen", 840)[:1000]))
    expected = "atop 2.8 writes rawrecord/tstat/sstat of 96/840/1021960 bytes, which no known atop does"
    assert str(raised.value) == expected


def test_a_stream_that_fails() -> None:
    descriptor = os.open(LOGS / "2.8.1" / "atop_raw", os.O_RDONLY)
    log = RawLog(open(descriptor, "rb", buffering=0, closefd=False))  # noqa: SIM115  its descriptor is closed under it
    reading = log.samples()
    next(reading)
    os.close(descriptor)
    what = "record at offset 5612: cannot be read: [Errno 9] Bad file descriptor"
    assert (list(reading), log.damages[0]) == ([], Damage(5612, 68_242 - 5612, 0, 0, what))


def of_blocks(log: RawLog) -> Iterator[tuple[object, ...]]:
    """Number, offset, digest, record and tasks of each sample."""
    for block in log.blocks():
        ends = np.searchsorted(block.sample, np.arange(len(block.records)), "right")
        for index, (begin, end) in enumerate(pairwise([0, *ends])):
            number, offset, digest = block.first + index, block.offsets[index], block.digests[index]
            yield number, offset, digest, str(block.records[index]), block.tasks.take(block.which[begin:end]).tobytes()


@pytest.mark.skipif(shutil.which("atopconvert") is None, reason="atopconvert is not installed")
@pytest.mark.parametrize("name", ["2.3.0", "2.6.0", "2.7.1"])
def test_a_log_that_atop_converted(name: str, tmp_path: Path) -> None:
    command = ["atopconvert", str(LOGS / name / "atop_raw"), str(tmp_path / "atop_raw")]
    subprocess.run(command, check=True, capture_output=True)
    converted, damages = samples((tmp_path / "atop_raw").read_bytes())
    assert (converted[0].header.layout.version != whole(name)[0].header.layout.version, damages) == (True, [])
    for field in ("pid", "ppid", "ruid", "name", "cmdline", "state", "excode", "btime", "elaps"):
        assert [each.tasks["gen"][field].tolist() for each in converted] == [
            each.tasks["gen"][field].tolist() for each in whole(name)
        ]


@pytest.mark.parametrize(("block_bytes", "large"), [(1, 1), (200_000, 200_000), (200_000, 1 << 24), (1 << 24, 1 << 24)])
@pytest.mark.parametrize("name", NAMES)
def test_blocks_hold_the_samples(name: str, block_bytes: int, large: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(blocks, "_LARGE_BLOCK_BYTES", large)
    assert list(of_blocks(RawLog(io.BytesIO(raw(name))))) == [
        (number, each.offset, each.digest, str(each.record), each.tasks.tobytes())
        for number, each in enumerate(samples(raw(name))[0])
    ]


@pytest.mark.parametrize("name", NAMES)
def test_blocks_have_what_repeats_once(name: str) -> None:
    for block in RawLog(io.BytesIO(raw(name))).blocks():
        different = {block.tasks[each : each + 1].tobytes() for each in range(len(block.tasks))}
        assert len(different) <= len(block.tasks) < 1.1 * len(different)  # not what comes back to how it was before


def test_the_same_sample_of_another_machine_is_another_one() -> None:
    moved = raw("2.8.1")[:101] + b"web2".ljust(65, b"\0") + raw("2.8.1")[166:]
    digests = [{each.digest for each in samples(data)[0]} for data in (raw("2.8.1"), moved)]
    assert (len(digests[0]), digests[0] & digests[1]) == (10, set())
