"""The numbers of a task as columns of events: name, unit, and the field of tstat that each comes from.

What the fields mean: photoproc.h and photoproc.c of atop. Left out is what atop does not fill (rio and wio
repeat rsz and wsz, cgroupix is for display only) and what is reserved.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atop_timeline import record
from atop_timeline.blocks import Samples
from atop_timeline.events import Column, Kind
from atop_timeline.header import HERTZ

KIB, SECTOR = 1024, 512


class Given(Enum):
    """When a field holds what its name says, and not stale memory or a zero that means nothing."""

    ALWAYS = "in every task"
    IO = "where the sample has I/O statistics"
    NET = "where netatop was running"
    GPU = "where atopgpud was running and the task used a GPU"
    POSITIVE = "where above 0"
    LIMIT = "of a process where the sample has cgroups; -1 is no limit, -2 (undefined) is unknown"


class Field(NamedTuple):
    """A column, where it comes from (the first of `sources` that the layout has), and when to believe it."""

    column: Column
    sources: tuple[str, ...]
    factor: int = 1
    ticks: bool = False
    given: Given = Given.ALWAYS


def _count(name: str, source: str, meaning: str, unit: str = "", given: Given = Given.ALWAYS) -> Field:
    return Field(Column(name, Kind.INTEGER, unit, meaning), tuple(source.split()), given=given)


def _bytes(name: str, source: str, meaning: str, factor: int = 1, given: Given = Given.ALWAYS) -> Field:
    return Field(Column(name, Kind.INTEGER, "byte", meaning), tuple(source.split()), factor, given=given)


def _seconds(name: str, source: str, meaning: str) -> Field:
    return Field(Column(name, Kind.NUMBER, "s", meaning), (source,), ticks=True)


CPU_TIME = (
    _seconds("user_cpu_seconds", "cpu.utime", "processor time in user mode in the interval"),
    _seconds("system_cpu_seconds", "cpu.stime", "processor time in system mode in the interval"),
)
FAULTS = (
    _count("minor_faults", "mem.minflt", "page faults without disk access in the interval"),
    _count("major_faults", "mem.majflt", "page faults with disk access in the interval"),
)
THREADS = (
    _count("thread_count", "gen.nthr", "threads"),
    _count("threads_running", "gen.nthrrun", "threads in state R"),
    _count("threads_sleeping", "gen.nthrslpi", "threads in interruptible sleep, state S"),
    _count("threads_uninterruptible", "gen.nthrslpu", "threads in uninterruptible sleep, state D"),
    _count("threads_idle", "gen.nthridle", "idle kernel threads, state I"),
)
OPENVZ = (
    _count("openvz_container", "gen.ctid gen.envid", "OpenVZ container, 0: none"),
    _count("openvz_pid", "gen.vpid", "process id inside the OpenVZ container"),
)
SCHEDULING = (
    _count("nice", "cpu.nice", "nice value"),
    _count("priority", "cpu.prio", "the kernel's priority + 100"),
    _count("realtime_priority", "cpu.rtprio", "real-time priority"),
    _count("scheduling_policy", "cpu.policy", "0 other, 1 FIFO, 2 round robin, 3 batch, 5 idle, 6 deadline"),
    _count("current_cpu", "cpu.curcpu", "processor that it ran on last"),
    _count("sleep_average", "cpu.sleepavg", "share of time asleep; 0 on today's kernels", "%"),
    _count("run_delay_ns", "cpu.rundelay", "time runnable but waiting for a processor", "ns"),
    _seconds("block_io_delay_seconds", "cpu.blkdelay", "time waiting for block devices"),
    _count("voluntary_context_switches", "cpu.nvcsw", "times it gave up the processor"),
    _count("involuntary_context_switches", "cpu.nivcsw", "times it lost the processor"),
)
MEMORY = (
    _bytes("virtual_bytes", "mem.vmem", "virtual memory", KIB),
    _bytes("resident_bytes", "mem.rmem", "resident memory", KIB),
    _bytes("proportional_bytes", "mem.pmem", "proportional share; only with atop -R", KIB, Given.POSITIVE),
    _bytes("virtual_growth_bytes", "mem.vgrow", "change of virtual memory in the interval", KIB),
    _bytes("resident_growth_bytes", "mem.rgrow", "change of resident memory in the interval", KIB),
    _bytes("text_bytes", "mem.vexec mem.shtext", "virtual memory of the program's text", KIB),
    _bytes("data_bytes", "mem.vdata", "virtual memory of data", KIB),
    _bytes("stack_bytes", "mem.vstack", "virtual memory of the stack", KIB),
    _bytes("library_bytes", "mem.vlibs", "virtual memory of libraries' text", KIB),
    _bytes("swap_bytes", "mem.vswap", "swapped out", KIB),
    _bytes("locked_bytes", "mem.vlock", "locked in memory", KIB),
    _count("oom_score", "mem.oomscore", "how likely the kernel kills it when memory is short"),
    _count("oom_score_adjustment", "mem.oomscoreadj", "the administrator's part in that"),
)
DISK = (
    _bytes("disk_read_bytes", "dsk.rsz", "read from disk in the interval", SECTOR, Given.IO),
    _bytes("disk_write_bytes", "dsk.wsz", "written to disk in the interval", SECTOR, Given.IO),
    _bytes(
        "disk_cancelled_write_bytes",
        "dsk.cwsz",
        "of these, dropped before they were written",
        SECTOR,
        Given.IO,
    ),
)
NETWORK = (
    _count("tcp_sent_packets", "net.tcpsnd", "TCP packets sent in the interval", "", Given.NET),
    _bytes("tcp_sent_bytes", "net.tcpssz", "TCP bytes sent in the interval", 1, Given.NET),
    _count("tcp_received_packets", "net.tcprcv", "TCP packets received in the interval", "", Given.NET),
    _bytes("tcp_received_bytes", "net.tcprsz", "TCP bytes received in the interval", 1, Given.NET),
    _count("udp_sent_packets", "net.udpsnd", "UDP packets sent in the interval", "", Given.NET),
    _bytes("udp_sent_bytes", "net.udpssz", "UDP bytes sent in the interval", 1, Given.NET),
    _count("udp_received_packets", "net.udprcv", "UDP packets received in the interval", "", Given.NET),
    _bytes("udp_received_bytes", "net.udprsz", "UDP bytes received in the interval", 1, Given.NET),
    _count("raw_sent_packets", "net.rawsnd", "raw packets sent in the interval; atop 1.x", "", Given.NET),
    _count("raw_received_packets", "net.rawrcv", "raw packets received in the interval; atop 1.x", "", Given.NET),
)
GPU = (
    _count("gpu_count", "gpu.nrgpus", "GPUs in use", "", Given.GPU),
    _count("gpu_list", "gpu.gpulist", "which GPUs, as bits", "", Given.GPU),
    _count("gpu_busy_percent", "gpu.gpubusy", "GPU busy, -1: unknown", "%", Given.GPU),
    _count("gpu_memory_busy_percent", "gpu.membusy", "GPU memory busy, -1: unknown", "%", Given.GPU),
    _count("gpu_busy_cumulative", "gpu.gpubusycum", "sum of the busy percentages of gpu_samples", "%", Given.GPU),
    _count("gpu_memory_busy_cumulative", "gpu.membusycum", "the same of its memory", "%", Given.GPU),
    _count("gpu_time_ms", "gpu.timems", "GPU time", "ms", Given.GPU),
    _bytes("gpu_memory_bytes", "gpu.memnow", "GPU memory", KIB, Given.GPU),
    _bytes(
        "gpu_memory_cumulative_bytes",
        "gpu.memcum",
        "sum of gpu_memory_bytes over gpu_samples",
        KIB,
        Given.GPU,
    ),
    _count("gpu_samples", "gpu.samples gpu.sample", "how often atopgpud looked", "", Given.GPU),
)
CGROUP_LIMITS = (
    _count("cgroup_cpu_weight", "cpu.cgcpuweight", "the cgroup's weight; -1: no limit", "", Given.LIMIT),
    _count("cgroup_cpu_max_percent", "cpu.cgcpumax", "the cgroup's limit; -1: none", "%", Given.LIMIT),
    _count("cgroup_cpu_effective_percent", "cpu.cgcpumaxr", "the tightest above it; -1: none", "%", Given.LIMIT),
    _count("cgroup_memory_max_kib", "mem.cgmemmax", "the cgroup's limit; -1: none", "KiB", Given.LIMIT),
    _count("cgroup_memory_effective_kib", "mem.cgmemmaxr", "the tightest above it; -1: none", "KiB", Given.LIMIT),
    _count("cgroup_swap_max_kib", "mem.cgswpmax", "the cgroup's limit; -1: none", "KiB", Given.LIMIT),
    _count("cgroup_swap_effective_kib", "mem.cgswpmaxr", "the tightest above it; -1: none", "KiB", Given.LIMIT),
)

OBSERVED = (
    *(THREADS + CPU_TIME + SCHEDULING + MEMORY + FAULTS),
    *(DISK + NETWORK + GPU + CGROUP_LIMITS),
)
"""What an observation has of a live task."""


def field(tasks: NDArray[np.void], *sources: str) -> NDArray[Any] | None:
    """A field such as `mem.rmem` of each structure; the first that the layout has, None where it has none."""
    for source in sources:
        struct, name = source.split(".")
        if struct in (tasks.dtype.names or ()) and name in (tasks.dtype[struct].names or ()):
            return tasks[struct][name]
    return None


def columns(block: Samples, rows: NDArray[np.intp], fields: Sequence[Field]) -> dict[str, NDArray[Any]]:
    """The columns of these tasks of a block, by name: masked where the log does not know, absent where nowhere."""
    found: dict[str, NDArray[Any]] = {}
    given: dict[Given, NDArray[np.bool_]] = {}
    structures = block.which[rows]
    for each in fields:
        source = field(block.tasks, *each.sources)
        if source is None:
            continue
        if each.given not in given:
            given[each.given] = _given(each.given, block, rows)
        if given[each.given].any():
            values = source[structures]
            known = given[each.given] & _holds(each.given, values)
            if known.all():
                found[each.column.name] = _scaled(each, values)
            elif known.any():
                found[each.column.name] = np.ma.masked_array(_scaled(each, values), ~known)
    return found


def _scaled(each: Field, values: NDArray[Any]) -> NDArray[Any]:
    if each.ticks:
        return values / HERTZ
    whole = values.astype(np.int64, copy=False)
    if each.factor == 1:
        return whole
    most = np.iinfo(np.int64).max // each.factor
    beyond = (whole > most) | (whole < -most)
    return np.ma.masked_array(whole * each.factor, beyond) if beyond.any() else whole * each.factor


def _given(given: Given, block: Samples, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Of which of these tasks such a field holds what its name says, whatever it holds; shape (n,), or () for all."""
    known: NDArray[np.bool_] = np.array(True)  # noqa: FBT003  an array's value
    match given:
        case Given.LIMIT:
            known = _flagged(block, rows, record.CGROUPS) & (block.tasks["gen"]["isproc"] != 0)[block.which[rows]]
        case Given.IO:
            known = _flagged(block, rows, record.IO_STATISTICS) | _io_told_by_header(block)
        case Given.NET:
            known = _flagged(block, rows, record.NETATOP) | _net_told_by_header(block)
        case Given.GPU:
            used = np.isin(block.tasks["gpu"]["state"], _GPU_USERS)[block.which[rows]]
            known = _flagged(block, rows, record.GPU_STATISTICS) & used
    return known


def _holds(given: Given, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of these values can be what their field's name says."""
    least = {Given.POSITIVE: 1, Given.LIMIT: -1}
    holds: NDArray[np.bool_] = values >= least[given] if given in least else np.array(True)  # noqa: FBT003  likewise
    return holds


def _flagged(block: Samples, rows: NDArray[np.intp], flag: int) -> NDArray[np.bool_]:
    """Whether each task's sample has this flag."""
    flags: NDArray[np.bool_] = (block.records["flags"] & flag) != 0
    return flags[block.sample[rows]]


_GPU_USERS = (ord("A"), ord("E"))  # gpucom.h, states of a task that uses a GPU: active, exited
_RAWLOGNG = 0x35  # atop.h: look at the record's flags
_IOSTAT, _PATCHSTAT = 0x4, 0x2  # atop.h, header.supportflags


def _io_told_by_header(block: Samples) -> bool:
    """Up to 2.2-3 the header told for all samples; since 2.2.6 it always has the same bits."""
    support = block.header.supportflags
    return support & _RAWLOGNG != _RAWLOGNG and bool(support & _IOSTAT)


def _net_told_by_header(block: Samples) -> bool:
    """1.x counted by a patch of the kernel, of which the header tells."""
    return block.header.version < (2, 0) and bool(block.header.supportflags & _PATCHSTAT)
