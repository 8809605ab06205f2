"""Who wrote the samples of a raw log: its header, as atop wrote it or as samples let it be inferred.

The format: rawlog.h of atop, struct rawheader. All versions have 480 bytes of it.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from atop_timeline.layout import VERSIONS, Layout, layout_of, load, read_rawheader, release_of
from atop_timeline.texts import decode

RAWHEADER_BYTES = 480
"""Where the first record behind a header begins, in every version and on every machine."""

PAGE_BYTES = 4096
"""Where no header tells another."""

HERTZ = 100
"""Ticks a second: in every header that was ever seen, as in the kernel's accounting (acct(5), AHZ)."""

_RAWLOGNG = 0x35  # atop.h: look at the record's flags; in every header since 2.2.6
_SYSNAME = b"Linux"
_SYSNAME_FIELD, _NODENAME = slice(36, 101), slice(101, 166)


@dataclass(frozen=True)
class Header:
    """The machine and the atop behind some samples; `kernel` and `kernel_version` are its release and version.

    `start` is where the first record behind it ought to be in the log. `caveat` says what of it was
    inferred, empty where it is as atop wrote it.
    """

    start: int
    layout: Layout
    hostname: str
    release: str
    supportflags: int
    caveat: str = ""
    kernel: str = ""
    kernel_version: str = ""
    machine: str = ""
    pagesize: int = PAGE_BYTES
    """In bytes."""

    @cached_property
    def version(self) -> tuple[int, int]:
        """Of the atop that wrote the header; it does not tell its patch level."""
        major, minor = self.release.split(".")[:2]
        return int(major), int(minor)

    @property
    def atop_version(self) -> str:
        """The same as text, such as `2.8`."""
        return "{}.{}".format(*self.version)


def read_header(data: bytes, offset: int = 0) -> Header:
    """The header that these bytes, from this offset of a log, begin with.

    Raises `WrongParser` where it is none, `UnknownLayout` where no known atop wrote it.
    """
    raw = read_rawheader(data)
    return header_of(raw, offset, layout_of(raw))


def header_of(raw: np.void, offset: int, layout: Layout, caveat: str = "") -> Header:
    """The header whose structure this is, for samples of this layout."""
    if raw["hertz"] != HERTZ:
        caveat = "; ".join(filter(None, (caveat, f"damaged header: hertz is {raw['hertz']}, read as {HERTZ}")))
    names = {name: decode(bytes(raw["utsname"][name])) for name in ("nodename", "release", "version", "machine")}
    return Header(
        offset + RAWHEADER_BYTES,
        layout,
        names["nodename"],
        release_of(raw),
        int(raw["supportflags"]),
        caveat,
        names["release"],
        names["version"],
        names["machine"],
        int(raw["pagesize"]) or PAGE_BYTES,
    )


def shortened(header: Header, data: bytes, end: int) -> Header:
    """A header of which bytes are missing: it begins this data, and its first sample already begins at `end`.

    The host name stays if it is in what is left, and where it ought to be.
    """
    is_there = end >= _NODENAME.stop and data[_SYSNAME_FIELD].rstrip(b"\0") == _SYSNAME
    caveat = f"damaged header: {RAWHEADER_BYTES - end} bytes of it are missing"
    hostname = header.hostname if is_there else ""
    return replace(header, hostname=hostname, caveat="; ".join(filter(None, (header.caveat, caveat))))


def in_place(data: bytes) -> np.void | None:
    """What stands where a header ought to, if that was a header whose magic is damaged."""
    abi = "x86-64" if data[5:6] >= b"\x80" else "s390x"  # aversion has its highest bit set
    raw = np.frombuffer(data.ljust(RAWHEADER_BYTES, b"\0"), load(VERSIONS[-1], abi).rawheader, 1)[0]
    return raw if raw["utsname"]["sysname"] == _SYSNAME else None


def without_header(offset: int, layout: Layout, caveat: str) -> Header:
    """The header of samples, the first of them at an offset, before which none can be read."""
    return Header(offset, layout, "", layout.version, _RAWLOGNG, caveat)
