"""Samples of deleted logs in any bytes: each intact one, none that is not in a log, and whose they are."""

import io
import random
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atop_timeline.carving import Carving
from atop_timeline.header import RAWHEADER_BYTES
from atop_timeline.rawlog import Damage
from atop_timeline.record import Remark, Sample
from tests import disks
from tests.rawlogs import NAMES, changed, contents, offsets, raw, whole, with_header

NOISE = random.Random(1).randbytes(1 << 16)
BLOCK = 4096
MIB = 1 << 20
OTHERS = [name for name in NAMES if not name.startswith(("atopcat", "torn"))]
"""Logs whose samples are in no other one."""


def carved(data: bytes, *skip: tuple[int, int]) -> tuple[list[Sample], Carving]:
    carving = Carving(io.BytesIO(data), skip=skip)
    return list(carving.samples()), carving


def hosts(some: list[Sample]) -> list[str]:
    return [each.header.hostname for each in some]


def named(name: str, host: bytes) -> bytes:
    """A log of a machine with another name."""
    return raw(name)[:101] + host.ljust(65, b"\0") + raw(name)[166:]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("before", [0, 1, 511, MIB - 100, MIB + 1])
def test_a_log_in_other_bytes(name: str, before: int) -> None:
    found, carving = carved(bytes(before) + raw(name) + NOISE)
    assert contents(found) == contents(whole(name))
    assert [each.digest for each in found] == [each.digest for each in whole(name)]
    assert [each.offset - before for each in found if each.whole] == [each.offset for each in whole(name) if each.whole]
    assert (carving.damages, carving.position) == ([], carving.size)


@pytest.mark.parametrize("name", OTHERS)
def test_samples_before_the_only_header(name: str) -> None:
    found, carving = carved(raw(name)[RAWHEADER_BYTES:] + NOISE + raw(name)[:RAWHEADER_BYTES])
    assert [each.digest for each in found] == [each.digest for each in whole(name)]
    header, of = whole(name)[0].header, len(raw(name)) - RAWHEADER_BYTES + len(NOISE)
    caveat = (
        f"carved without a header: host name taken from the header at offset {of}, "
        "as no other here is of a machine with the same structures"
    )
    who = f"{header.hostname}, atop {header.release}"
    assert carving.remarks == [
        Remark(of, f"a header without a sample behind it: {who}", serious=False),
        Remark(0, f"{len(found)} samples in one place: {who}; {caveat}", serious=False),
    ]


def test_a_machine_is_known_by_its_boot() -> None:
    """Two machines with the same atop: one's second half lies apart."""
    half = offsets("2.8.1")[5]
    one, other = raw("2.8.1"), named("odd-2.8.1", b"other")
    found, _ = carved(one[:half] + NOISE + other + NOISE + one[half:])
    assert hosts(found) == [*["lab-guest"] * 5, *["other"] * 9, *["lab-guest"] * 5]
    assert found[-1].header.caveat == (
        "carved without a header: host name taken from the header at offset 0, as that machine booted at the same time"
    )


def test_a_machine_that_may_be_either_has_no_name() -> None:
    one, other = raw("2.8.1"), named("2.8.1", b"other")
    found, _ = carved(one + NOISE + other + NOISE + one[RAWHEADER_BYTES:])
    assert hosts(found)[-10:] == [""] * 10
    assert found[-1].header.caveat == (
        "carved without a header, host not known: headers of several machines with the same structures are here"
    )


def test_no_header_at_all() -> None:
    found, carving = carved(NOISE + raw("2.8.1")[RAWHEADER_BYTES:])
    assert (contents(found), hosts(found)) == (contents(whole("2.8.1")), [""] * 10)
    caveat = "carved without a header, host not known: there is no header with the same structures here"
    what = f"10 samples in one place: a machine that is not known, atop 2.8; {caveat}"
    assert carving.remarks == [Remark(len(NOISE), what, serious=False)]


def test_what_is_skipped() -> None:
    found, _ = carved(raw("2.8.1") + NOISE + raw("2.9.0"), (0, len(raw("2.8.1"))))
    assert contents(found) == contents(whole("2.9.0"))


def bounds(name: str) -> Iterable[tuple[Sample, int]]:
    """Samples, and where they end."""
    return zip(whole(name), offsets(name)[1:], strict=True)


def fragments(names: list[str], sizes: list[int], order: random.Random, filling: bytes) -> tuple[bytes, set[bytes]]:
    """Logs cut into pieces of some blocks, in any order, noise between; and the records that are whole in one piece."""
    pieces, expected = list[bytes](), set[bytes]()
    for name in names:
        begin, number = 0, 0
        while begin < len(raw(name)):
            end = begin + sizes[number % len(sizes)] * BLOCK
            pieces.append(raw(name)[begin:end].ljust(-len(raw(name)[begin:end]) // BLOCK * -BLOCK, b"\0"))
            inside = (each for each, stop in bounds(name) if begin <= each.offset and stop <= end)
            expected |= {each.record.tobytes() for each in inside}
            begin, number = end, number + 1
    order.shuffle(pieces)
    return b"".join(piece + filling[: order.randrange(3) * BLOCK] for piece in pieces), expected


@settings(max_examples=150)
@given(
    st.lists(st.sampled_from(OTHERS), min_size=1, max_size=3, unique=True),
    st.lists(st.integers(1, 9), min_size=1, max_size=5),
    st.randoms(use_true_random=False),
    st.sampled_from([bytes(1 << 16), NOISE, b"no sample\n" * 7000]),
)
def test_fragments_in_any_order(names: list[str], sizes: list[int], order: random.Random, filling: bytes) -> None:
    data, expected = fragments(names, sizes, order, filling)
    originals = {each.record.tobytes(): each for name in names for each in whole(name)}
    found, _ = carved(data)
    proved = [each for each in found if "its time is not proved" not in each.caveat]
    assert expected <= {each.record.tobytes() for each in found if each.whole}
    for sample in proved:
        tasks = originals[sample.record.tobytes()].tasks
        assert np.array_equal(sample.tasks.view(np.uint8), tasks[: len(sample.tasks)].view(np.uint8))
        assert sample.whole == (len(sample.tasks) == len(tasks)) or "its task list is whole" in sample.caveat


@pytest.mark.parametrize("name", ["1.26-a", "2.8.1", "2.13.0", "debian-2.8.1-s390x"])
@pytest.mark.parametrize("is_reversed", [False, True])
def test_a_log_in_two_fragments_is_whole_again(name: str, is_reversed: bool) -> None:  # noqa: FBT001  a column
    """Its samples are those of the machine in its header, which the joined one proves."""
    half = len(raw(name)) // 2 // BLOCK * BLOCK
    pieces = [raw(name)[:half], raw(name)[half:].ljust(2 * half, b"\0")]
    other = NOISE[:BLOCK].ljust(BLOCK, b"n")
    found, carving = carved(other.join(pieces[::-1] if is_reversed else pieces))
    given = {each.record.tobytes(): each for each in found if each.whole}
    assert {key: each.tasks.tobytes() for key, each in given.items()} == {
        each.record.tobytes(): each.tasks.tobytes() for each in whole(name)
    }
    joined = [each for each in given.values() if each.caveat.startswith("joined from two fragments: ")]
    assert len(joined) == 1
    assert {each.caveat for each in given.values()} - {each.caveat for each in joined} == {""}
    assert [header.hostname for header in carving.headers] == [whole(name)[0].header.hostname]


def test_a_torn_sample_is_saved_in_part() -> None:
    end = offsets("2.8.1")[5] - 800
    found, _ = carved(raw("2.8.1")[:end] + NOISE)
    assert contents(found[:4]) == contents(whole("2.8.1")[:4])
    part, original = found[4], whole("2.8.1")[4]
    assert (len(found), part.whole, part.offset) == (5, False, original.offset)
    assert (
        part.caveat
        == f"damaged sample: the first {len(part.tasks)} of {len(original.tasks)} tasks, not proved by a checksum"
    )
    assert 0 < len(part.tasks) < len(original.tasks)
    assert part.tasks.tobytes() == original.tasks[: len(part.tasks)].tobytes()


def test_a_time_that_other_bytes_may_have_changed() -> None:
    """The first byte of the only sample's record is in the sector before, which is another's."""
    begin, end = offsets("2.8.1")[4:6]
    found, _ = carved(b"\xff" * 512 + raw("2.8.1")[begin + 1 : end] + NOISE)
    assert (found[0].offset, found[0].tasks.tobytes()) == (511, whole("2.8.1")[4].tasks.tobytes())
    what = "its time is not proved: it lies in the sector before the rest, and may be of something else"
    assert found[0].caveat == what


def test_a_time_that_the_next_sample_tells() -> None:
    begin = offsets("2.8.1")[4]
    found, _ = carved(bytes(508) + raw("2.8.1")[begin:])
    assert [each.caveat for each in found] == [""] * 6


class BadSector(io.BytesIO):
    """Bytes of which those of one sector cannot be read."""

    def __init__(self, data: bytes, sector: int) -> None:
        super().__init__(data)
        self._bad = range(sector * 512, sector * 512 + 512)

    def read(self, size: int | None = -1) -> bytes:
        """So many bytes, or an error."""
        begin = self.tell()
        data = super().read(size)
        if begin < self._bad.stop and self._bad.start < begin + len(data):
            raise OSError("bad sector")
        return data


def test_a_sector_that_cannot_be_read_costs_one_sample() -> None:
    sector = offsets("2.8.1")[4] // 512 + 3
    carving = Carving(BadSector(raw("2.8.1") + NOISE, sector))
    found = [each for each in carving.samples() if each.whole]
    assert contents(found) == [each for number, each in enumerate(contents(whole("2.8.1"))) if number != 4]
    assert carving.damages == [Damage(sector * 512, 512, 0, 0, "bad sector")]


def test_a_header_alone_is_told() -> None:
    _, carving = carved(NOISE + raw("2.8.1")[:RAWHEADER_BYTES] + NOISE)
    what = "a header without a sample behind it: lab-guest, atop 2.8"
    assert carving.remarks == [Remark(len(NOISE), what, serious=False)]


def test_a_log_of_no_known_atop() -> None:
    data = with_header("2.8.1", "aversion", 0x8309)
    found, carving = carved(NOISE + data)
    assert (contents(found), carving.headers[0].release) == (contents(whole("2.8.1")), "3.9")


def lies() -> bytes:
    """Records whose streams begin, but break at once."""
    form = whole("2.8.1")[0].header.layout.rawrecord
    lie = bytes(form.itemsize) + b"\x78\x9c"
    fields = {"curtime": 1_795_404_820, "scomplen": 2 * len(lie), "pcomplen": 900}
    for field, value in {**fields, "ndeviat": 9}.items():
        lie = changed(lie, 0, form, field, value)
    return lie * (MIB // len(lie))


def bombs() -> bytes:
    """Records whose tasks inflate to 90 MiB, with a wrong checksum."""
    form = whole("2.8.1")[0].header.layout.rawrecord
    streams = zlib.compress(bytes(1 << 20)), zlib.compress(bytes(90 << 20), 9)[:-4] + b"nope"
    record = bytes(form.itemsize)
    fields = {"curtime": 1_795_404_820, "scomplen": len(streams[0]), "pcomplen": len(streams[1])}
    for field, value in {**fields, "ndeviat": (90 << 20) // 968}.items():
        record = changed(record, 0, form, field, value)
    return (record + b"".join(streams)) * 10


@pytest.mark.parametrize("hostile", [lambda: b"\x78\x9c" * MIB, lies, bombs], ids=["stream starts", "lies", "bombs"])
def test_hostile_bytes_cost_no_sample_elsewhere(hostile: Callable[[], bytes]) -> None:
    data = hostile()
    found, _ = carved(data + bytes(-len(data) % MIB) + raw("2.8.1"))
    assert contents(found) == contents(whole("2.8.1"))


def test_what_was_not_searched_is_told() -> None:
    _, carving = carved(bombs())
    assert [remark.serious for remark in carving.remarks] == [True]
    assert carving.remarks[0].what.endswith("too much looks like samples, and is none")


def test_logs_deleted_from_a_file_system(tmp_path: Path) -> None:
    """By debugfs, as nothing may be mounted here."""
    home = tmp_path / "tree" / "var" / "log" / "atop"
    home.mkdir(parents=True)
    names = ("1.26", "2.8.1", "2.13.0")
    for name in names:
        (home / f"atop_{name}").write_bytes(raw(name))
    image = disks.ext4(tmp_path / "tree", tmp_path / "image")
    for name in names:
        disks.run("debugfs", "-w", "-R", f"rm /var/log/atop/atop_{name}", image)
    data = image.read_bytes()
    found, _ = carved(data)
    samples = [(each, raw(name)[each.offset : end]) for name in names for each, end in bounds(name)]
    in_one_piece = {each.digest for each, data_of in samples if data_of in data}
    given = {each.digest for each in found if each.whole}
    assert in_one_piece < given <= {each.digest for each, _ in samples}
    assert len(given) > 25
    assert [each.caveat.split(":")[0] for each in found if each.caveat].count("joined from two fragments") == len(
        given - in_one_piece
    )


def test_blocks_hold_the_samples() -> None:
    carving = Carving(io.BytesIO(NOISE + raw("2.8.1") + NOISE + raw("2.9.0")[RAWHEADER_BYTES:]))
    digests = [digest for block in carving.blocks() for digest in block.digests]
    assert digests == [each.digest for each in carving.samples()]
    assert len(digests) == 20


@pytest.mark.parametrize(
    "data", [b"", b"\x78", NOISE, bytes(3 * MIB), b"\xef\xbe\xed\xfe"], ids=lambda data: str(len(data))
)
def test_bytes_that_hold_no_log(data: bytes) -> None:
    found, carving = carved(data)
    assert (found, carving.headers, carving.damages, carving.remarks) == ([], [], [], [])
