"""What is behind damage, and behind headers that are lost: every intact sample, from real logs."""

import io
import random
from collections.abc import Callable

import pytest

from atop_timeline.header import RAWHEADER_BYTES
from atop_timeline.rawlog import Damage, RawLog
from atop_timeline.record import Remark
from tests.rawlogs import NAMES, contents, offsets, raw, read, rebuilt, samples, whole, with_field, with_header, without

MACHINES = [
    "1.26-a",
    "2.1",
    "2.8.1",
    "2.10.0",
    "2.13.0",
    "debian-2.8.1-i386",
    "debian-2.8.1-armhf",
    "debian-2.8.1-s390x",
]
NOISE = random.Random(1).randbytes(5000)


def whole_of(data: bytes) -> list[tuple[bytes, bytes]]:
    """The samples that are as atop wrote them."""
    return contents([each for each in samples(data)[0] if each.whole])


def except_for(name: str, *lost: int) -> list[tuple[bytes, bytes]]:
    return [each for number, each in enumerate(contents(whole(name))) if number not in lost]


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize(
    ("damage", "lost"),
    [
        pytest.param(lambda data, ends: without(data, ends[3] + 300, ends[4]), [3], id="torn"),
        pytest.param(lambda data, ends: without(data, ends[3] + 10, ends[4]), [3], id="torn in its record"),
        pytest.param(lambda data, ends: without(data, ends[3] + 9, ends[5] + 9, bytes(1000)), [3, 4, 5], id="zeros"),
        pytest.param(lambda data, ends: without(data, ends[3] + 9, ends[5] + 9, NOISE), [3, 4, 5], id="garbage"),
        pytest.param(lambda data, ends: without(data, ends[3], ends[3], NOISE), [], id="inserted"),
        pytest.param(lambda data, ends: without(data, ends[3], ends[4], bytes(ends[4] - ends[3])), [3], id="no sample"),
        pytest.param(lambda data, _: data + NOISE, [], id="garbage behind"),
        pytest.param(lambda data, ends: without(data, ends[0] + 9, ends[1]), [0], id="first"),
    ],
)
def test_intact_samples_before_and_behind(
    name: str, damage: Callable[[bytes, list[int]], bytes], lost: list[int]
) -> None:
    assert whole_of(damage(raw(name), offsets(name))) == except_for(name, *lost)


@pytest.mark.parametrize("name", MACHINES)
def test_any_flipped_byte_costs_one_sample_at_most(name: str) -> None:
    chance = random.Random(name)
    for _ in range(60):
        place = chance.randrange(RAWHEADER_BYTES, len(raw(name)))
        flipped = without(raw(name), place, place + 1, bytes([raw(name)[place] ^ 1 << chance.randrange(8)]))
        hit = sum(end <= place for end in offsets(name)) - 1
        missing = [each for each in except_for(name, hit) if each not in whole_of(flipped)]
        assert (place, missing) == (place, [])


@pytest.mark.parametrize("field", ["scomplen", "pcomplen", "ccomplen", "icomplen"])
@pytest.mark.parametrize("error", [-9, -1, 1, 9, 5000, 1 << 31])
def test_a_wrong_length_costs_no_other_sample(field: str, error: int) -> None:
    length = int(whole("2.13.0")[3].record[field])
    data = with_field("2.13.0", 3, field, max(length + error, 0))
    given, damages = samples(data)
    assert [each.tasks.tobytes() for each in given] == [each.tasks.tobytes() for each in whole("2.13.0")]
    assert (len(damages), damages[0].samples) == (1, 0)


def test_a_torn_log_that_was_appended_to() -> None:
    odd = whole("odd-2.8.1")
    given, damages = samples(raw("torn-append-2.8.1"))
    assert contents(given[:5]) == contents(odd[:5])
    assert [each.whole for each in given] == [*[True] * 5, False, *[True] * 3]
    what = "task list at offset 23659: does not inflate: Error -6 Incorrect checksum found"
    assert damages == [Damage(22_137, 2329, 0, 1, what)]


@pytest.mark.parametrize("begin", [12, 276, 470])
@pytest.mark.parametrize("before", ["", "1.26-a"])
def test_bytes_that_are_missing_in_a_header_cost_no_sample(begin: int, before: str) -> None:
    start = raw(before) if before else b""
    given, _ = samples(start + without(raw("2.8.1"), begin, begin + 10))
    assert contents(given[-10:]) == contents(whole("2.8.1"))


def test_lost_samples_are_counted_by_the_time_between() -> None:
    ends = offsets("2.8.1")
    data = without(raw("2.8.1"), ends[3], ends[6], bytes(100))
    assert samples(data)[1] == [Damage(ends[3], 100, 3, 0, "nothing but zeros")]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("filling", [b"", bytes(RAWHEADER_BYTES), NOISE], ids=["missing", "zeros", "garbage"])
def test_a_header_that_is_lost(name: str, filling: bytes) -> None:
    log = read(without(raw(name), 0, RAWHEADER_BYTES, filling))
    given, damages = samples(without(raw(name), 0, RAWHEADER_BYTES, filling))
    assert [each.tasks.tobytes() for each in given if each.whole] == [
        each.tasks.tobytes() for each in whole(name) if each.whole
    ]
    version = log.header.layout.version
    what = f"no readable header: read as atop {version}, whose structures the samples have"
    assert (log.header.hostname, log.remarks[0]) == ("", Remark(0, what, serious=True))
    assert [each.length for each in damages][: bool(filling)] == ([len(filling)] if filling else [])


@pytest.mark.parametrize("name", [name for name in NAMES if name != "torn-append-2.8.1"])
@pytest.mark.parametrize(
    ("field", "value"), [("magic", 0), ("tstatlen", 8208), ("sstatlen", 1), ("rawreclen", 0), ("rawreclen", 65_535)]
)
def test_a_header_that_is_damaged(name: str, field: str, value: int) -> None:
    log = read(with_header(name, field, value))
    assert whole_of(with_header(name, field, value)) == contents(whole(name))
    assert (log.header.hostname, log.header.layout) == (whole(name)[0].header.hostname, whole(name)[0].header.layout)
    version = log.header.layout.version
    what = f"damaged header: read as atop {version}, whose structures the samples have"
    assert (log.damages, log.remarks[0]) == ([], Remark(0, what, serious=True))


@pytest.mark.parametrize("hertz", [0, 1000])
def test_other_ticks_than_atop_ever_had(hertz: int) -> None:
    log = read(with_header("2.8.1", "hertz", hertz))
    assert log.remarks == [Remark(0, f"damaged header: hertz is {hertz}, read as 100", serious=True)]


@pytest.mark.parametrize("first", ["1.26-a", "2.8.1", "debian-2.8.1-s390x"])
@pytest.mark.parametrize("second", ["2.13.0", "2.8.1", "debian-2.8.1-i386", "debian-2.8.1-s390x"])
@pytest.mark.parametrize("torn", [0, 700])
def test_logs_one_behind_the_other(first: str, second: str, torn: int) -> None:
    begin = len(raw(first)) - torn
    log = read(raw(first)[:begin] + raw(second))
    both = contents(whole(first)[:-1] if torn else whole(first)) + contents(whole(second))
    assert whole_of(raw(first)[:begin] + raw(second)) == both
    header = whole(second)[0].header
    assert [each.layout for each in log.headers] == [whole(first)[0].header.layout, header.layout]
    what = f"another header: {header.hostname}, atop {header.release}"
    assert log.remarks[0] == Remark(begin, what, serious=False)


def test_a_log_without_its_header_behind_another() -> None:
    data = raw("2.8.1")[:-700] + raw("1.26-a")[RAWHEADER_BYTES:] + raw("2.13.0")
    assert whole_of(data) == contents(whole("2.8.1")[:-1] + whole("1.26-a") + whole("2.13.0"))
    assert [each.hostname for each in read(data).headers] == ["lab-guest", "", "lab-guest"]


@pytest.mark.parametrize("name", ["1.27-git8c9de7a", "2.8.1", "2.13.0", "debian-2.8.1-i386", "debian-2.8.1-s390x"])
@pytest.mark.parametrize("gen_offset", [0, 16])
def test_an_atop_that_is_not_known(name: str, gen_offset: int) -> None:
    data = rebuilt(name, 1400, gen_offset, 2_000_000, 0x8000 | 3 << 8)
    log, (given, damages) = read(data), samples(data)
    stable = ["tgid", "pid", "ppid", "ruid", "euid", "name", "state", "excode", "btime", "elaps", "cmdline", "nthrrun"]
    for field in stable:
        assert [each.tasks["gen"][field].tolist() for each in given] == [
            each.tasks["gen"][field].tolist() for each in whole(name)
        ]
    sizes = f"{len(given[0].record.tobytes())}/1400/2000000"
    what = f"structures of {sizes} bytes are of no known atop, and read only as far as they never changed"
    assert (damages, log.remarks) == ([], [Remark(0, f"unknown build of atop 3.0: {what}", serious=True)])
    assert "cpu" not in (given[0].tasks.dtype.names or ())


def test_an_atop_that_is_not_known_behind_a_header_of_one_that_is() -> None:
    data = raw("2.8.1") + rebuilt("2.13.0", 1400, 8, 2_000_000, 0x8000 | 3 << 8)
    log = RawLog(io.BytesIO(data))
    assert [len(each.tasks) for each in log.samples()] == [
        len(each.tasks) for name in ("2.8.1", "2.13.0") for each in whole(name)
    ]
    assert [each.atop_version for each in log.headers] == ["2.8", "3.0"]
