"""Whose samples are that have no header before them: what headers of the same structures, and boots, tell."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from atop_timeline.header import RAWHEADER_BYTES, Header, without_header
from atop_timeline.layout import Layout
from atop_timeline.record import Sample

_MOST_HEADERS = 1 << 12
_MOST_BOOTS = 1 << 6  # of a machine
_MOST_LAYOUTS = 1 << 8
_CLOCK_ERROR_S = 1  # atop measures the time of boot anew at each start
_EXITED = b"E"[0]
_SEVERAL = "headers of several machines with the same structures are here"
_ONLY = "no other here is of a machine with the same structures"
_AT_ANOTHER_TIME = ", though behind it that machine booted at another time"
_OTHER = "the only machine here with the same structures had booted at another time then"
_NONE = "there is no header with the same structures here"


class Machines:
    """The headers of some bytes, each kind once, and when the machines booted as samples behind them say."""

    def __init__(self) -> None:
        self._headers: dict[Header, Header] = {}
        self._alike: dict[tuple[object, ...], list[Header]] = {}
        self._booted: dict[tuple[object, ...], list[Header]] = {}
        self._ran: dict[Header, dict[int, int]] = {}
        self._layouts: dict[Layout, None] = {}
        self._assumed: dict[Header, Header] = {}

    def known(self, header: Header) -> Header | None:
        """The first header that tells the same as this one; None where there are too many of them."""
        key = replace(header, start=0)
        if key not in self._headers and len(self._headers) < _MOST_HEADERS:
            self._headers[key] = header
            self._alike.setdefault(_structures(header.layout), []).append(header)
            self.saw(header.layout)
        return self._headers.get(key)

    def booted(self, header: Header, boots: Mapping[int, int]) -> None:
        """Keeps when the machine of a header booted, and the latest second at which it ran since."""
        ran = self._ran.setdefault(header, {})
        for boot, second in boots.items():
            if boot not in ran and len(ran) < _MOST_BOOTS:
                self._booted.setdefault((*_structures(header.layout), boot), []).append(header)
            if boot in ran or len(ran) < _MOST_BOOTS:
                ran[boot] = max(second, ran.get(boot, 0))

    def owner(self, layout: Layout, boots: Mapping[int, int]) -> Header:
        """The header that samples of this layout ought to be behind; `boots` as in `booted`.

        Its host name is empty where several machines could have it, or the only known one cannot.
        """
        structures = _structures(layout)
        seconds = {boot + error for boot in boots for error in range(-_CLOCK_ERROR_S, _CLOCK_ERROR_S + 1)}
        booted = [header for second in seconds for header in self._booted.get((*structures, second), [])]
        alike = self._alike.get(structures, [])
        if _is_one(booted):
            return self._of(booted, "that machine booted at the same time")
        if _is_one(alike) and any(self._ran_otherwise(header, boots) for header in alike):
            return self.unknown(layout, _OTHER)
        if _is_one(alike):
            is_other_boot = boots and any(self._ran.get(header) for header in alike)
            return self._of(alike, _ONLY + (_AT_ANOTHER_TIME if is_other_boot else ""))
        return self.unknown(layout, _SEVERAL if alike else _NONE)

    def _ran_otherwise(self, header: Header, boots: Mapping[int, int]) -> bool:
        """Whether its machine, once booted, ran while one that booted at another time did."""
        ran = self._ran.get(header, {})
        return any(
            abs(boot - other) > _CLOCK_ERROR_S and max(boot, other) <= min(second, until)
            for boot, second in boots.items()
            for other, until in ran.items()
        )

    def saw(self, layout: Layout) -> None:
        """Keeps that there are samples of this layout."""
        if len(self._layouts) < _MOST_LAYOUTS:
            self._layouts[layout] = None

    def layout_of(self, byte_order: str, record_bytes: int, sstat_bytes: int) -> Layout | None:
        """The one whose samples have these two lengths, by which the known ones differ, if there are such here."""
        wanted = (byte_order, record_bytes, sstat_bytes)
        alike = (each for each in self._layouts if (each.abi.byte_order, each.lengths[0], each.lengths[2]) == wanted)
        return next(alike, None)

    def unknown(self, layout: Layout, why: str = "") -> Header:
        """What stands in for a header where it is not known who wrote some samples."""
        caveat = f"carved without a header, host not known: {why}"
        header = without_header(0, layout, caveat)
        return self._assumed.setdefault(header, header)

    def _of(self, headers: Sequence[Header], why: str) -> Header:
        base = min(headers, key=lambda header: header.start)
        offset = base.start - RAWHEADER_BYTES
        caveat = f"carved without a header: host name taken from the header at offset {offset}, as {why}"
        header = replace(base, caveat="; ".join(filter(None, (base.caveat, caveat))))
        return self._assumed.setdefault(header, header)


def boots_of(sample: Sample) -> dict[int, int]:
    """When pid 1 started, and that of the sample, in seconds since 1970; empty where pid 1 is not in it."""
    gen = sample.tasks["gen"]
    is_first = (gen["pid"] == 1) & (gen["state"] != _EXITED)
    return dict.fromkeys(gen["btime"][is_first][:1].tolist(), int(sample.record["curtime"]))


def _structures(layout: Layout) -> tuple[object, ...]:
    return (layout.abi.byte_order, *layout.lengths)


def _is_one(headers: Sequence[Header]) -> bool:
    """Whether they are all of one machine."""
    return len({header.hostname for header in headers}) == 1
