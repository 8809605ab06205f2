"""What a sample has of the whole machine as columns of events: name, unit, and the field of sstat that each comes from.

What the fields mean: photosyst.h and photosyst.c of atop. Left out is what is reserved.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atop_timeline.events import Column, Kind
from atop_timeline.header import HERTZ

from . import netstat, tstat
from .tstat import KIB, SECTOR

_WORD = 4  # what port_rcv_data and port_xmit_data count: bytes, divided by 4 (sysfs-class-infiniband)
_MICROSECONDS = 1_000_000
_MOST = np.iinfo(np.int64).max
_DIGITS = 2  # that floating point numbers of atop's have at least


class Field(NamedTuple):
    """A column, where it comes from (the first of `sources` that the layout has), and how it is counted there.

    `pages`: in pages of the header's size. `per`: a field that it is the sum over, if that is not 0. `positive`: 0
    is unknown as well, as lower numbers always are. `given`: another field, and the least that it is if a 0 of
    this one is known.
    """

    column: Column
    sources: tuple[str, ...]
    factor: int = 1
    divisor: int = 1
    pages: bool = False
    per: str = ""
    positive: bool = False
    given: tuple[str, int] | None = None

    def values(self, rows: NDArray[np.void], pagesize: int) -> NDArray[Any] | None:
        """The column of some structures, masked where it is unknown; None where it is so everywhere."""
        raw = field(rows, self.sources)
        if raw is None:
            return None
        known = self._known(rows, raw)
        values = self._values(rows, np.where(known, raw, 0), pagesize)
        if self.column.kind is Kind.INTEGER:
            known &= values >= 0
        return np.ma.masked_array(values, ~known) if known.any() else None

    def _known(self, rows: NDArray[np.void], raw: NDArray[Any]) -> NDArray[np.bool_]:
        known: NDArray[np.bool_] = np.isfinite(raw) & (raw >= int(self.positive))
        if self.given is not None:
            place, least = self.given
            given = field(rows, (place,))
            known &= (raw > 0) if given is None else (raw > 0) | (given >= least)
        return known

    def _values(self, rows: NDArray[np.void], raw: NDArray[Any], pagesize: int) -> NDArray[Any]:
        """Whole numbers are -1 where none holds them."""
        match self.column.kind:
            case Kind.FLAG:
                return raw.astype(np.bool_)
            case Kind.INTEGER:
                return _whole(raw.astype(np.int64), self.factor * (pagesize if self.pages else 1))
            case _:
                return self._numbers(rows, raw)

    def _numbers(self, rows: NDArray[np.void], raw: NDArray[Any]) -> NDArray[np.float64]:
        summed = field(rows, (self.per,))
        numbers: NDArray[np.float64] = raw.astype(np.float64) * self.factor / self.divisor
        numbers = numbers if summed is None else numbers / np.maximum(summed, 1)
        return numbers.round(_DIGITS) if raw.dtype.kind == "f" or self.per else numbers


def _whole(raw: NDArray[np.int64], factor: int) -> NDArray[np.int64]:
    return np.where((raw < 0) | (raw > _MOST // factor), -1, raw * factor)


class Text(NamedTuple):
    """A column of text, and where it comes from: a text, or a number that has one in `names`, or is told itself."""

    column: Column
    sources: tuple[str, ...]
    names: Mapping[int, str] | None = None


def _count(name: str, source: str, meaning: str, unit: str = "", *, positive: bool = False) -> Field:
    return Field(Column(name, Kind.INTEGER, unit, meaning), tuple(source.split()), positive=positive)


def _bytes(name: str, source: str, meaning: str, factor: int = 1) -> Field:
    return Field(Column(name, Kind.INTEGER, "byte", meaning), tuple(source.split()), factor)


def _pages(name: str, source: str, meaning: str) -> Field:
    return Field(Column(name, Kind.INTEGER, "byte", meaning), tuple(source.split()), pages=True)


def _ticks(name: str, source: str, meaning: str) -> Field:
    return Field(Column(name, Kind.NUMBER, "s", meaning), (source,), divisor=HERTZ)


def _number(name: str, source: str, meaning: str, unit: str = "", factor: int = 1) -> Field:
    return Field(Column(name, Kind.NUMBER, unit, meaning), (source,), factor)


def _flag(name: str, source: str, meaning: str) -> Field:
    return Field(Column(name, Kind.FLAG, "", meaning), (source,))


def _text(name: str, source: str, meaning: str, names: Mapping[int, str] | None = None) -> Text:
    return Text(Column(name, Kind.TEXT, "", meaning), tuple(source.split()), names)


CPU_TIME = (
    _ticks("cpu_user_seconds", "utime", "processor time in user mode in the interval, with that of guests"),
    _ticks("cpu_nice_seconds", "ntime", "processor time in user mode, niced"),
    _ticks("cpu_system_seconds", "stime", "processor time in system mode"),
    _ticks("cpu_irq_seconds", "Itime", "processor time of interrupts"),
    _ticks("cpu_softirq_seconds", "Stime", "processor time of soft interrupts"),
    _ticks("cpu_steal_seconds", "steal", "processor time that other virtual machines took"),
    _ticks("cpu_idle_seconds", "itime", "idle time"),
    _ticks("cpu_wait_seconds", "wtime", "idle time with a disk transfer outstanding"),
    _ticks("cpu_guest_seconds", "guest", "processor time of virtual machines"),
)
CPU_NAME = _text("cpu", "cpunr", "number of the processor; all: all of them together")
CPU = (
    *CPU_TIME,
    _count("cpu_maximum_mhz", "freqcnt.maxfreq", "highest frequency", "MHz", positive=True),
    Field(
        Column("cpu_mhz", Kind.NUMBER, "MHz", "frequency; on average, where the kernel counts it"),
        ("freqcnt.cnt",),
        per="freqcnt.ticks",
        positive=True,
    ),
    _count("cpu_instructions", "instr", "instructions in the interval", positive=True),
    _count("cpu_cycles", "cycle", "cycles in the interval", positive=True),
)
LOAD = (
    _count("cpu_count", "nrcpu", "processors online"),
    _count("cpu_highest", "maxcpu", "processors, also those not online"),
    _number("load_1", "lavg1", "load average of 1 minute"),
    _number("load_5", "lavg5", "load average of 5 minutes"),
    _number("load_15", "lavg15", "load average of 15 minutes"),
    _count("context_switches", "csw", "in the interval"),
    _count("interrupts", "devint", "in the interval"),
    _count("tasks_started", "nprocs", "processes and threads started in the interval"),
)
MEMORY = (
    _pages("memory_total_bytes", "physmem", "physical memory"),
    _pages("memory_free_bytes", "freemem", "of it free"),
    _pages("memory_available_bytes", "availablemem", "available without swapping"),
    _pages("memory_low_watermark_bytes", "lowwatermark", "free memory below which the kernel reclaims"),
    _pages("memory_cache_bytes", "cachemem", "page cache"),
    _pages("memory_dirty_bytes", "cachedrt", "of it still to be written to disk"),
    _pages("memory_buffer_bytes", "buffermem", "buffers of file systems"),
    _pages("memory_slab_bytes", "slabmem", "the kernel's own objects"),
    _pages("memory_slab_reclaimable_bytes", "slabreclaim", "of these what can be reclaimed"),
    _pages("memory_page_table_bytes", "pagetables", "page tables"),
    _pages("memory_shared_bytes", "shmem", "shared memory and tmpfs"),
    _pages("memory_sysv_resident_bytes", "shmrss", "System V shared memory in memory"),
    _pages("memory_sysv_swapped_bytes", "shmswp", "System V shared memory swapped out"),
    _pages("memory_tcp_bytes", "tcpsock", "buffers of TCP sockets"),
    _pages("memory_udp_bytes", "udpsock", "buffers of UDP sockets"),
    _pages("memory_balloon_bytes", "vmwballoon", "claimed by VMware's balloon"),
    _pages("memory_zfs_bytes", "zfsarcsize", "cache of ZFS"),
    _pages("memory_ksm_sharing_bytes", "ksmsharing", "saved by merging equal pages"),
    _pages("memory_ksm_shared_bytes", "ksmshared", "what others were merged into"),
    _pages("memory_transparent_huge_bytes", "anonhugepage", "transparent huge pages"),
    _count("huge_page_count", "stothugepage tothugepage", "huge pages"),
    _count("huge_pages_free", "sfreehugepage freehugepage", "of them free"),
    _bytes("huge_page_bytes", "shugepagesz hugepagesz", "size of one of them"),
    _count("large_huge_page_count", "ltothugepage", "huge pages of the other size"),
    _count("large_huge_pages_free", "lfreehugepage", "of them free"),
    _bytes("large_huge_page_bytes", "lhugepagesz", "size of one of them"),
)
SWAP = (
    _pages("swap_total_bytes", "totswap", "swap space"),
    _pages("swap_free_bytes", "freeswap", "of it free"),
    _pages("swap_cached_bytes", "swapcached", "swapped out and in memory as well"),
    _pages("committed_bytes", "committed", "memory promised to processes"),
    _pages("commit_limit_bytes", "commitlim", "memory that may be promised"),
    _pages("zswap_stored_bytes", "zswapped zswstored", "held by zswap, before compression"),
    _pages("zswap_pool_bytes", "zswap zswtotpool", "memory that zswap needs for it"),
)
PAGING = (
    _count("pages_scanned", "pgscans", "in search of memory in the interval"),
    _count("pages_reclaimed", "pgsteal", "of them reclaimed"),
    _count("allocation_stalls", "allocstall", "allocations that had to reclaim first"),
    _count("compaction_stalls", "compactstall", "allocations that had to compact memory first"),
    _count("pages_migrated", "pgmigrate", "moved in memory"),
    _count("numa_pages_migrated", "numamigrate", "moved between NUMA nodes"),
    _pages("paged_in_bytes", "pgins", "read from block devices in the interval"),
    _pages("paged_out_bytes", "pgouts", "written to block devices in the interval"),
    _pages("swapped_in_bytes", "swins", "read from swap space"),
    _pages("swapped_out_bytes", "swouts", "written to swap space"),
    _pages("zswap_in_bytes", "zswins", "from zswap to memory"),
    _pages("zswap_out_bytes", "zswouts", "from zswap to disk"),
    _count("oom_kills", "oomkills", "processes killed for want of memory in the interval"),
)


def _pressure(name: str, source: str, who: str) -> tuple[Field, ...]:
    averages = tuple(
        _number(
            f"{name}_pressure_{seconds}_percent", f"{source}.avg{seconds}", f"time of the last {seconds} s {who}", "%"
        )
        for seconds in (10, 60, 300)
    )
    total = Column(f"{name}_pressure_seconds", Kind.NUMBER, "s", f"time of the interval {who}")
    return (*averages, Field(total, (f"{source}.total",), divisor=_MICROSECONDS))


PRESSURE = (
    *_pressure("cpu_some", "cpusome", "in which some task waited for a processor"),
    *_pressure("memory_some", "memsome", "in which some task waited for memory"),
    *_pressure("memory_full", "memfull", "in which all tasks waited for memory"),
    *_pressure("io_some", "iosome", "in which some task waited for disks"),
    *_pressure("io_full", "iofull", "in which all tasks waited for disks"),
)
_OF_A_TASK = {each.column.name: each.column for each in tstat.DISK + tstat.OPENVZ}
DISK_NAME = _text("disk", "name", "name of the device")
DISK = (
    _count("disk_reads", "nread", "read operations in the interval"),
    Field(_OF_A_TASK["disk_read_bytes"], ("nrsect",), SECTOR),
    _count("disk_writes", "nwrite", "write operations in the interval"),
    Field(_OF_A_TASK["disk_write_bytes"], ("nwsect",), SECTOR),
    _count("disk_discards", "ndisc", "discard operations in the interval"),
    _bytes("disk_discard_bytes", "ndsect", "discarded in the interval", SECTOR)._replace(given=("ndisc", 0)),
    _count("disk_busy_ms", "io_ms", "time with a request in the interval", "ms"),
    _count("disk_queue_ms", "avque", "time of all requests together", "ms"),
    _count("disk_in_flight", "inflight", "requests now"),
)
INTERFACE_NAME = _text("interface", "name", "name of the network interface")
INTERFACE_TYPE = _text(
    "interface_type",
    "type",
    "ethernet, wireless or virtual",
    {ord("e"): "ethernet", ord("w"): "wireless", ord("v"): "virtual"},
)
INTERFACE = (
    _bytes("interface_received_bytes", "rbyte", "received in the interval"),
    _count("interface_received_packets", "rpack", "received in the interval"),
    _count("interface_received_errors", "rerrs", "errors in receiving"),
    _count("interface_received_drops", "rdrop", "received packets that were dropped"),
    _count("interface_received_overruns", "rfifo", "overruns of the buffer in receiving"),
    _count("interface_received_framing_errors", "rframe", "framing errors in receiving"),
    _count("interface_received_compressed", "rcompr", "compressed packets received"),
    _count("interface_received_multicasts", "rmultic", "multicast packets received"),
    _bytes("interface_sent_bytes", "sbyte", "sent in the interval"),
    _count("interface_sent_packets", "spack", "sent in the interval"),
    _count("interface_sent_errors", "serrs", "errors in sending"),
    _count("interface_sent_drops", "sdrop", "packets to send that were dropped"),
    _count("interface_sent_overruns", "sfifo", "overruns of the buffer in sending"),
    _count("interface_sent_collisions", "scollis", "collisions"),
    _count("interface_carrier_losses", "scarrier", "losses of the carrier"),
    _count("interface_sent_compressed", "scompr", "compressed packets sent"),
    _count("interface_speed_mbit", "speed", "speed now", "Mbit/s", positive=True),
    _count("interface_previous_speed_mbit", "speedp", "speed in the sample before", "Mbit/s", positive=True),
    _flag("interface_full_duplex", "duplex", "whether it sends and receives at once")._replace(given=("speed", 1)),
)
NETWORK = tuple(
    _count(name, f"{struct}.{source}", meaning, "ms" if "in ms" in meaning else "")
    for struct, counters in netstat.COUNTERS.items()
    for name, source, meaning in counters
)
NFS_SERVER = (
    _count("nfs_server_calls", "rpccnt", "calls from clients in the interval"),
    _count("nfs_server_read_calls", "rpcread", "of them to read"),
    _count("nfs_server_write_calls", "rpcwrite", "of them to write"),
    _count("nfs_server_bad_format", "rpcbadfmt", "calls with a bad format"),
    _count("nfs_server_bad_authorization", "rpcbadaut", "calls with bad credentials"),
    _count("nfs_server_bad_client", "rpcbadcln", "calls of a client that may not"),
    _bytes("nfs_server_read_bytes", "nrbytes", "read for clients in the interval"),
    _bytes("nfs_server_write_bytes", "nwbytes", "written for clients in the interval"),
    _count("nfs_server_packets", "netcnt", "packets"),
    _count("nfs_server_udp_packets", "netudpcnt", "packets by UDP"),
    _count("nfs_server_tcp_packets", "nettcpcnt", "packets by TCP"),
    _count("nfs_server_tcp_connections", "nettcpcon", "connections by TCP"),
    _count("nfs_server_cache_hits", "rchits", "hits of the reply cache"),
    _count("nfs_server_cache_misses", "rcmiss", "misses of the reply cache"),
    _count("nfs_server_uncached", "rcnoca", "calls past the reply cache"),
)
NFS_CLIENT = (
    _count("nfs_client_calls", "rpccnt", "calls to servers in the interval"),
    _count("nfs_client_read_calls", "rpcread", "of them to read"),
    _count("nfs_client_write_calls", "rpcwrite", "of them to write"),
    _count("nfs_client_retransmissions", "rpcretrans", "calls sent again"),
    _count("nfs_client_authorization_refreshes", "rpcautrefresh", "credentials renewed"),
)
NFS_MOUNT_NAME = _text("nfs_mount", "mountdev", "server and path that is mounted")
NFS_MOUNT = (
    _count("nfs_mount_age", "age", "how long it has been mounted", "s"),
    _bytes("nfs_mount_read_bytes", "bytestotread", "read from the server in the interval"),
    _bytes("nfs_mount_write_bytes", "bytestotwrite", "written to the server in the interval"),
    _bytes("nfs_mount_program_read_bytes", "bytesread", "read by programs"),
    _bytes("nfs_mount_program_write_bytes", "byteswrite", "written by programs"),
    _bytes("nfs_mount_direct_read_bytes", "bytesdread", "read by programs past the cache"),
    _bytes("nfs_mount_direct_write_bytes", "bytesdwrite", "written by programs past the cache"),
    _pages("nfs_mount_mapped_read_bytes", "pagesmread", "read for mapped files"),
    _pages("nfs_mount_mapped_write_bytes", "pagesmwrite", "written for mapped files"),
)
GPU_TEXTS = (
    _text("gpu_model", "type", "its model, at most 12 bytes"),
    _text("gpu_bus_id", "busid", "its place on the PCI bus"),
)
GPU = (
    _count("gpu", "gpunr", "number of the GPU"),
    _flag("gpu_counts_processes", "taskstats", "whether it tells what processes use"),
    _count("gpu_process_count", "nrprocs", "processes now"),
    _count("gpu_busy_now_percent", "gpupercnow", "busy in the last second", "%"),
    _count("gpu_memory_busy_now_percent", "mempercnow", "memory busy in the last second", "%"),
    _bytes("gpu_total_bytes", "memtotnow", "memory", KIB),
    _bytes("gpu_used_bytes", "memusenow", "memory in use now", KIB),
    _count("gpu_sample_count", "samples", "how often atopgpud looked in the interval"),
    _count("gpu_busy_percent_sum", "gpuperccum", "busy, summed over gpu_sample_count", "%"),
    _count("gpu_memory_busy_percent_sum", "memperccum", "memory busy, summed over gpu_sample_count", "%"),
    _bytes("gpu_used_bytes_sum", "memusecum", "memory in use, summed over gpu_sample_count", KIB),
)
INFINIBAND_NAME = _text("infiniband", "ibname", "name of the InfiniBand interface")
INFINIBAND = (
    _count("infiniband_port", "portnr", "number of the port"),
    _count("infiniband_lanes", "lanes", "lanes"),
    _count("infiniband_rate_mbit", "rate", "rate now", "Mbit/s"),
    _bytes("infiniband_received_bytes", "rcvb", "received in the interval", _WORD),
    _bytes("infiniband_sent_bytes", "sndb", "sent in the interval", _WORD),
    _count("infiniband_received_packets", "rcvp", "received in the interval"),
    _count("infiniband_sent_packets", "sndp", "sent in the interval"),
)
NUMA_MEMORY = (
    _count("numa_node", "numanr", "number of the NUMA node"),
    _number("numa_fragmentation_percent", "frag", "fragmentation of the node's memory", "%", 100),
    _pages("numa_total_bytes", "totmem", "memory of the node"),
    _pages("numa_free_bytes", "freemem", "of it free"),
    _pages("numa_active_bytes", "active", "used not long ago"),
    _pages("numa_inactive_bytes", "inactive", "not used for long"),
    _pages("numa_file_bytes", "filepage", "cached files"),
    _pages("numa_dirty_bytes", "dirtymem", "still to be written to disk"),
    _pages("numa_slab_bytes", "slabmem", "the kernel's own objects"),
    _pages("numa_slab_reclaimable_bytes", "slabreclaim", "of these what can be reclaimed"),
    _pages("numa_shared_bytes", "shmem", "shared memory and tmpfs"),
    _count("numa_huge_pages", "tothp", "huge pages"),
    _count("numa_huge_pages_free", "freehp", "of them free"),
)
NUMA_CPU = (
    _count("numa_node", "numanr", "number of the NUMA node"),
    _count("numa_cpu_count", "nrcpu", "processors of the node"),
    *CPU_TIME,
)
CACHE = (
    _count("llc", "id", "number of the last-level cache"),
    _number("llc_used_percent", "occupancy", "part of it in use now", "%", 100),
    _bytes("llc_total_bytes", "mbm_total", "moved from and to all memory in the interval"),
    _bytes("llc_local_bytes", "mbm_local", "of it the memory of its own NUMA node"),
)
OPENVZ = (
    Field(_OF_A_TASK["openvz_container"], ("ctid",)),
    _count("openvz_process_count", "numproc", "processes in the container now"),
    _ticks("openvz_user_seconds", "user", "processor time in user mode in the interval"),
    _ticks("openvz_nice_seconds", "nice", "processor time in user mode, niced"),
    _ticks("openvz_system_seconds", "system", "processor time in system mode"),
    _ticks("openvz_uptime_seconds", "uptime", "how long the container has been up"),
    _pages("openvz_memory_bytes", "physpages", "memory in use now"),
)
WWW = (
    _count("www_requests", "accesses", "requests to the local Apache in the interval"),
    _bytes("www_bytes", "totkbytes", "answered by it in the interval", KIB),
    _count("www_uptime_seconds", "uptime", "how long it has been up", "s"),
    _count("www_busy_workers", "bworkers", "busy workers now"),
    _count("www_idle_workers", "iworkers", "idle workers now"),
)


def field(rows: NDArray[np.void], sources: Sequence[str]) -> NDArray[Any] | None:
    """A field such as `freqcnt.cnt` of some structures; the first that they have, None where they have none."""
    return next((found for each in sources if (found := at(rows, each)) is not None), None)


def at(structure: Any, place: str) -> Any | None:  # noqa: ANN401  a structure or an array, of structures or numbers
    """What is at a place such as `cpu.cpu` in a structure, or in each of some; None where there is no such place."""
    found = structure
    for name in place.split("."):
        if name not in (found.dtype.names or ()):
            return None
        found = found[name]
    return found
