"""What atop printed is read right: whole entries, of which those fields are written here that are not 0."""

import gzip
from pathlib import Path

import pytest

from tests.parseable import Entry, PrintedSample, read

LOGS = Path(__file__).parents[1] / "test_data" / "logs"
PRINTED = sorted(folder.parent.name for folder in LOGS.glob("*/parseable.txt.gz"))

HEADER = "host 1700000000 2023/11/14 22:13:20 2"
PRG = f"PRG {HEADER} 7 (%s) E 0 0 7 1 0 1699999999 (%s) 1 0 0 0 0 0 0 0 0 0 5\n"
PRD = f"PRD {HEADER} %d (x) E n y 0 0 0 0 0\n"


def printed(folder: str) -> list[PrintedSample]:
    return read(gzip.decompress((LOGS / folder / "parseable.txt.gz").read_bytes()), folder)


def nonzero(entry: Entry) -> Entry:
    return {field: value for field, value in entry.items() if value}


@pytest.mark.parametrize("folder", PRINTED)
def test_all_entries_have_the_fields_of_the_version(folder: str) -> None:
    first, *others = [tuple(entry) for sample in printed(folder) for entry in sample.entries]
    assert set(others) == {first}


@pytest.mark.parametrize(
    ("folder", "fields"),
    [("1.26", 55), ("2.3.0", 62), ("2.8.1", 82), ("2.10.0", 86), ("2.13.0", 78)],
)
def test_number_of_fields(folder: str, fields: int) -> None:
    assert len(printed(folder)[0].entries[0]) == fields


def test_samples() -> None:
    samples = [(one.time, one.interval, one.reset, len(one.entries)) for one in printed("2.8.1")[:2]]
    assert samples == [(1795406190, 677, True, 76), (1795406192, 2, False, 80)]


def test_1_26() -> None:
    assert nonzero(printed("1.26")[6].entries[7]) == {
        "pid": 20073,
        "name": b"python3",
        "state": b"R",
        "tgid": 20073,
        "nthr": 14,
        "btime": 1795405635,
        "cmdline": b"/usr/bin/python3 /lab/harness/workload.py /lab/out/guest-1.26/truth.json /srv/fx 13",
        "ppid": 248,
        "nthrrun": 2,
        "nthrslpi": 13,
        "hertz": 100,
        "utime": 20,
        "stime": 53,
        "prio": 120,
        "curcpu": 1,
        "pagesize": 4096,
        "vmem": 1114460,
        "rmem": 14632,
        "shtext": 2766,
        "vgrow": 286764,
        "rgrow": 2152,
        "minflt": 2523,
        "hasio": True,
        "wio": 240,
        "wsz": 240,
    }


def test_2_3() -> None:
    assert nonzero(printed("2.3.0")[0].entries[70]) == {
        "pid": 267,
        "name": b"sleep",
        "state": b"S",
        "tgid": 267,
        "nthr": 1,
        "excode": -2147483648,
        "btime": 1795406849,
        "cmdline": b"/bin/sleep 3000",
        "ppid": 249,
        "nthrslpi": 1,
        "isproc": True,
        "container": b"af78216c2a23",
        "hertz": 100,
        "utime": 14,
        "stime": 18,
        "prio": 120,
        "curcpu": 1,
        "pagesize": 4096,
        "vmem": 2492,
        "rmem": 928,
        "vexec": 20,
        "vgrow": 2492,
        "rgrow": 928,
        "minflt": 507,
        "majflt": 4,
        "vlibs": 1528,
        "vdata": 224,
        "vstack": 132,
        "hasio": True,
        "rio": 120,
        "rsz": 120,
    }


def test_2_8() -> None:
    assert nonzero(printed("2.8.1")[0].entries[65]) == {
        "pid": 20037,
        "name": b"sleep",
        "state": b"S",
        "tgid": 20037,
        "nthr": 1,
        "btime": 1795405625,
        "cmdline": b"/bin/sleep 3000",
        "ppid": 248,
        "nthrslpi": 1,
        "isproc": True,
        "container": b"af78216c2a23",
        "isnew": True,
        "cgpath": b"/system.slice/docker-af78216c2a230f1aa5dce56cbf0123456789abcdef",
        "hertz": 100,
        "utime": 32,
        "stime": 32,
        "prio": 120,
        "curcpu": 1,
        "rundelay": 700624742,
        "cgcpumax": 80,
        "cgcpumaxr": 80,
        "pagesize": 4096,
        "vmem": 2492,
        "rmem": 924,
        "vexec": 20,
        "vgrow": 2492,
        "rgrow": 924,
        "minflt": 503,
        "majflt": 1,
        "vlibs": 1528,
        "vdata": 224,
        "vstack": 132,
        "cgmemmax": 204800,
        "cgmemmaxr": 204800,
        "cgswpmax": -1,
        "cgswpmaxr": -1,
        "hasio": True,
        "rio": 120,
        "rsz": 120,
        "gpustate": b"N",
    }


def test_2_13() -> None:
    assert nonzero(printed("2.13.0")[0].entries[70]) == {
        "pid": 20042,
        "name": b"sleep",
        "state": b"S",
        "tgid": 20042,
        "nthr": 1,
        "btime": 1795405627,
        "cmdline": b"sleep 3000",
        "ppid": 248,
        "nthrslpi": 1,
        "isproc": True,
        "utsname": b"kube-api-server-pod-0123456789-0123456",
        "isnew": True,
        "cgpath": b"/system.slice/lab.service",
        "hertz": 100,
        "utime": 22,
        "stime": 22,
        "prio": 120,
        "curcpu": 1,
        "rundelay": 303479316,
        "cgcpumax": -1,
        "cgcpumaxr": -2,
        "nvcsw": 3,
        "nivcsw": 25,
        "pagesize": 4096,
        "vmem": 2492,
        "rmem": 900,
        "vexec": 20,
        "vgrow": 2492,
        "rgrow": 900,
        "minflt": 225,
        "majflt": 2,
        "vlibs": 1528,
        "vdata": 224,
        "vstack": 132,
        "cgmemmax": -1,
        "cgmemmaxr": -2,
        "cgswpmax": -1,
        "cgswpmaxr": -2,
        "hasio": True,
        "rio": 216,
        "rsz": 216,
    }


def test_newline_in_a_name() -> None:
    assert nonzero(printed("odd-2.13.0")[5].entries[46]) == {
        "pid": 103,
        "name": b"fx\nnl",
        "state": b"E",
        "tgid": 103,
        "nthr": 1,
        "btime": 1795404824,
        "cmdline": b"fx nl 3.2",
        "ppid": 22,
        "elaps": 325,
        "isproc": True,
        "exittime": 1795404827,
        "hertz": 100,
        "curcpu": -1,
        "cgcpumax": -2,
        "cgcpumaxr": -2,
        "pagesize": 4096,
        "minflt": 1,
        "cgmemmax": -2,
        "cgmemmaxr": -2,
        "cgswpmax": -2,
        "cgswpmaxr": -2,
        "hasio": True,
    }


@pytest.mark.parametrize(
    ("name", "cmdline"),
    [
        ("\nSEP\n", ""),
        ("\nSEP\nRESET\n", "SEP"),
        (") E 0 0 (", ""),
        ("a) b (c", ") 1 0 0 0 0 0 0 0 0 0 5"),
        ("", "(x) S 0 0 7 1 0 1699999999 ("),
    ],
)
def test_hostile_text(name: str, cmdline: str) -> None:
    (sample,) = read((PRG % (name, cmdline) + "SEP\n").encode(), "1.26")
    (entry,) = sample.entries
    assert (entry["name"], entry["cmdline"], entry["elaps"]) == (name.encode(), cmdline.encode(), 5)


@pytest.mark.parametrize(
    ("text", "version", "message"),
    [
        (PRG % ("x", ""), "new", "atop version 'new'"),
        ("RESET\n", "1.26", "a sample without any row"),
        (PRG % ("x", ""), "1.27", r"PRG of atop 1\.27: not the expected fields"),
        (PRG % ("x", "") + PRD % 8, "1.26", "labels disagree"),
        (PRG % ("x", "") + PRD % 7 + PRD % 7, "1.26", "argument 2 is longer"),
    ],
    ids=["version", "rows", "fields", "another process", "another number"],
)
def test_text_that_does_not_fit(text: str, version: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(text.encode(), version)
