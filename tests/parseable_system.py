"""What atop itself printed of the machine as a whole (`atop -r atop_raw -P ALL`): the truth from outside.

Format: `man atop`, PARSEABLE OUTPUT; which release prints which fields was counted in the texts of all of them.
atop prints what is stored there but for

* 0 for a stored -1 of memory, -1 for discards and oomkills; frequencies of all processors: the sum of each
* of NET upper, IPv4 and IPv6 together; averages of PSI, and of fragmentation, rounded
* no processor that is not online (2.13)

The twelve numbers behind the duplex mode of an interface (2.12) are 0 in all texts: their order is not proved.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

Value = int | float | str | None


class Rounded(NamedTuple):
    """A number of which atop printed some digits, and the most that ours may differ."""

    value: float
    most: float


Expected = Value | Rounded | frozenset[int | None]
"""A set: any of these."""

Release = tuple[int, int]

_CPU = (
    "cpu_system_seconds/ticks cpu_user_seconds/ticks cpu_nice_seconds/ticks cpu_idle_seconds/ticks "
    "cpu_wait_seconds/ticks cpu_irq_seconds/ticks cpu_softirq_seconds/ticks cpu_steal_seconds/ticks "
    "cpu_guest_seconds/ticks"
)
_PSI = " ".join(
    f"{name}_pressure_10_percent/float {name}_pressure_60_percent/float {name}_pressure_300_percent/float"
    f" {name}_pressure_seconds/us"
    for name in ("cpu_some", "memory_some", "memory_full", "io_some", "io_full")
)
_DISK = (
    ((1, 26), "disk/text disk_busy_ms disk_reads disk_read_bytes/sectors disk_writes disk_write_bytes/sectors"),
    ((2, 7), "disk_discards disk_discard_bytes/discarded"),
    ((2, 8), "disk_in_flight disk_queue_depth/depth"),
)

# label: the release from which on it prints them, and columns with how they are printed; - is none of ours.
_FIELDS: dict[str, tuple[tuple[Release, str], ...]] = {
    "CPU": (
        ((1, 26), f"- - {_CPU} - -"),
        ((2, 4), "cpu_instructions/positive cpu_cycles/positive"),
    ),
    "cpu": (
        ((1, 26), f"- cpu/text {_CPU} cpu_mhz/cut -"),
        ((2, 4), "cpu_instructions/positive cpu_cycles/positive"),
    ),
    "CPL": (((1, 26), "cpu_count load_1/float load_5/float load_15/float context_switches interrupts"),),
    "MEM": (
        ((1, 26), "- memory_total_bytes/pages memory_free_bytes/pages memory_cache_bytes/pages"),
        ((1, 26), "memory_buffer_bytes/pages memory_slab_bytes/pages memory_dirty_bytes/pages"),
        ((2, 0), "memory_slab_reclaimable_bytes/pages"),
        ((2, 1), "memory_balloon_bytes/pages_or_0 memory_shared_bytes/pages memory_sysv_resident_bytes/pages"),
        ((2, 1), "memory_sysv_swapped_bytes/pages huge_page_bytes huge_page_count huge_pages_free"),
        ((2, 6), "memory_zfs_bytes/pages_or_0"),
        ((2, 7), "memory_ksm_sharing_bytes/pages_or_0 memory_ksm_shared_bytes/pages_or_0"),
        ((2, 8), "memory_tcp_bytes/pages memory_udp_bytes/pages memory_page_table_bytes/pages"),
        ((2, 10), "large_huge_page_bytes large_huge_page_count large_huge_pages_free memory_available_bytes/pages"),
        ((2, 10), "memory_transparent_huge_bytes/pages"),
    ),
    "SWP": (
        ((1, 26), "- swap_total_bytes/pages swap_free_bytes/pages - committed_bytes/pages commit_limit_bytes/pages"),
        ((2, 7), "swap_cached_bytes/pages zswap_stored_bytes/pages_or_0 zswap_pool_bytes/pages_or_0"),
    ),
    "PAG": (
        ((1, 26), "- pages_scanned allocation_stalls - swapped_in_bytes/pages swapped_out_bytes/pages"),
        ((2, 7), "oom_kills compaction_stalls pages_migrated numa_pages_migrated"),
        ((2, 8), "paged_in_bytes/pages paged_out_bytes/pages"),
        ((2, 10), "zswap_in_bytes/pages zswap_out_bytes/pages"),
    ),
    "PSI": (((2, 4), f"- {_PSI}"),),
    "LVM": _DISK,
    "MDD": _DISK,
    "DSK": _DISK,
    "NFM": (
        ((2, 2), "nfs_mount/text nfs_mount_read_bytes nfs_mount_write_bytes nfs_mount_program_read_bytes"),
        ((2, 2), "nfs_mount_program_write_bytes nfs_mount_direct_read_bytes nfs_mount_direct_write_bytes"),
        ((2, 2), "nfs_mount_mapped_read_bytes/pages nfs_mount_mapped_write_bytes/pages"),
    ),
    "NFC": (
        ((2, 2), "nfs_client_calls nfs_client_read_calls nfs_client_write_calls nfs_client_retransmissions"),
        ((2, 2), "nfs_client_authorization_refreshes"),
    ),
    "NFS": (
        ((2, 2), "nfs_server_calls nfs_server_read_calls nfs_server_write_calls nfs_server_read_bytes"),
        ((2, 2), "nfs_server_write_bytes nfs_server_bad_format nfs_server_bad_authorization nfs_server_bad_client"),
        ((2, 2), "nfs_server_packets nfs_server_tcp_packets nfs_server_udp_packets nfs_server_tcp_connections"),
        ((2, 2), "nfs_server_cache_hits nfs_server_cache_misses nfs_server_uncached"),
    ),
    "NET upper": (
        ((1, 26), "- tcp_segments_received tcp_segments_sent udpv4_received+udpv6_received udpv4_sent+udpv6_sent"),
        ((1, 26), "ipv4_received+ipv6_received ipv4_sent+ipv6_sent ipv4_delivered+ipv6_delivered"),
        ((1, 26), "ipv4_forwarded+ipv6_forwarded"),
        ((2, 6), "udpv4_received_errors+udpv6_received_errors udpv4_no_ports+udpv6_no_ports tcp_active_opens"),
        ((2, 6), "tcp_passive_opens tcp_established tcp_segments_retransmitted tcp_received_errors tcp_resets_sent"),
        ((2, 10), "tcp_checksum_errors"),
    ),
    "NET": (
        ((1, 26), "interface/text interface_received_packets interface_received_bytes interface_sent_packets"),
        ((1, 26), "interface_sent_bytes interface_speed_mbit/positive interface_full_duplex/flag"),
        ((2, 12), "interface_received_errors interface_received_drops interface_received_overruns"),
        ((2, 12), "interface_received_framing_errors interface_received_compressed interface_received_multicasts"),
        ((2, 12), "interface_sent_errors interface_sent_drops interface_sent_overruns interface_sent_collisions"),
        ((2, 12), "interface_carrier_losses interface_sent_compressed"),
    ),
    "NUM": (
        ((2, 7), "numa_node - numa_fragmentation_percent/float numa_total_bytes/pages numa_free_bytes/pages"),
        ((2, 7), "numa_active_bytes/pages numa_inactive_bytes/pages numa_file_bytes/pages numa_dirty_bytes/pages"),
        ((2, 7), "numa_slab_bytes/pages numa_slab_reclaimable_bytes/pages numa_shared_bytes/pages numa_huge_pages"),
        ((2, 10), "numa_huge_pages_free"),
    ),
    "NUC": (((2, 7), f"numa_node numa_cpu_count {_CPU}"),),
    "GPU": (
        ((2, 4), "gpu gpu_bus_id/text gpu_model/text gpu_busy_now_percent gpu_memory_busy_now_percent"),
        ((2, 4), "gpu_total_bytes/kib gpu_used_bytes/kib gpu_sample_count gpu_busy_percent_sum"),
        ((2, 4), "gpu_memory_busy_percent_sum gpu_used_bytes_sum/kib"),
    ),
    "IFB": (
        ((2, 4), "infiniband/text infiniband_port infiniband_lanes infiniband_rate_mbit"),
        ((2, 4), "infiniband_received_bytes/words infiniband_sent_bytes/words infiniband_received_packets"),
        ((2, 4), "infiniband_sent_packets"),
    ),
    "LLC": (((2, 8), "llc/llc llc_used_percent/float llc_total_bytes llc_local_bytes"),),
}

_TYPES = {
    **dict.fromkeys(("CPU", "cpu"), "cpu"),
    "CPL": "load",
    "MEM": "memory",
    "SWP": "swap",
    "PAG": "paging",
    "PSI": "pressure",
    **dict.fromkeys(("LVM", "MDD", "DSK"), "disk"),
    "NFM": "nfs_mount",
    "NFC": "nfs_client",
    "NFS": "nfs_server",
    "NET upper": "network",
    "NET": "interface",
    "NUM": "numa_memory",
    "NUC": "numa_cpu",
    "GPU": "gpu",
    "IFB": "infiniband",
    "LLC": "llc",
}
_NAMED: dict[str, dict[str, Expected]] = {
    "CPU": {"cpu": "all"},
    "LVM": {"disk_kind": "lvm"},
    "MDD": {"disk_kind": "md"},
    "DSK": {"disk_kind": "disk"},
}
_IN_USE = {"NFC", "NFS"}
"""What atop prints of every machine, but tells nothing of one that does not use it."""

_PAGE = 4096
_ROUNDED_BY_US = 0.0051
_HEADER = rb"[^ \n]+ \d+ \d{4}/\d\d/\d\d \d\d:\d\d:\d\d \d+ "
_ROW = re.compile(rf"^({'|'.join(_FIELDS)}) ".encode() + _HEADER + rb"(.*)$", re.MULTILINE)
# An exited process may be called "\nSEP\n", but 15 bytes hold no header.
_SAMPLE_END = re.compile(rb"^SEP\n(?=(?:RESET\n)?[A-Za-z]{3} " + _HEADER + rb"|\Z)", re.MULTILINE)


class Printed(NamedTuple):
    """One row: the number of its sample, the type of its event, and of columns, or sums of them, what they must be."""

    sample: int
    event_type: str
    columns: dict[str, Expected]


def read(text: bytes, version: str) -> Iterator[Printed]:
    """Every row that atop `version` ("2.8", "2.8.1", "odd-2.13.0") printed of the machine.

    What does not fit raises ValueError.
    """
    found = re.search(r"(\d+)\.(\d+)", version)
    if found is None:
        raise ValueError(f"atop version {version!r}: expected a release like 2.8.1")
    release = int(found[1]), int(found[2])
    for sample, printed in enumerate(_SAMPLE_END.split(text)[:-1]):
        for row in _ROW.finditer(printed):
            label, fields = row[1].decode(), row[2].decode().split()
            label = "NET upper" if label == "NET" and fields[0] == "upper" else label
            if not (label in _IN_USE and set(fields) == {"0"}) and not (label == "PSI" and fields[0] == "n"):
                yield Printed(sample, _TYPES[label], _NAMED.get(label, {}) | dict(_columns(label, release, fields)))


def _columns(label: str, release: Release, fields: list[str]) -> Iterator[tuple[str, Expected]]:
    words = " ".join(text for first, text in _FIELDS[label] if first <= release).split()
    for word, printed in zip(words, fields, strict=True):
        column, _, how = word.partition("/")
        if column != "-":
            yield column, _CONVERSIONS[how](printed)


def agrees(expected: Expected, found: Value) -> bool:
    """Whether a value of ours is what atop printed, so far as that tells."""
    if isinstance(expected, Rounded):
        return isinstance(found, float) and abs(found - expected.value) <= expected.most
    return found in expected if isinstance(expected, frozenset) else found == expected


def _whole(factor: int) -> Callable[[str], Expected]:
    return lambda printed: int(printed) * factor if int(printed) >= 0 else None


def _or_unknown(factor: int) -> Callable[[str], Expected]:
    return lambda printed: int(printed) * factor if int(printed) else frozenset({0, None})


def _rounded(printed: str) -> Expected:
    whole, _, digits = printed.removesuffix("%").partition(".")
    return Rounded(float(f"{whole}.{digits}"), 0.5 / 10 ** len(digits) + _ROUNDED_BY_US)


_CONVERSIONS: dict[str, Callable[[str], Expected]] = {
    "": _whole(1),
    "positive": lambda printed: int(printed) or None,
    "ticks": lambda printed: int(printed) / 100,
    "us": lambda printed: int(printed) / 1_000_000,
    "pages": _whole(_PAGE),
    "pages_or_0": _or_unknown(_PAGE),
    "sectors": _whole(512),
    "discarded": _or_unknown(512),
    "kib": _whole(1024),
    "words": _whole(4),
    "float": _rounded,
    "cut": lambda printed: Rounded(int(printed) + 0.5, 0.5 + _ROUNDED_BY_US) if printed != "0" else None,
    "depth": lambda printed: frozenset({0, None}) if printed == "0.00" else _rounded(printed),
    "flag": lambda printed: True if printed == "1" else frozenset({False, None}),
    "llc": lambda printed: int(printed.removeprefix("LLC")),
    "text": str,
}
