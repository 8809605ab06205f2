"""Our layouts against the compilers' own, and the identification of who wrote a header."""

import csv
import gzip
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atop_timeline import layout as layout_module
from atop_timeline.errors import UnknownLayout, WrongParser
from atop_timeline.layout import ABIS, VERSIONS, layout_of, load, read_rawheader

LAYOUTS = Path(__file__).parent.parent / "test_data" / "layouts.csv.gz"

COMPILED_VERSIONS = {
    "1.26": "1.26",
    "1.27-git8c9de7a": "1.27",
    "2.0.1": "2.0",
    "2.1": "2.1",
    "2.2": "2.2",
    "2.2-3": "2.2.3",
    "2.2.6": "2.2.3",
    "2.3.0": "2.3",
    "2.4.0": "2.4",
    "2.5.0": "2.5",
    "2.6.0": "2.6",
    "2.7.0": "2.7",
    "2.7.1": "2.7",
    "2.8.0": "2.8",
    "2.8.1": "2.8",
    "2.9.0": "2.9",
    "2.10.0": "2.10",
    "2.11.0": "2.11",
    "2.11.1": "2.11",
    "2.12.0": "2.12",
    "2.12.1": "2.12",
    "2.13.0": "2.13",
}
COMPILED_ABIS = {
    "x86_64": "x86-64",
    "aarch64": "x86-64",
    "ppc64le": "x86-64",
    "s390x": "s390x",
    "i386": "i386",
    "armhf": "armhf",
    "armhf_t64": "armhf-time64",
}
OUR_NAMES = {"pstat": "tstat", "pstatlen": "tstatlen", "utsname.__domainname": "utsname.domainname"}

# rawrecord/tstat/sstat/cstat by version: 64 bits, i386, armhf, armhf with a time_t of 64 bits (FORMAT 1.1).
SIZES = """
1.26  80/616/88368/0       76/604/87840/0       76/608/88112/0       80/616/88112/0
1.27  96/736/464184/0      88/724/454952/0      88/728/463160/0      96/736/463160/0
2.0   96/736/464184/0      88/724/454952/0      88/728/463160/0      96/736/463160/0
2.1   96/776/685488/0      88/768/676256/0      88/768/684464/0      96/776/684464/0
2.2   96/784/692952/0      88/776/682692/0      88/776/690904/0      96/784/690904/0
2.2.3 96/784/711904/0      88/776/700616/0      88/776/708832/0      96/784/708832/0
2.3   96/784/711904/0      88/776/700616/0      88/776/708832/0      96/784/708832/0
2.4   96/840/716656/0      88/828/705336/0      88/832/713584/0      96/840/713584/0
2.5   96/840/716656/0      88/828/705336/0      88/832/713584/0      96/840/713584/0
2.6   96/840/716656/0      88/828/705336/0      88/832/713584/0      96/840/713584/0
2.7   96/840/954360/0      88/828/938944/0      88/832/951288/0      96/840/951288/0
2.8   96/968/1021960/0     88/956/1006540/0     88/960/1018888/0     96/968/1018888/0
2.9   96/968/1021960/0     88/956/1006540/0     88/960/1018888/0     96/968/1018888/0
2.10  96/992/1030216/0     88/976/1014796/0     88/984/1027144/0     96/992/1027144/0
2.11  96/968/1064016/432   88/956/1048596/412   88/960/1060944/416   96/968/1060944/416
2.12  96/968/1064016/432   88/956/1048596/412   88/960/1060944/416   96/968/1060944/416
2.13  96/992/1408336/432   88/980/1401112/412   88/984/1405264/416   96/992/1405264/416
"""
HEADERS = [
    (version, abi, tuple(map(int, sizes.split("/"))))
    for version, bits64, *bits32 in map(str.split, SIZES.strip().splitlines())
    for abi, sizes in zip(ABIS, [bits64, bits64, *bits32], strict=True)
]


@pytest.mark.parametrize("abi", COMPILED_ABIS)
@pytest.mark.parametrize("version", COMPILED_VERSIONS)
def test_every_offset_and_size_is_the_compilers(version: str, abi: str) -> None:
    ours = load(COMPILED_VERSIONS[version], COMPILED_ABIS[abi])
    for struct, expected in compiled(abi, version).items():
        for dtype in dtypes_of(struct, ours, compiled(abi, version)):
            assert dict(members(dtype)) == {member: row[:3] for member, row in expected.items()}, struct


@pytest.mark.parametrize("abi", ABIS)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_number_has_the_byte_order_of_its_machine(version: str, abi: str) -> None:
    ours = load(version, abi)
    numbers = {
        dtype.str[0]
        for struct in (ours.rawheader, ours.rawrecord, ours.tstat, ours.sstat)
        for dtype in leaves(struct)
        if dtype.itemsize > 1 and dtype.kind != "S"
    }
    assert numbers == {ABIS[abi].byte_order}


@pytest.mark.parametrize(("version", "abi", "sizes"), HEADERS)
def test_version_and_lengths_tell_who_wrote_a_header(version: str, abi: str, sizes: tuple[int, ...]) -> None:
    header = read_rawheader(rawheader(version, sizes, ABIS[abi].byte_order))
    assert layout_of(header) is load(version, abi)


@pytest.mark.parametrize(
    ("version", "sizes", "fields"),
    [
        pytest.param("2.8", (96, 968, 1021960, 0), {"container", "cgpath"}, id="968-2.8"),
        pytest.param("2.9", (96, 968, 1021960, 0), {"container", "cgpath", "nvcsw"}, id="968-2.9"),
        pytest.param("2.11", (96, 968, 1064016, 432), {"utsname", "cgroupix", "nvcsw"}, id="968-2.11"),
        pytest.param("2.10", (96, 992, 1030216, 0), {"utsname", "cgpath", "nvcsw"}, id="992-2.10"),
        pytest.param("2.13", (96, 992, 1408336, 432), {"utsname", "cgroupix", "nvcsw", "oomscore"}, id="992-2.13"),
    ],
)
def test_tasks_of_one_length_differ_by_version(version: str, sizes: tuple[int, ...], fields: set[str]) -> None:
    found = layout_of(read_rawheader(rawheader(version, sizes, "<")))
    names = {member.rpartition(".")[2] for member, _ in members(found.tstat)}
    assert names & {"container", "cgpath", "utsname", "cgroupix", "nvcsw", "oomscore"} == fields


def test_a_newer_atop_of_known_lengths_is_read_as_the_newest() -> None:
    header = read_rawheader(rawheader("2.14", (96, 992, 1408336, 432), "<"))
    assert layout_of(header) is load("2.13", "x86-64")


@pytest.mark.parametrize(
    ("version", "sizes", "order", "message"),
    [
        pytest.param("2.14", (96, 1000, 1500000, 0), "<", "rawrecord/tstat/sstat of 96/1000/1500000", id="newer"),
        pytest.param("2.9", (96, 976, 1021960, 0), "<", "rawrecord/tstat/sstat of 96/976/1021960", id="tstat"),
        pytest.param("2.6", (80, 840, 716656, 0), "<", "rawrecord/tstat/sstat of 80/840/716656", id="rawrecord"),
        pytest.param("2.6", (96, 840, 716664, 0), "<", "rawrecord/tstat/sstat of 96/840/716664", id="sstat"),
        pytest.param(
            "2.12",
            (96, 968, 1064016, 208),
            "<",
            "rawrecord/tstat/sstat/cstat of 96/968/1064016/208",
            id="cstat",
        ),
        pytest.param("2.12", (96, 968, 1064016, 0), "<", "rawrecord/tstat/sstat of 96/968/1064016", id="no-cstat"),
        pytest.param("2.8", (88, 956, 1006540, 0), ">", "rawrecord/tstat/sstat of 88/956/1006540", id="order"),
        pytest.param("2.1", (96, 992, 1030216, 0), "<", "rawrecord/tstat/sstat of 96/992/1030216", id="version"),
    ],
)
def test_unknown_lengths_are_named(version: str, sizes: tuple[int, ...], order: str, message: str) -> None:
    header = read_rawheader(rawheader(version, sizes, order))
    expected = f"atop {version} writes {message} bytes, which no known atop does"
    with pytest.raises(UnknownLayout, match=f"^{re.escape(expected)}$"):
        layout_of(header)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_header_is_read_in_either_byte_order(order: str) -> None:
    header = read_rawheader(rawheader("2.8", (96, 968, 1021960, 0), order) + b"what follows")
    assert (int(header["magic"]), int(header["hertz"]), int(header["pagesize"])) == (0xFEEDBEEF, 100, 4096)
    assert header["utsname"]["nodename"] == b"web1"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "rawheader: starts with nothing, atop writes 0xfeedbeef", id="empty"),
        pytest.param(b"\x7fELF" * 120, "rawheader: starts with 7f454c46, atop writes 0xfeedbeef", id="magic"),
        pytest.param(b"\xef\xbe\xed", "rawheader: starts with efbeed, atop writes 0xfeedbeef", id="torn-magic"),
        pytest.param(b"\xef\xbe\xed\xfe" + bytes(475), "rawheader: 479 bytes, atop writes 480", id="short"),
        pytest.param(b"\xfe\xed\xbe\xef", "rawheader: 4 bytes, atop writes 480", id="magic-only"),
    ],
)
def test_what_is_no_header_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(WrongParser, match=f"^{re.escape(message)}$"):
        read_rawheader(data)


def test_cgroups_begin_with_2_11() -> None:
    assert load("2.10", "x86-64").cstat is None
    assert load("2.11", "x86-64").cstat is not None


def test_every_range_in_the_header_names_known_versions() -> None:
    text = Path(layout_module.__file__).with_name("layout.h").read_text(encoding="ascii")
    ranges = re.findall(r"^    \w.*;.*// .*?\[(.*)", text, re.MULTILINE)
    for first, dash, last in [written.removesuffix("]").partition("-") for written in ranges]:
        assert dash
        assert VERSIONS.index(first or VERSIONS[0]) <= VERSIONS.index(last or VERSIONS[-1])


def rawheader(version: str, sizes: tuple[int, ...], order: str) -> bytes:
    """A header as that version of atop begins a log with, on a machine of that byte order."""
    header = np.zeros((), load(VERSIONS[-1], "x86-64" if order == "<" else "s390x").rawheader)
    major, minor = map(int, version.split(".")[:2])
    header["magic"], header["aversion"] = 0xFEEDBEEF, 0x8000 | major << 8 | minor
    header["rawheadlen"], header["hertz"], header["pagesize"] = 480, 100, 4096
    header["rawreclen"], header["tstatlen"], header["sstatlen"], header["cstatlen"] = sizes
    header["utsname"]["nodename"] = b"web1"
    return header.tobytes()


Row = tuple[int, int, str, str]
"""Offset, size, kind as numpy's dtype.kind, type as C writes it."""


@cache
def all_compiled() -> dict[tuple[str, str], dict[str, dict[str, Row]]]:
    found: dict[tuple[str, str], dict[str, dict[str, Row]]] = {}
    with gzip.open(LAYOUTS, "rt", encoding="ascii", newline="") as lines:
        for abi, version, struct, member, offset, size, type_ in list(csv.reader(lines))[1:]:
            rows = found.setdefault((abi, version), {}).setdefault(OUR_NAMES.get(struct, struct), {})
            rows[OUR_NAMES.get(member, member)] = (int(offset), int(size), kind(type_), type_)
    return found


def compiled(abi: str, version: str) -> dict[str, dict[str, Row]]:
    """What the compiler said: structure, member (dotted; '' is the structure), row."""
    return all_compiled()[abi, version]


def kind(type_: str) -> str:
    """What numpy calls a C type; one-byte numbers and text are both c here, as C has them."""
    if "char" in type_:
        return "c"
    if "struct" in type_ or not type_:
        return "V"
    return "f" if type_ == "float" else "u" if "unsigned" in type_ else "i"


def dtypes_of(struct: str, ours: Any, structs: dict[str, dict[str, Row]]) -> Iterator[np.dtype[Any]]:  # noqa: ANN401  by name
    """Our dtypes of a structure: itself, or the elements of each array of it in sstat."""
    if hasattr(ours, struct):
        yield getattr(ours, struct)
    for holder, rows in structs.items():
        for member, row in rows.items():
            if row[3].startswith(f"struct {struct}["):
                yield field(getattr(ours, holder), member).base


def field(dtype: np.dtype[Any], path: str) -> np.dtype[Any]:
    for name in path.split("."):
        dtype = dtype[name]
    return dtype


def members(dtype: np.dtype[Any], path: str = "", start: int = 0) -> Iterator[tuple[str, tuple[int, int, str]]]:
    """Offset, size and kind of a dtype and of all that is in it, except in arrays of structures."""
    number = "c" if dtype.base.kind == "S" or dtype.base.itemsize == 1 else dtype.base.kind
    yield path, (start, dtype.itemsize, number)
    for name in dtype.names or ():
        offset: int = dtype.fields[name][1]  # type: ignore[index]  # has names, so has fields
        yield from members(dtype[name], f"{path}.{name}".lstrip("."), start + offset)


def leaves(dtype: np.dtype[Any]) -> Iterator[np.dtype[Any]]:
    if dtype.base.names is None:
        yield dtype.base
    for name in dtype.base.names or ():
        yield from leaves(dtype.base[name])
