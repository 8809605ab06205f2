"""The structures of atop's raw logs as numpy dtypes, for each version of atop and kind of machine.

`layout.h` beside this file holds the facts; dissect.cstruct lays them out as a C compiler would.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from dissect.cstruct import Array, CharArray, Structure, cstruct  # type: ignore[import-untyped]  # no py.typed

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


@dataclass(frozen=True)
class Layout:
    """The structures that a version of atop writes on a kind of machine, each made when first asked for."""

    version: str
    abi: Abi

    @cached_property
    def rawheader(self) -> np.dtype[np.void]:
        """The start of a file."""
        return _dtype("rawheader", self.version, self.abi)

    @cached_property
    def rawrecord(self) -> np.dtype[np.void]:
        """The start of a sample."""
        return _dtype("rawrecord", self.version, self.abi)

    @cached_property
    def tstat(self) -> np.dtype[np.void]:
        """One task: a process, a thread or an exited process."""
        return _dtype("tstat", self.version, self.abi)

    @cached_property
    def sstat(self) -> np.dtype[np.void]:
        """The whole machine."""
        return _dtype("sstat", self.version, self.abi)

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


_LENGTHS = {"rawrecord": "rawreclen", "tstat": "tstatlen", "sstat": "sstatlen", "cstat": "cstatlen"}


def layout_of(header: np.void) -> Layout:
    """The layout of the log that a header begins, as its version and its lengths tell.

    utsname.machine does not tell: it is the kernel's, not atop's. A version that is not known is tried as the
    newest one, as atop itself compares nothing but the lengths (rawlog.c). Raises UnknownLayout where the
    lengths fit none.
    """
    found = {name: int(header[length]) for name, length in _LENGTHS.items() if header[length]}
    for layout in _candidates(header):
        if _fits(layout, found):
            return layout
    sizes = "/".join(map(str, found.values()))
    raise UnknownLayout(f"atop {_release(header)} writes {'/'.join(found)} of {sizes} bytes, which no known atop does")


def _candidates(header: np.void) -> Iterator[Layout]:
    release, order = _release(header), header.dtype["magic"].str[0]
    versions = [version for version in VERSIONS if f"{version}.".startswith(f"{release}.")] or [_NEWEST]
    abis = [name for name, abi in ABIS.items() if abi.byte_order == order]
    return (load(version, abi) for abi, version in product(abis, versions))


def _release(header: np.void) -> str:
    aversion = int(header["aversion"])
    return f"{aversion >> 8 & 0x7F}.{aversion & 0xFF}"


def _fits(layout: Layout, found: dict[str, int]) -> bool:
    return (
        layout.rawrecord.itemsize == found.get("rawrecord")
        and layout.tstat.itemsize == found.get("tstat")
        and layout.sstat.itemsize == found.get("sstat")  # last: the dearest to make
        and (layout.cstat is None or layout.cstat.itemsize == found.get("cstat"))
    )


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
