"""The cgroups of samples: whom they hold, against what atop prints of each process; and what is no list of them."""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest

from atop_timeline import cgroups
from atop_timeline.blocks import Samples
from atop_timeline.cgroups import Cgroups
from atop_timeline.rawlog import RawLog
from atop_timeline.record import Sample, TornError
from atop_timeline.texts import Texts
from tests import parseable, rawlogs

FOLDERS = [name for name in rawlogs.NAMES if any(sample.header.layout.cstat for sample in rawlogs.whole(name))]
NAME = "2.13.0"
WHAT = "cgroups of the record at offset 480"


class Streams(NamedTuple):
    """What a record and its two streams hold of cgroups; `groups` and `pids` are inflated."""

    sample: Sample
    groups: bytes
    pids: bytes
    announced: Mapping[str, int] = MappingProxyType({})

    @property
    def cstat(self) -> np.dtype[np.void]:
        """The structure of one."""
        assert self.sample.header.layout.cstat is not None
        return self.sample.header.layout.cstat

    def read(self) -> Cgroups:
        """What they are taken for."""
        lengths = {"coriglen": len(self.groups), "ncgpids": len(self.pids) // 4}
        record = np.array([self.sample.record])
        for field, value in (lengths | dict(self.announced)).items():
            record[field] = value
        return cgroups.read(self.cstat, record[0], zlib.compress(self.groups), zlib.compress(self.pids), WHAT)

    def with_field(self, number: int, field: str, value: int) -> "Streams":
        """The same, where a cgroup says something else of itself."""
        group = np.frombuffer(self.groups, self.cstat, 1, self.starts()[number]).copy()
        group["gen"][field] = value
        return self._replace(groups=spliced(self.groups, self.starts()[number], group.tobytes()))

    def starts(self) -> list[int]:
        """Where each begins, and where all end."""
        return [0, *map(int, np.cumsum(self.read().groups["gen"]["structlen"]))]


def real() -> Streams:
    """The first ones of a log."""
    sample = rawlogs.whole(NAME)[0]
    return Streams(sample, zlib.decompress(sample.cgroups), zlib.decompress(sample.pids))


def made(names: list[bytes], parents: list[int]) -> Streams:
    """Cgroups of these names below these parents, without processes."""
    cstat, depths = real().cstat, [0]
    parts = []
    for number, (name, parent) in enumerate(zip(names, parents, strict=True)):
        group = np.zeros(1, cstat)
        depths[number:] = [depths[parent] + 1 if parent >= 0 else 0]
        places = {"sequence": number, "parentseq": parent, "depth": depths[number], "namelen": len(name)}
        for field, value in {**places, "structlen": cstat.itemsize + len(name) + 1}.items():
            group["gen"][field] = value
        parts.append(group.tobytes() + name + b"\0")
    return Streams(rawlogs.whole(NAME)[0], b"".join(parts), b"", {"ncgroups": len(names)})


def spliced(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def blocks(data: bytes) -> Iterator[Samples]:
    yield from RawLog(io.BytesIO(data), {}).blocks()


def told(block: Samples) -> list[tuple[Any, ...]]:
    """Path, and limits in atop's printed units, of each task in turn."""
    texts = Texts()
    found = cgroups.memberships(block, texts)
    known = [
        _known(texts.values[path], *limits) for path, limits in zip(found.paths, found.limits.tolist(), strict=True)
    ]
    return [known[kind] if kind >= 0 else ("", -2, -2, -2) for kind in found.kind.tolist()]


def _known(path: str, _weight: int, cpu: int, *pages: int) -> tuple[Any, ...]:
    return path, cpu, *(each * 4096 // 1024 if each > 0 else each for each in pages)


def printed(folder: str) -> list[parseable.Entry]:
    text = gzip.decompress((rawlogs.LOGS / folder / "parseable.txt.gz").read_bytes())
    return [entry for sample in parseable.read(text, folder) for entry in sample.entries]


@pytest.mark.parametrize("folder", FOLDERS)
def test_processes_are_where_atop_prints_them(folder: str) -> None:
    found = [each for block in blocks(rawlogs.raw(folder)) for each in told(block)]
    expected = [
        (bytes(entry["cgpath"]).decode(), entry["cgcpumax"], entry["cgmemmax"], entry["cgswpmax"])
        for entry in printed(folder)
    ]
    processes = [number for number, entry in enumerate(printed(folder)) if entry["isproc"]]
    assert len(found) == len(expected)
    assert [found[each] for each in processes] == [expected[each] for each in processes]


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_thread_is_where_its_process_is(folder: str) -> None:
    for block in blocks(rawlogs.raw(folder)):
        gen, found = block.tasks["gen"][block.which], told(block)
        keys = list(zip(block.sample.tolist(), gen["tgid"].tolist(), strict=True))
        live = (gen["isproc"] != 0) & (gen["state"] != ord("E"))
        places = {keys[each]: found[each] for each in np.flatnonzero(live)}
        threads = [each for each in np.flatnonzero(gen["isproc"] == 0) if keys[each] in places]
        assert [found[each] for each in threads] == [places[keys[each]] for each in threads]


def test_paths_are_any_bytes() -> None:
    streams = made([b"", b"a", b"\xff\n/", b"b"], [-1, 0, 1, 0])
    assert streams.read().paths == (b"/", b"/a", b"/a/\xff\n/", b"/b")


def test_the_first_group_that_lists_a_pid_has_it() -> None:
    groups = Cgroups(np.zeros(2, real().cstat), (b"/", b"/a"), np.array([7, 3, 7, 9]), np.array([0, 0, 1, 1]))
    assert groups.holding(np.array([3, 7, 8, 9])).tolist() == [0, 0, -1, 1]


@pytest.mark.parametrize("folder", FOLDERS)
def test_hosts_of_either_byte_order(folder: str) -> None:
    for sample in rawlogs.whole(folder):
        streams = Streams(sample, zlib.decompress(sample.cgroups), zlib.decompress(sample.pids))
        swapped = cgroups.read(*_swapped(streams), WHAT)
        assert (swapped.paths, swapped.pids.tolist()) == (streams.read().paths, streams.read().pids.tolist())


def _swapped(streams: Streams) -> tuple[np.dtype[np.void], np.void, bytes, bytes]:
    """The same as an s390x writes it."""
    parts = []
    swapped = streams.read().groups.astype(streams.cstat.newbyteorder())
    for (start, end), group in zip(pairwise(streams.starts()), swapped, strict=True):
        parts.append(group.tobytes() + streams.groups[start + streams.cstat.itemsize : end])
    pids = np.frombuffer(streams.pids, "<i4").astype(">i4").tobytes()
    return swapped.dtype, streams.sample.record, zlib.compress(b"".join(parts)), zlib.compress(pids)


DEEP = 20
HOSTILE: dict[str, tuple[Callable[[], Streams], str]] = {
    "no length": (
        lambda: real().with_field(3, "structlen", 0),
        f"{WHAT}: length of group 3: 433 to 11472 bytes expected, 0 found",
    ),
    "a negative length": (
        lambda: real().with_field(3, "structlen", -8),
        f"{WHAT}: length of group 3: 433 to 11472 bytes expected, -8 found",
    ),
    "a length beyond the stream": (
        lambda: real().with_field(27, "structlen", 1 << 30),
        f"{WHAT}: length of group 27: 433 to 456 bytes expected, 1073741824 found",
    ),
    "a group too many": (
        lambda: real()._replace(announced={"ncgroups": 29}),
        f"{WHAT}: length of group 28: 433 to 0 bytes expected, 0 found",
    ),
    "a group too few": (
        lambda: real()._replace(announced={"ncgroups": 27}),
        f"{WHAT}: 12376 bytes expected in 27 groups, 12832 found",
    ),
    "no groups": (
        lambda: real()._replace(announced={"ncgroups": 0}),
        f"{WHAT}: at most 0 bytes expected, 12832 announced",
    ),
    "an odd place": (
        lambda: real().with_field(3, "sequence", 4),
        f"{WHAT}: sequence of group 3: its place in the list expected, 4 found",
    ),
    "its own parent": (
        lambda: real().with_field(3, "parentseq", 3),
        f"{WHAT}: parentseq of group 3: that of a group before, or -1 expected, 3 found",
    ),
    "a parent before the first": (
        lambda: real().with_field(3, "parentseq", -2),
        f"{WHAT}: parentseq of group 3: that of a group before, or -1 expected, -2 found",
    ),
    "a depth of its own": (
        lambda: real().with_field(3, "depth", 3),
        f"{WHAT}: depth of group 3: one more than its parent's expected, 3 found",
    ),
    "a name beyond the structure": (
        lambda: real().with_field(3, "namelen", 24),
        f"{WHAT}: namelen of group 3: what is left behind the structure, at most 255 expected, 24 found",
    ),
    "a negative name": (
        lambda: real().with_field(3, "namelen", -1),
        f"{WHAT}: namelen of group 3: what is left behind the structure, at most 255 expected, -1 found",
    ),
    "no name": (
        lambda: real().with_field(3, "namelen", 0),
        f"{WHAT}: namelen of group 3: what is left behind the structure, at most 255 expected, 0 found",
    ),
    "a name that goes on": (
        lambda: real().with_field(3, "namelen", 21),
        f"{WHAT}: name of group 3: 21 bytes and a NUL expected, b'sys-kernel-debug.moun' found",
    ),
    "a name that ends before": (
        lambda: real().with_field(3, "namelen", 23),
        f"{WHAT}: name of group 3: 23 bytes and a NUL expected, b'sys-kernel-debug.mount\\x00' found",
    ),
    "negative processes": (
        lambda: real().with_field(3, "nprocs", -1),
        f"{WHAT}: nprocs of group 3: 0 to 76 expected, -1 found",
    ),
    "too many processes": (
        lambda: real().with_field(3, "nprocs", 2),
        f"{WHAT}: 76 pids expected, 78 found in nprocs",
    ),
    "a pid too many": (
        lambda: real()._replace(announced={"ncgpids": 77}),
        f"pids of the {WHAT}: 308 bytes expected, inflates to 304 bytes",
    ),
    "more pids than Linux has": (
        lambda: real()._replace(announced={"ncgpids": (1 << 32) - 1}),
        f"pids of the {WHAT}: at most 16777216 bytes expected, 17179869180 announced",
    ),
    "more than groups can be": (
        lambda: real()._replace(announced={"coriglen": (1 << 32) - 1}),
        f"{WHAT}: at most 19460 bytes expected, 4294967295 announced",
    ),
    "a path that is too long": (
        lambda: made([b"x" * 255] * DEEP, [*range(-1, DEEP - 1)]),
        f"{WHAT}: path of group 15: 4096 bytes are too many",
    ),
    "paths that are too long together": (
        lambda: made([b"x" * 255] * 14 + [b"y" * 255] * 6000, [*range(-1, 13)] + [13] * 6000),
        f"{WHAT}: path of group 4376: 3840 bytes are too many",
    ),
}


@pytest.mark.parametrize(("streams", "what"), HOSTILE.values(), ids=HOSTILE)
def test_what_cannot_be_is_refused(streams: Callable[[], Streams], what: str) -> None:
    with pytest.raises(TornError) as caught:
        streams().read()
    assert str(caught.value) == what


@pytest.mark.parametrize("part", ["cgroups", "pids"])
def test_damage_is_remarked_and_the_rest_stays(part: str) -> None:
    raw, sample = rawlogs.raw(NAME), rawlogs.whole(NAME)[4]
    stream = raw.index(getattr(sample, part), sample.offset)
    (block,) = blocks(spliced(raw, stream + 20, b"\0\0\0\0"))
    found, whole = told(block), [each for good in blocks(raw) for each in told(good)]
    damaged = block.sample == 4
    assert [(each.offset, each.serious) for each in block.remarks] == [(sample.offset, True)]
    assert f"cgroups of the record at offset {sample.offset}: " in block.remarks[0].what
    assert {found[each] for each in np.flatnonzero(damaged)} == {("", -2, -2, -2)}
    assert [found[each] for each in np.flatnonzero(~damaged)] == [whole[each] for each in np.flatnonzero(~damaged)]
