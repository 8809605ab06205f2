"""Samples that were found without a header, one next to the other, until it is known whose they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from atop_timeline.layout import Layout
from atop_timeline.machines import boots_of
from atop_timeline.record import BOOT, Sample

_SECTOR_BYTES = 1 << 9


class Run(NamedTuple):
    """Samples without a header, one next to the other; one that is torn has its own, without a layout at first."""

    offset: int
    samples: int
    boots: Mapping[int, int]
    """As Machines takes them."""
    layout: Layout | None
    is_doubtful: bool = False
    """Whether the time of the first may be of other bytes."""
    torn: tuple[str, int, int] = ("", 0, 0)
    """Byte order and lengths of the record and the system-level data, by which the layout is found later."""


@dataclass
class Gathered:
    """What is in a run; `is_alone` unless the second sample says when the first one was."""

    whole: int = 0
    parts: list[int] = field(default_factory=list)
    boots: dict[int, int] = field(default_factory=dict)
    is_alone: bool = True
    first_second: int = 0

    def count(self, sample: Sample) -> None:
        """Add the next sample."""
        second, interval = int(sample.record["curtime"]), int(sample.record["interval"])
        is_boot = bool(int(sample.record["flags"]) & BOOT)
        if not self.whole:
            self.first_second = second
        elif self.whole == 1:
            self.is_alone = is_boot or max(second - self.first_second, 1) != interval
        self.boots |= boots_of(sample)
        self.whole += sample.whole
        self.parts += [] if sample.whole else [sample.offset]


def begins_before(offset: int, form: np.dtype[np.void]) -> bool:
    """Whether a record has its time in another sector than its lengths, which are proved."""
    lengths: int = offset + form.fields["scomplen"][1]  # type: ignore[index]  # it has fields
    return offset // _SECTOR_BYTES < lengths // _SECTOR_BYTES


def doubted(sample: Sample) -> Sample:
    """The same, marked as one whose time is not proved."""
    what = "its time is not proved: it lies in the sector before the rest, and may be of something else"
    return sample._replace(caveat="; ".join(filter(None, (sample.caveat, what))))
