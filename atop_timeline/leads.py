"""Where in any bytes headers and records of raw logs may begin, as their numbers tell; most leads are false.

The format: rawlog.h of atop.
"""

import re
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from atop_timeline.header import RAWHEADER_BYTES
from atop_timeline.layout import ABIS, MAGICS, MOST_RECORD_BYTES, VERSIONS, lengthened, load
from atop_timeline.record import LAST_SECOND, MOST_TASK_BYTES, STREAM_START, could_hold

HEADER_HEAD = 12
"""Bytes by which a header is known: magic, version, and its length."""

MOST_SSTAT_BYTES = 1 << 22
"""Three times the largest."""

COMPRESSED = b"\x78\x9c"
"""How every zlib stream of atop's compress() begins."""

_SHORTEST_STREAM = 8
_STARTS = np.array([re.fullmatch(STREAM_START, bytes((0x78, byte))) is not None for byte in range(256)])


@cache
def forms_of(record_length: int = 0) -> tuple[np.dtype[np.void], ...]:
    """Records as all known versions and machines write them, each once; and of this length."""
    known = [load(version, abi).rawrecord for abi in ABIS for version in (VERSIONS[-1], VERSIONS[0])]
    if record_length <= MOST_RECORD_BYTES:
        known += [lengthened(form, record_length) for form in known[::2] if form.itemsize < record_length]
    by_shape = {shape_of(form): form for form in known}
    return tuple(by_shape.values())


def shape_of(form: np.dtype[np.void]) -> tuple[str, int]:
    """By what records are told apart."""
    return form["curtime"].str, form.itemsize


def headers(window: NDArray[np.uint8]) -> list[int]:
    """Where in a window headers may begin, as magic and length tell."""
    found: list[int] = []
    starts = _magics(window[: 3 - HEADER_HEAD])
    for magic, abi in MAGICS.items():
        length = np.frombuffer(np.array(RAWHEADER_BYTES, f"{ABIS[abi].byte_order}u2").tobytes(), np.uint8)
        places = starts
        for offset, byte in enumerate([*magic, *[None] * 6, *length.tolist()]):
            if byte is not None and len(places):
                places = places[window[places + offset] == byte]
        found += places.tolist()
    return found


def records(window: NDArray[np.uint8], streams: NDArray[np.intp], form: np.dtype[np.void]) -> NDArray[np.intp]:
    """Where in a window records of this form may begin, before some of its streams."""
    places: NDArray[np.intp] = streams[streams >= form.itemsize] - form.itemsize
    highest: int = form.fields["scomplen"][1] + (3 if form["scomplen"].str[0] == "<" else 0)  # type: ignore[index]  # it has
    places = places[window[places + highest] == 0]  # most are gone with it, as no sstat is that large
    if not len(places):
        return places
    found = sliding_window_view(window, form.itemsize)[places].view(form)[:, 0]
    count = found["ndeviat" if "ndeviat" in (form.names or ()) else "nlist"]
    sane = (found["curtime"] > 0) & (found["curtime"] <= LAST_SECOND) & (count <= MOST_TASK_BYTES)
    sane &= (found["scomplen"] >= _SHORTEST_STREAM) & could_hold(found["scomplen"], MOST_SSTAT_BYTES)
    sane &= (found["pcomplen"] >= _SHORTEST_STREAM) & could_hold(found["pcomplen"], MOST_TASK_BYTES)
    chosen: NDArray[np.intp] = places[sane]
    return chosen


def followed(window: NDArray[np.uint8], places: NDArray[np.intp], form: np.dtype[np.void]) -> NDArray[np.intp]:
    """Those records whose task list begins like a stream, or not within the window."""
    if not len(places):
        return places
    scomplen = sliding_window_view(window, form.itemsize)[places].view(form)[:, 0]["scomplen"]
    lists = places + form.itemsize + scomplen.astype(np.intp)
    is_beyond = lists + 2 > len(window)
    lists[is_beyond] = 0
    chosen: NDArray[np.intp] = places[is_beyond | ((window[lists] == COMPRESSED[0]) & _STARTS[window[lists + 1]])]
    return chosen


def pairs(window: NDArray[np.uint8], pair: bytes) -> NDArray[np.intp]:
    """Where in a window two bytes are; by some gigabytes in a second."""
    return np.flatnonzero((window[:-1] == pair[0]) & (window[1:] == pair[1]))


def _magics(window: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Where in a window a magic may be: its middle two bytes have the same sum in either byte order."""
    sums = window[1:-1] + window[2:]
    return np.flatnonzero(sums == (0xBE + 0xED) % 256)
