"""The structures of atop's raw logs as numpy dtypes, for each version of atop and kind of machine.

`layout.h` beside this file holds the facts; dissect.cstruct lays them out as a C compiler would.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from dissect.cstruct import Array, CharArray, Structure, cstruct

from atop_timeline.errors import UnknownLayout, WrongParser


class Abi(NamedTuple):
    """What of a machine changes a structure: the byte order, two widths, and one alignment."""

    name: str
    byte_order: str
    """As numpy and struct write it: < or >."""
    time_t: str
    """The C type that it is."""
    long: str
    """The C type that it is."""
    int64_alignment: int
    """In bytes."""


ABIS = {
    abi.name: abi
    for abi in (
        Abi("x86-64", "<", "int64", "int64", 8),  # aarch64 and ppc64le as well
        Abi("s390x", ">", "int64", "int64", 8),
        Abi("i386", "<", "int32", "int32", 4),
        Abi("armhf", "<", "int32", "int32", 8),
        Abi("armhf-time64", "<", "int64", "int32", 8),
    )
}
"""By name; the most frequent first."""

MAGICS = {b"\xef\xbe\xed\xfe": "x86-64", b"\xfe\xed\xbe\xef": "s390x"}
"""First bytes of a raw log (rawlog.h, MYMAGIC: 0xfeedbeef), and which of `ABIS` has their byte order."""

VERSIONS = (
    *("1.26", "1.27"),
    *("2.0", "2.1", "2.2", "2.2.3", "2.3", "2.4", "2.5", "2.6", "2.7", "2.8", "2.9"),
    *("2.10", "2.11", "2.12", "2.13"),
)
"""What `layout.h` tells apart, oldest first; 2.2.3 stands for 2.2-3 to 2.2.6."""

MOST_RECORD_BYTES = 256
"""A longer record is not looked for; all known ones have 96 or less."""


class Lengths(NamedTuple):
    """Of the structures that every sample has, in bytes."""

    rawrecord: int
    tstat: int
    sstat: int


@dataclass(frozen=True)
class Layout:
    """The structures that a version of atop writes on a kind of machine, each made when first asked for.

    Where a build of atop writes `foreign` lengths, which no known one does, the structures are those of a
    version near it as far as they have never changed: what else there is has no name.
    """

    version: str
    abi: Abi
    foreign: Lengths | None = None
    gen_offset: int = 0
    """Where `gen` begins in a foreign `tstat`."""

    @cached_property
    def rawheader(self) -> np.dtype[np.void]:
        """The start of a file."""
        return _dtype("rawheader", self.version, self.abi)

    @cached_property
    def rawrecord(self) -> np.dtype[np.void]:
        """The start of a sample."""
        known = _dtype("rawrecord", self.version, self.abi)
        return lengthened(known, self.foreign.rawrecord) if self.foreign else known

    @cached_property
    def tstat(self) -> np.dtype[np.void]:
        """One task: a process, a thread or an exited process."""
        if self.foreign is None:
            return _dtype("tstat", self.version, self.abi)
        return _structure({"gen": (_stable_gen(self.abi), self.gen_offset)}, self.foreign.tstat)

    @cached_property
    def sstat(self) -> np.dtype[np.void]:
        """The whole machine."""
        return np.dtype((np.void, self.foreign.sstat)) if self.foreign else _dtype("sstat", self.version, self.abi)

    @property
    def lengths(self) -> Lengths:
        """The lengths of the structures."""
        return Lengths(self.rawrecord.itemsize, self.tstat.itemsize, self.sstat.itemsize)

    @cached_property
    def cstat(self) -> np.dtype[np.void] | None:
        """One cgroup, without the name that follows it; None before atop 2.11, which has none."""
        has_cgroups = "cstatlen" in (self.rawheader.names or ())
        return _dtype("cstat", self.version, self.abi) if has_cgroups else None


@cache
def load(version: str, abi: str) -> Layout:
    """The layout of one of `VERSIONS` and one of `ABIS`."""
    return Layout(version, ABIS[abi])


_NEWEST = VERSIONS[-1]
_STABLE_SINCE = VERSIONS[1]
"""What of `gen` is where it was then in the newest version as well, is taken to be there in any later one."""


def read_rawheader(data: bytes) -> np.void:
    """The header at the start of a raw log, with the fields of the newest atop and the log's own byte order.

    Only the byte order differs between machines, and what a version does not know is 0. Raises WrongParser
    where the data is not a raw log, or ends inside the header.
    """
    abi = MAGICS.get(bytes(data[:4]))
    if abi is None:
        raise WrongParser(f"rawheader: starts with {data[:4].hex() or 'nothing'}, atop writes 0xfeedbeef")
    rawheader = load(_NEWEST, abi).rawheader
    if len(data) < rawheader.itemsize:
        raise WrongParser(f"rawheader: {len(data)} bytes, atop writes {rawheader.itemsize}")
    header: np.void = np.frombuffer(data, rawheader, count=1)[0]
    return header


def layout_of(header: np.void) -> Layout:
    """The layout of the log that a header begins, as its version and its lengths tell.

    utsname.machine does not tell: it is the kernel's, not atop's. A version that is not known is tried as the
    newest one, as atop itself compares nothing but the lengths (rawlog.c). Raises UnknownLayout where the
    lengths fit none.
    """
    release, lengths = release_of(header), lengths_of(header)
    versions = _versions(release) or [_NEWEST]
    for layout in _known(header.dtype["magic"].str[0], lengths, versions):
        if layout.cstat is None or layout.cstat.itemsize == header["cstatlen"]:
            return layout
    found = lengths._asdict() | ({"cstat": int(header["cstatlen"])} if header["cstatlen"] else {})
    sizes = "/".join(map(str, found.values()))
    raise UnknownLayout(f"atop {release} writes {'/'.join(found)} of {sizes} bytes, which no known atop does")


def lengths_of(header: np.void) -> Lengths:
    """The lengths that a header announces."""
    return Lengths(int(header["rawreclen"]), int(header["tstatlen"]), int(header["sstatlen"]))


def release_of(header: np.void) -> str:
    """The version that a header tells, such as `2.8`: without the patch level."""
    aversion = int(header["aversion"])
    return f"{aversion >> 8 & 0x7F}.{aversion & 0xFF}"


def inferred_layouts(byte_order: str, lengths: Lengths, release: str) -> Iterator[Layout]:
    """Layouts that samples of these lengths may have, whatever their header says; the likeliest first.

    A known one: of the release if it fits, else the oldest that does, whose fields newer ones have as well.
    Else what is stable, wherever `gen` may begin, of the version next to the release.
    """
    versions = [*_versions(release), *VERSIONS]
    known = list(_known(byte_order, lengths, versions))
    yield from known[:1]
    if not known and lengths.tstat % _WORD == 0 and lengths.rawrecord < MOST_RECORD_BYTES:
        near = _versions(release)[-1:] or [_NEWEST]
        abis = [abi for abi in ABIS.values() if abi.byte_order == byte_order]
        for abi in abis:
            room = lengths.tstat - _stable_gen(abi).itemsize
            if lengths.rawrecord >= _dtype("rawrecord", near[0], abi).itemsize:
                yield from (Layout(near[0], abi, lengths, offset) for offset in range(0, room + 1, _WORD))


def lengthened(dtype: np.dtype[np.void], itemsize: int) -> np.dtype[np.void]:
    """The same fields at the start of a longer structure."""
    return _structure(dtype.fields or {}, itemsize)


_WORD = 4


def _versions(release: str) -> list[str]:
    return [version for version in VERSIONS if f"{version}.".startswith(f"{release}.")]


def _known(byte_order: str, lengths: Lengths, versions: Sequence[str]) -> Iterator[Layout]:
    abis = [name for name, abi in ABIS.items() if abi.byte_order == byte_order]
    for abi, version in product(abis, versions):
        if _fits(load(version, abi), lengths):
            yield load(version, abi)


def _fits(layout: Layout, lengths: Lengths) -> bool:
    return (
        layout.rawrecord.itemsize == lengths.rawrecord
        and layout.tstat.itemsize == lengths.tstat
        and layout.sstat.itemsize == lengths.sstat  # last: the dearest to make
    )


@cache
def _stable_gen(abi: Abi) -> np.dtype[np.void]:
    """What of `gen` is the same since `_STABLE_SINCE`."""
    old: Mapping[str, Any] = _dtype("tstat", _STABLE_SINCE, abi)["gen"].fields or {}
    new: Mapping[str, Any] = _dtype("tstat", _NEWEST, abi)["gen"].fields or {}
    same = {name: new[name][:2] for name in old if old[name][:2] == new.get(name, ())[:2]}
    return _structure(same, max(offset + dtype.itemsize for dtype, offset in same.values()))


def _structure(fields: Mapping[str, tuple[Any, ...]], itemsize: int) -> np.dtype[np.void]:
    formats, offsets = [each[0] for each in fields.values()], [each[1] for each in fields.values()]
    return np.dtype({"names": list(fields), "formats": formats, "offsets": offsets, "itemsize": itemsize})


@cache
def _dtype(struct: str, version: str, abi: Abi) -> np.dtype[np.void]:
    types = cstruct(endian=abi.byte_order)
    types.int64.alignment = abi.int64_alignment
    names = {"count_t": "int64", "time_t": abi.time_t, "long": abi.long, "unsigned long": f"u{abi.long}"}
    for name, type_ in names.items():
        types.add_type(name, type_, replace=True)
    definitions = _definitions(version)
    needed = dict.fromkeys(_parts(struct, definitions))
    types.load("\n".join(map(definitions.__getitem__, needed)), align=True, compiled=False)
    dtype: np.dtype[np.void] = np.dtype(_numpy_type(types.resolve(struct)))
    return dtype


@cache
def _definitions(version: str) -> dict[str, str]:
    lines = Path(__file__).with_name("layout.h").read_text(encoding="ascii").splitlines()
    text = "\n".join(line for line in lines if _is_in(line, version))
    return {match[1]: match[0] for match in re.finditer(r"(?ms)^struct (\w+) \{.*?^\};", text)}


def _is_in(line: str, version: str) -> bool:
    versions = re.search(r"//.*\[([\d.]*)-([\d.]*)\]$", line)
    if versions is None:
        return True
    first, last = versions[1] or VERSIONS[0], versions[2] or _NEWEST
    return VERSIONS.index(first) <= VERSIONS.index(version) <= VERSIONS.index(last)


def _parts(struct: str, definitions: dict[str, str]) -> Iterator[str]:
    """The structures that a structure is made of, and itself; each after its own parts."""
    for part in re.findall(r"(?m)^ +struct (\w+)", definitions[struct]):
        yield from _parts(part, definitions)
    yield struct


def _numpy_type(ctype: Any) -> Any:  # noqa: ANN401  dissect.cstruct's types have no types
    """What np.dtype makes of a type of dissect.cstruct."""
    if issubclass(ctype, CharArray):
        return f"S{ctype.num_entries}"
    if issubclass(ctype, Array):
        return _numpy_type(ctype.type), (ctype.num_entries,)
    if issubclass(ctype, Structure):
        return {
            "names": [field.name for field in ctype.__fields__],
            "formats": [_numpy_type(field.type) for field in ctype.__fields__],
            "offsets": [field.offset for field in ctype.__fields__],
            "itemsize": ctype.size,
        }
    return np.dtype(ctype.cs.endian + ctype.packchar).str
