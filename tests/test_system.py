"""Events of the machine as a whole against what atop prints of it."""

import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from atop_timeline import plugins
from atop_timeline.blocks import Samples
from atop_timeline.events import Kind
from atop_timeline.extraction import extract
from atop_timeline.header import RAWHEADER_BYTES
from atop_timeline.rawlog import RawLog
from tests import parseable_system, rawlogs
from tests.parseable_system import Expected, Printed, Value, agrees

PRINTED = sorted(folder.parent.name for folder in rawlogs.LOGS.glob("*/parseable.txt.gz"))
PARSER = plugins.parsers()["system"]
TYPES = {each.name: each for each in PARSER.event_types}
NAMES = {
    *("cpu", "disk", "disk_kind", "interface", "nfs_mount", "numa_node"),
    *("gpu", "infiniband", "infiniband_port", "llc"),
}

COUNTS = (
    *("cpu.nrcpu", "intf.nrintf", "memnuma.nrnuma", "cpunuma.nrnuma", "dsk.ndsk", "dsk.nmdd", "dsk.nlvm"),
    *("nfs.nfsmounts.nrmounts", "cfs.nrcontainer", "gpu.nrgpus", "ifb.nrports", "llc.nrllcs"),
)

FILLED = """\
RESET
CPU @ 100 2 19 21 23 25 27 29 31 33 35 71 102 43 45
cpu @ 100 0 51 53 55 57 59 61 63 65 67 71 102 75 77
cpu @ 100 1 52 54 56 58 60 62 64 66 68 72 104 76 78
CPL @ 2 9.00 11.00 13.00 5 3
GPU @ 0 x24 x22 28 30 32 34 36 38 40 42
GPU @ 1 x25 x23 29 31 33 35 37 39 41 43
MEM @ 4096 81 83 89 85 87 91 24 32 18 20 22 30 26 28 34 38 40 10 12 58
SWP @ 4096 93 95 36 16 14 36 42 44
PAG @ 4096 0 4 0 8 6 46 48 50 52 56 54
PSI @ y 73.0 75.0 77.0 79 81.0 83.0 85.0 87 89.0 91.0 93.0 95 0.0 2.0 4.0 6 8.0 10.0 12.0 14
LVM @ x60 70 62 64 66 68 74 76 78 1.03
LVM @ x61 71 63 65 67 69 75 77 79 1.03
MDD @ x38 48 40 42 44 46 52 54 56 1.04
MDD @ x39 49 41 43 45 47 53 55 57 1.04
DSK @ x16 26 18 20 22 24 30 32 34 1.08
DSK @ x17 27 19 21 23 25 31 33 35 1.07
NFM @ x31 43 45 35 37 39 41 47 49
NFM @ x32 44 46 36 38 40 42 48 50
NFC @ 17 23 25 19 21
NFS @ 90 1 3 11 13 92 94 96 82 86 84 88 5 7 9
NET @ upper 94 96 125 137 131 165 159 155 133 129 84 86 92 1 3 5
NET @ x9 13 11 31 29 49 1
NET @ x10 14 12 32 30 50 1
IFB @ x46 48 50 52 54 56 58 60
IFB @ x47 49 51 53 55 57 59 61
NUM @ 59 4096 6100 63 65 75 77 67 69 71 73 79 81
NUM @ 60 4096 6200 64 66 76 78 68 70 72 74 80 82
NUC @ 85 87 89 91 93 95 0 2 4 6 8
NUC @ 86 88 90 92 94 96 1 3 5 7 9
LLC @ LLC064 6600.0% 70 68
LLC @ LLC065 6700.0% 71 69
SEP
"""
"""What atop 2.8.1 prints of `filled`, with @ for what stands before the fields of each row."""

Row = dict[str, Value]


def printed(folder: str) -> list[Printed]:
    text = gzip.decompress((rawlogs.LOGS / folder / "parseable.txt.gz").read_bytes())
    return list(parseable_system.read(text, folder))


def told(data: bytes, wanted: set[str] | None = None) -> dict[tuple[int, str], list[Row]]:
    """What the parser makes of a log: the events of each sample and type."""
    found: dict[tuple[int, str], list[Row]] = {}
    for samples in RawLog(io.BytesIO(data)).blocks():
        for sample, name, row in _rows(samples, wanted or set(TYPES)):
            found.setdefault((sample, name), []).append(row)
    return found


def _rows(samples: Samples, wanted: set[str]) -> list[tuple[int, str, Row]]:
    rows = []
    for events in PARSER.parse(samples, wanted):
        assert events.facts is not None
        texts = [*events.facts.values, None]
        columns: dict[str, list[Value]] = {name: values.tolist() for name, values in events.facts.columns.items()}
        columns |= {name: [texts[number] for number in each] for name, each in events.facts.texts.items()}
        each_row = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        numbers = np.asarray(events.columns["sample"])
        rows += [(int(sample), events.event_type.name, row) for sample, row in zip(numbers, each_row, strict=True)]
    return rows


def matching(row: Printed, rows: list[Row]) -> Row:
    """The event that an entry is about: that with the same names and numbers of what it tells of."""
    wanted = {name: value for name, value in row.columns.items() if name in NAMES}
    (found,) = [each for each in rows if all(agrees(value, each.get(name)) for name, value in wanted.items())]
    return found


def differences(row: Printed, found: Row) -> list[tuple[str, Expected, Value]]:
    """The columns of an entry that are something else in the event."""
    compared = [(name, value, _summed(found, name.split("+"))) for name, value in row.columns.items()]
    return [each for each in compared if not agrees(each[1], each[2])]


def _summed(found: Row, names: list[str]) -> Value:
    values: list[Any] = [found.get(name) for name in names]
    total: Value = values[0] if len(values) == 1 else sum(values)
    return total


def filled(log: str = "2.8.1") -> NDArray[np.void]:
    """The structure of a log's version with another number or name in each place, and two of each thing."""
    structure = np.zeros(1, rawlogs.whole(log)[0].header.layout.sstat)
    _fill(structure, count(1))
    for place in COUNTS:
        _set(structure, place, 2)
    structure["psi"]["present"] = structure["cpu"]["cpu"]["freqcnt"]["ticks"] = 1
    structure["intf"]["intf"]["duplex"] = 1
    structure["intf"]["intf"]["type"] = ord("e")
    structure["cpu"]["cpu"]["cpunr"][0][:2] = structure["gpu"]["gpu"]["gpunr"][0][:2] = (0, 1)
    structure["intf"]["intf"]["name"][0][2:] = b""  # where atop stops to print, whatever the count is
    for devices in ("dsk", "mdd", "lvm"):
        structure["dsk"][devices]["name"][0][2:] = b""
    return structure


def _set(structure: NDArray[np.void], place: str, value: float) -> None:
    *above, name = place.split(".")
    found: Any = structure
    for each in above:
        found = found[each]
    found[name] = value


def _fill(structure: NDArray[Any], numbers: Iterator[int]) -> None:
    for name in structure.dtype.names or ():
        _fill(structure[name], numbers)
    if structure.dtype.names is None:
        values = [next(numbers) % 97 for _ in range(2)]
        names = [b"x%d" % each for each in values]
        structure[...] = np.resize(np.array(names if structure.dtype.kind == "S" else values), structure.shape)


def with_system(structure: NDArray[np.void], log: str = "2.8.1") -> bytes:
    """A log of one sample that has this of the machine."""
    sample = rawlogs.whole(log)[0]
    blobs = [zlib.compress(structure.tobytes()), zlib.compress(sample.tasks.tobytes())]
    record = np.array([sample.record])
    record["scomplen"], record["pcomplen"] = map(len, blobs)
    for name in {"ccomplen", "icomplen"} & set(record.dtype.names or ()):
        record[name] = 0
    return b"".join([rawlogs.raw(log)[:RAWHEADER_BYTES], record.tobytes(), *blobs])


@pytest.mark.parametrize("folder", PRINTED)
def test_values_are_what_atop_prints(folder: str) -> None:
    found = told(rawlogs.raw(folder))
    rows = printed(folder)
    assert [each for row in rows for each in differences(row, matching(row, found[row.sample, row.event_type]))] == []
    types = {row.event_type for row in rows}
    counts = {key: len(rows) for key, rows in found.items() if key[1] in types}
    assert counts == Counter((row.sample, row.event_type) for row in rows)


def test_values_that_no_log_has() -> None:
    found = told(with_system(filled()))
    rows = list(parseable_system.read(FILLED.replace("@", "host 1 2026/01/01 00:00:00 677").encode(), "2.8"))
    assert [each for row in rows for each in differences(row, matching(row, found[0, row.event_type]))] == []
    assert set(TYPES) - {row.event_type for row in rows} == {"openvz", "www"}


def test_what_atop_does_not_print() -> None:
    openvz = {
        "openvz_container": 55,
        "openvz_process_count": 57,
        "openvz_user_seconds": 0.61,
        "openvz_nice_seconds": 0.63,
        "openvz_system_seconds": 0.59,
        "openvz_uptime_seconds": 0.65,
        "openvz_memory_bytes": 67 * 4096,
    }
    www = {
        "www_requests": 72,
        "www_bytes": 74 * 1024,
        "www_uptime_seconds": 76,
        "www_busy_workers": 78,
        "www_idle_workers": 80,
    }
    found = told(with_system(filled()), {"openvz", "www"})
    assert (found[0, "openvz"][0], found[0, "www"]) == (openvz, [www])


@pytest.mark.parametrize("name", TYPES)
def test_every_column_is_told_where_it_is_known(name: str) -> None:
    rows = told(with_system(filled("2.13.0"), "2.13.0"), {name})[0, name]
    assert {column for row in rows for column in row} == {each.name for each in TYPES[name].columns}


@pytest.mark.parametrize("byte", [b"\x01", b"\xff"])
def test_columns_have_the_type_of_their_kind(byte: bytes) -> None:
    structure = np.frombuffer(byte * filled().nbytes, filled().dtype)
    (samples,) = RawLog(io.BytesIO(with_system(structure))).blocks()
    letters = {Kind.INTEGER: "i", Kind.NUMBER: "f", Kind.FLAG: "b"}
    for events in PARSER.parse(samples, TYPES):
        kinds = {each.name: letters[each.kind] for each in events.event_type.columns if each.kind in letters}
        assert events.facts is not None
        found = {name: values.dtype.kind for name, values in events.facts.columns.items()}
        assert found.items() <= kinds.items()


def test_rates() -> None:
    found = told(rawlogs.raw("2.8.1"), {"cpu", "disk", "interface"})
    assert _rates(found[0, "cpu"][0]) == {
        "cpu_busy_percent": round(100 * (21164 + 34676 + 63 + 2071) / 94354, 2),
        "cpu_user_percent": round(100 * 34676 / 94354, 2),
        "cpu_nice_percent": round(100 * 63 / 94354, 2),
        "cpu_system_percent": round(100 * 21164 / 94354, 2),
        "cpu_irq_percent": 0,
        "cpu_softirq_percent": round(100 * 2071 / 94354, 2),
        "cpu_steal_percent": 0,
        "cpu_idle_percent": round(100 * 36287 / 94354, 2),
        "cpu_wait_percent": round(100 * 93 / 94354, 2),
        "cpu_guest_percent": 0,
    }
    assert _rates(found[0, "disk"][0]) == {
        "disk_busy_percent": round(100 * 8.444 / 677, 2),
        "disk_queue_depth": round(15598 / 8444, 2),
        "disk_read_bytes_per_second": round(106042 * 512 / 677, 2),
        "disk_write_bytes_per_second": round(247944 * 512 / 677, 2),
    }
    assert set(_rates(found[0, "interface"][0]).values()) == {round(700 / 677, 2)}


def _rates(row: Row) -> Row:
    return {name: row[name] for name in row if name.endswith(("_percent", "_second", "_depth"))}


def test_processors_that_are_not_online() -> None:
    structure = filled("2.13.0")
    structure["cpu"]["maxcpu"] = 3
    structure["cpu"]["cpu"]["cpunr"][0][:3] = (0, 1, 2)
    structure["cpu"]["cpu"]["online"][0][:3] = (1, 0, 1)
    found = told(with_system(structure, "2.13.0"), {"cpu"})
    assert [row["cpu"] for row in found[0, "cpu"]] == ["all", "0", "2"]


@pytest.mark.parametrize(
    ("place", "value", "name", "columns"),
    [
        ("mem.oomkills", -1, "paging", ("oom_kills",)),
        ("mem.physmem", 1 << 62, "memory", ("memory_total_bytes",)),
        ("mem.availablemem", -(1 << 63), "memory", ("memory_available_bytes",)),
        ("cpu.lavg5", float("nan"), "load", ("load_5",)),
        ("cpu.lavg15", float("inf"), "load", ("load_15",)),
        ("intf.intf.speed", 0, "interface", ("interface_speed_mbit",)),
        ("dsk.dsk.ndisc", -1, "disk", ("disk_discards",)),
        ("dsk.dsk.io_ms", 0, "disk", ("disk_queue_depth",)),
        ("gpu.gpu.samples", 0, "gpu", tuple(each.name for each in TYPES["gpu"].columns if "average" in each.name)),
    ],
)
def test_unknown(place: str, value: float, name: str, columns: tuple[str, ...]) -> None:
    structure = filled("2.13.0")
    _set(structure, place, value)
    row, *_ = told(with_system(structure, "2.13.0"), {name})[0, name]
    assert [column for column in (each.name for each in TYPES[name].columns) if row.get(column) is None] == [*columns]


@pytest.mark.parametrize(("byte", "events"), [(b"\xff", 10), (b"\x80", 10), (b"\x7f", 10122)])
def test_nonsense_is_stored_and_shown(tmp_path: Path, byte: bytes, events: int) -> None:
    structure = np.frombuffer(byte * filled("2.13.0").nbytes, filled("2.13.0").dtype)
    (tmp_path / "log").write_bytes(with_system(structure, "2.13.0"))
    timeline, report = extract([str(tmp_path / "log")], only={"system"})
    with timeline:
        assert len(list(timeline.events())) == events
    assert {(each.offset, each.serious) for each in report.logs[0].remarks} == {(480, True)}


@pytest.mark.parametrize(
    ("place", "value", "name", "most"),
    [
        ("cpu.nrcpu", 1 << 62, "cpu", 2049),
        ("dsk.ndsk", (1 << 31) - 1, "disk", 1028),
        ("intf.nrintf", -1, "interface", 0),
        ("psi.present", 255, "pressure", 1),
        ("nfs.nfsmounts.nrmounts", 65, "nfs_mount", 64),
    ],
)
def test_counts_that_cannot_be(tmp_path: Path, place: str, value: int, name: str, most: int) -> None:
    structure = filled()
    _set(structure, place, value)
    (tmp_path / "log").write_bytes(with_system(structure))
    timeline, report = extract([str(tmp_path / "log")], only={name})
    with timeline:
        assert timeline.count(TYPES[name]) == most
    (remark,) = report.logs[0].remarks
    assert (remark.offset, remark.what.partition(": ")[2].split()[0], remark.serious) == (480, str(value), True)


@pytest.mark.parametrize("broken", [b"\0\0", b"\xff" * 40], ids=["checksum", "middle"])
def test_damage_is_told_and_the_rest_kept(tmp_path: Path, broken: bytes) -> None:
    sample = rawlogs.whole("2.8.1")[3]
    end = sample.offset + sample.record.dtype.itemsize + len(sample.system)
    (tmp_path / "log").write_bytes(rawlogs.without(rawlogs.raw("2.8.1"), end - len(broken), end, broken))
    timeline, report = extract([str(tmp_path / "log")], only={"load"})
    with timeline:
        assert [event.offset for event in timeline.events()] == [
            each.offset for each in rawlogs.whole("2.8.1") if each.offset != sample.offset
        ]
    assert [(each.offset, each.serious) for each in report.logs[0].remarks] == [(sample.offset, True)]


def test_names_are_made_safe() -> None:
    structure = filled()
    structure["intf"]["intf"]["name"][0][:2] = (b"eth\x1b[2J", b"\xff\n")
    found = told(with_system(structure), {"interface"})
    assert [row["interface"] for row in found[0, "interface"]] == ["eth\\x1b[2J", "\\xff\\x0a"]


@pytest.mark.parametrize(("pagesize", "total"), [(4096, 506757 * 4096), (65536, 506757 * 65536), (0, 506757 * 4096)])
def test_pages_are_those_of_the_header(pagesize: int, total: int) -> None:
    (row,) = told(rawlogs.with_header("2.8.1", "pagesize", pagesize), {"memory"})[0, "memory"]
    assert (row["memory_total_bytes"], row["huge_page_bytes"]) == (total, 2097152)


def test_structures_are_inflated_only_for_who_wants_them() -> None:
    (samples,) = RawLog(io.BytesIO(rawlogs.raw("2.8.1"))).blocks()
    damaged = replace(samples, systems=[b""] * len(samples.systems))
    assert (list(PARSER.parse(damaged, {"starts"})), damaged.remarks) == ([], [])
    assert (list(PARSER.parse(damaged, {"load"})), len(damaged.remarks)) == ([], 10)


def test_many_processors_come_in_batches() -> None:
    structure = filled("2.13.0")
    structure["cpu"]["maxcpu"] = 4096
    (samples,) = RawLog(io.BytesIO(with_system(structure, "2.13.0"))).blocks()
    many = replace(
        samples,
        records=np.repeat(samples.records, 30),
        offsets=np.repeat(samples.offsets, 30),
        parts=np.repeat(samples.parts, 30),
        systems=samples.systems * 30,
    )
    counts = [len(events.columns["time_us"]) for events in PARSER.parse(many, {"cpu"})]
    assert (sum(counts), len(counts)) == (30 * 4097, 2)
