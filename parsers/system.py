"""The whole machine in each sample: processors, load, memory, disks, interfaces, and what else atop counts.

What the structures mean: photosyst.h of atop. Only what is there gives events, not an array's empty places.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.recfunctions import repack_fields
from numpy.typing import NDArray

from atop_timeline.blocks import Samples
from atop_timeline.events import Column, Events, EventType, Facts, Kind
from atop_timeline.texts import UNKNOWN, Texts
from atop_timeline.timeline import Timeline

from . import rates, sstat
from .rates import Rate
from .sstat import Field, Text

_BATCH_BYTES = 1 << 23


class Part(NamedTuple):
    """Where in sstat structures are, and which field counts those in use; `label` tells what they are.

    Where no field counts them all are in use, if not 0 is in their field `online`.
    """

    place: str
    counts: str = ""
    label: str = ""
    online: str = ""


@dataclass(frozen=True)
class Thing:
    """What the events of a name tell of, and how their columns come about.

    `label` is the column that has the labels of parts. `position` is the one that tells which it is in the sample
    where no field does. `in_use`: it is there only where not all of it is 0.
    """

    name: str
    parts: tuple[Part, ...]
    fields: tuple[Field, ...]
    texts: tuple[Text, ...] = ()
    rates: tuple[Rate, ...] = ()
    label: Column | None = None
    position: str = ""
    in_use: bool = False

    @cached_property
    def event_type(self) -> EventType:
        """With all columns."""
        names = [each.column for each in self.texts] + ([self.label] if self.label else [])
        columns = (*dict.fromkeys(names), *(each.column for each in self.fields), *(each.column for each in self.rates))
        return EventType(self.name, "linux:atop:system", "Sample Time", f"system_{self.name}", columns)

    @cached_property
    def told(self) -> frozenset[str]:
        """The first part of the place of each field that is told."""
        sources = [each.sources for each in self.fields] + [each.sources for each in self.texts]
        others = [name for each in self.fields for name in (each.per, *(each.given or ())[:1])]
        return frozenset(str(each).partition(".")[0] for some in (*sources, others) for each in some)


_DISK_KIND = Column("disk_kind", Kind.TEXT, "", "disk, lvm (logical volume) or md (software RAID)")
_DISKS = (
    Part("dsk.dsk", "dsk.ndsk", "disk"),
    Part("dsk.lvm", "dsk.nlvm", "lvm"),
    Part("dsk.mdd", "dsk.nmdd", "md"),
)
_CPUS = (Part("cpu.all", label="all"), Part("cpu.cpu", "cpu.maxcpu cpu.nrcpu", online="online"))
_INTERFACE = (sstat.INTERFACE_NAME, sstat.INTERFACE_TYPE)
THINGS = (
    Thing("cpu", _CPUS, sstat.CPU, (sstat.CPU_NAME,), rates.CPU, sstat.CPU_NAME.column),
    Thing("load", (Part("cpu"),), sstat.LOAD),
    Thing("memory", (Part("mem"),), sstat.MEMORY),
    Thing("swap", (Part("mem"),), sstat.SWAP),
    Thing("paging", (Part("mem"),), sstat.PAGING),
    Thing("pressure", (Part("psi", "psi.present"),), sstat.PRESSURE),
    Thing("disk", _DISKS, sstat.DISK, (sstat.DISK_NAME,), rates.DISK, _DISK_KIND),
    Thing("interface", (Part("intf.intf", "intf.nrintf"),), sstat.INTERFACE, _INTERFACE, rates.INTERFACE),
    Thing("network", (Part("net"),), sstat.NETWORK),
    Thing("nfs_server", (Part("nfs.server"),), sstat.NFS_SERVER, in_use=True),
    Thing("nfs_client", (Part("nfs.client"),), sstat.NFS_CLIENT, in_use=True),
    Thing(
        "nfs_mount", (Part("nfs.nfsmounts.nfsmnt", "nfs.nfsmounts.nrmounts"),), sstat.NFS_MOUNT, (sstat.NFS_MOUNT_NAME,)
    ),
    Thing("gpu", (Part("gpu.gpu", "gpu.nrgpus"),), sstat.GPU, sstat.GPU_TEXTS, rates.GPU),
    Thing("infiniband", (Part("ifb.ifb", "ifb.nrports"),), sstat.INFINIBAND, (sstat.INFINIBAND_NAME,)),
    Thing("numa_memory", (Part("memnuma.numa", "memnuma.nrnuma"),), sstat.NUMA_MEMORY, position="numa_node"),
    Thing("numa_cpu", (Part("cpunuma.numa", "cpunuma.nrnuma"),), sstat.NUMA_CPU, (), rates.CPU, position="numa_node"),
    Thing("llc", (Part("llc.perllc", "llc.nrllcs"),), sstat.CACHE),
    Thing("openvz", (Part("cfs.cont", "cfs.nrcontainer"),), sstat.OPENVZ),
    Thing("www", (Part("www"),), sstat.WWW, in_use=True),
)


class SystemParser:
    """The whole machine; see the module."""

    name = "system"
    default = False
    event_types = tuple(each.event_type for each in THINGS)
    staging: tuple[EventType, ...] = ()

    def parse(self, samples: Samples, wanted: Collection[str]) -> Iterator[Events]:
        """The events of some samples; at most one of their structures is inflated at a time."""
        batch = _Batch(samples, [each for each in THINGS if each.event_type.name in wanted])
        for number in range(len(samples.records) if batch.things else 0):
            batch.gather(number)
            if batch.size > _BATCH_BYTES:
                yield from batch.events()
                batch = _Batch(samples, batch.things)
        yield from batch.events()

    def finish(self, timeline: Timeline) -> None:
        """Nothing is left to do: a sample tells all of the machine."""


class _Rows(NamedTuple):
    """Structures of one part in one sample."""

    sample: int
    label: str
    rows: NDArray[np.void]


class _Batch:
    """What is gathered of some samples, `size` bytes, until it becomes events."""

    def __init__(self, samples: Samples, things: list[Thing]) -> None:
        self.things = things
        self.size = 0
        self._samples = samples
        self._found: list[list[_Rows]] = [[] for _ in things]

    def gather(self, number: int) -> None:
        """Adds what is there in a sample."""
        whole = self._samples.system(number)
        if whole is None:
            return
        for thing, found in zip(self.things, self._found, strict=True):
            for part in thing.parts:
                rows = self._there(number, whole, part)
                if len(rows) and (not thing.in_use or rows.tobytes().strip(b"\0")):
                    found.append(_Rows(number, part.label, _copied(rows, thing)))
                    self.size += found[-1].rows.nbytes

    def events(self) -> Iterator[Events]:
        """The events of all that was gathered."""
        for thing, found in zip(self.things, self._found, strict=True):
            if found:
                yield _events(self._samples, thing, found)

    def _there(self, number: int, whole: np.void, part: Part) -> NDArray[np.void]:
        """The structures of a part that are there; none in a version that has none."""
        found, counted = sstat.at(whole, part.place), (sstat.at(whole, each) for each in part.counts.split())
        rows: NDArray[np.void] = np.atleast_1d(np.empty(0) if found is None else found)
        count = next((int(each) for each in counted if each is not None), len(rows))
        if not 0 <= count <= len(rows):
            where = f"system-level statistics of the record at offset {self._samples.offsets[number]}"
            self._samples.remark(number, f"{where}: {count} in {part.place}, which holds {len(rows)}")
        rows = rows[: max(count, 0)]
        online = sstat.field(rows, part.online.split())
        return rows if online is None else rows[online != 0]


def _copied(rows: NDArray[np.void], thing: Thing) -> NDArray[np.void]:
    """What a thing tells of structures, so that the rest of sstat may go."""
    copied: NDArray[np.void] = repack_fields(rows[[name for name in rows.dtype.names or () if name in thing.told]])
    return copied.copy()


def _events(samples: Samples, thing: Thing, found: list[_Rows]) -> Events:
    """An event for each structure."""
    counts = [len(each.rows) for each in found]
    sample = np.repeat([each.sample for each in found], counts)
    exact = np.zeros(len(sample), np.int64)
    columns = {
        "time_us": samples.records["curtime"][sample].astype(np.int64) * 1_000_000,
        "sample": samples.first + sample,
        "entry": np.arange(len(sample)) - np.searchsorted(sample, sample),
        "row": np.arange(len(sample)),
        "early_s": exact,
        "late_s": exact,
    }
    seconds = np.maximum(samples.records["interval"][sample].astype(np.int64), 1)
    rows = np.concatenate([each.rows for each in found])
    texts = Texts()
    labels = np.repeat([texts.number(each.label) for each in found], counts)
    numbers = {each.column.name: _text(rows, each, texts) for each in thing.texts}
    if thing.label:
        name = thing.label.name
        numbers[name] = np.where(labels == UNKNOWN, numbers.get(name, labels), labels)
    known = _columns(rows, thing, samples.header.pagesize, seconds)
    if thing.position:
        known.setdefault(thing.position, columns["entry"])
    return Events(thing.event_type, columns, Facts(known, numbers, texts.values))


def _columns(
    rows: NDArray[np.void], thing: Thing, pagesize: int, seconds: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """The columns that are known of structures, and the rates that follow from them; at least one column."""
    found = {each.column.name: each.values(rows, pagesize) for each in thing.fields}
    known = {name: values for name, values in found.items() if values is not None}
    derived = {each.column.name: each.values(known, seconds) for each in thing.rates}
    known |= {name: values for name, values in derived.items() if values is not None}
    return known or {thing.fields[0].column.name: _unknown(len(rows), thing.fields[0].column.kind)}


def _unknown(length: int, kind: Kind) -> NDArray[Any]:
    return np.ma.masked_array(np.zeros(length, np.int64 if kind is Kind.INTEGER else np.float64), mask=True)


def _text(rows: NDArray[np.void], text: Text, texts: Texts) -> NDArray[np.int64]:
    raw = sstat.field(rows, text.sources)
    if raw is None:
        return np.full(len(rows), UNKNOWN)
    if raw.dtype.kind == "S":
        return texts.decoded(raw)
    numbers = raw.astype(np.int64)
    names = text.names or {number: str(number) for number in np.unique(numbers).tolist()}
    return texts.looked_up(numbers, names)
