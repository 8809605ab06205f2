"""What atop itself printed from a log (`atop -r atop_raw -P ALL`), entry by entry: the truth from outside.

Format: `man atop`, PARSEABLE OUTPUT, and atop's parseable.c, print_PRG() to print_PRE(). Every field of every
version was compared with the structure in the log beside the text; atop prints what is stored there but for

* exitcode (2.4): signal + 256, else the exit code; isnew (2.6): bit 31 of excode
* exittime (2.9): btime + elaps // hertz of an exited process, else 0
* pmem: 0 for a stored -1
* cgcpumax ... cgswpmaxr of 2.8 to 2.10: -3 in a record without RRCGRSTAT (0x100), else -2 for threads
* cgpath and cgcpumax, cgmemmax, cgswpmax of 2.11: those of the group that lists the pid, in percent and KiB;
  "-" and -2 for unlisted pids and all threads; cgcpumaxr, cgmemmaxr, cgswpmaxr: always -2
* hasio: RRIOSTAT (0x20) of the record, before 2.2.6 IOSTAT (4) of the header; hertz, pagesize: the header's
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

Entry = dict[str, int | bytes]
Release = tuple[int, int]

_ALWAYS: Release = (99, 0)

# label: (first release that prints it, first that does not, what stands behind the common header).
# A word is a field, `(word)` one in parentheses; the rest is a regular expression.
_FIELDS: dict[str, tuple[tuple[Release, Release, str], ...]] = {
    "PRG": (
        ((1, 26), (2, 4), "pid (name) state ruid rgid tgid nthr excode btime (cmdline)"),
        ((2, 4), _ALWAYS, "pid (name) state ruid rgid tgid nthr exitcode btime (cmdline)"),
        ((1, 26), _ALWAYS, "ppid nthrrun nthrslpi nthrslpu euid egid suid sgid fsuid fsgid elaps"),
        ((1, 27), _ALWAYS, "isproc"),
        ((2, 2), _ALWAYS, "vpid ctid"),
        ((2, 3), (2, 10), "container"),
        ((2, 10), _ALWAYS, "utsname"),
        ((2, 6), _ALWAYS, "isnew"),
        ((2, 8), _ALWAYS, "(cgpath)"),
        ((2, 9), _ALWAYS, "exittime"),
        ((2, 10), _ALWAYS, "nthridle"),
    ),
    "PRC": (
        ((1, 26), _ALWAYS, "pid (name) state hertz utime stime nice prio rtprio policy curcpu sleepavg"),
        ((1, 27), _ALWAYS, "tgid isproc"),
        ((2, 6), _ALWAYS, "rundelay (wchan)"),
        ((2, 8), _ALWAYS, "blkdelay cgcpumax cgcpumaxr"),
        ((2, 9), _ALWAYS, "nvcsw nivcsw"),
    ),
    "PRM": (
        ((1, 26), (1, 27), "pid (name) state pagesize vmem rmem shtext vgrow rgrow minflt majflt"),
        ((1, 27), _ALWAYS, "pid (name) state pagesize vmem rmem vexec vgrow rgrow minflt majflt"),
        ((1, 27), _ALWAYS, "vlibs vdata vstack vswap tgid isproc"),
        ((2, 1), _ALWAYS, "pmem"),
        ((2, 6), _ALWAYS, "vlock"),
        ((2, 8), _ALWAYS, "cgmemmax cgmemmaxr cgswpmax cgswpmaxr"),
    ),
    "PRD": (
        ((1, 26), _ALWAYS, "pid (name) state [yn] hasio rio rsz wio wsz cwsz"),
        ((1, 27), (2, 1), "tgid[n] isproc"),
        ((2, 1), _ALWAYS, "tgid [n] isproc"),
    ),
    "PRN": (
        ((1, 26), _ALWAYS, "pid (name) state hasnet tcpsnd tcpssz tcprcv tcprsz udpsnd udpssz udprcv udprsz"),
        ((1, 26), (2, 0), "rawsnd rawrcv"),
        ((2, 0), _ALWAYS, "0 0"),
        ((1, 27), _ALWAYS, "tgid isproc"),
    ),
    "PRE": (((2, 4), (2, 13), "pid (name) state gpustate nrgpus gpulist gpubusy membusy memnow memcum sample"),),
}

_PATTERNS = {
    "name": ".{0,15}?",
    "cmdline": ".*",
    "cgpath": ".*?",
    "wchan": ".{0,15}?",
    "state": ".",
    "gpustate": ".",
    "gpulist": "[0-9a-f]+",
    "container": ".{1,15}?",
    "utsname": ".{1,39}?",
    "isproc": "[yn]",
    "hasio": "[yn]",
    "hasnet": "[yn]",
    "isnew": "[N-]",
}
_TEXTS = {"name", "cmdline", "wchan", "state", "gpustate"}
_TEXTS_OR_DASH = {"container", "utsname", "cgpath"}
_FLAGS = {"isproc": b"y", "hasio": b"y", "hasnet": b"y", "isnew": b"N"}

_HEADER = rb"[A-Za-z]{3} [^ \n]+ \d+ \d{4}/\d\d/\d\d \d\d:\d\d:\d\d \d+ "
_ROW = re.compile(rb"^" + _HEADER, re.MULTILINE)
# An exited process may be called "\nSEP\n", but 15 bytes hold no header.
_SAMPLE_END = re.compile(rb"^SEP\n(?=(?:RESET\n)?" + _HEADER + rb"|\Z)", re.MULTILINE)


@dataclass(frozen=True)
class PrintedSample:
    """One sample as atop printed it; `entries` in the order of the log, of all labels in one."""

    time: int
    interval: int
    reset: bool
    entries: list[Entry]


def read(text: bytes, version: str) -> list[PrintedSample]:
    """Every sample that atop `version` ("2.8", "2.8.1", "odd-2.13.0") printed, oldest first.

    Fields have atop's names; `isnew` is the `N` of PRG, `hasio` and `hasnet` are the y/n of PRD and PRN.
    The `-` that stands for an empty container, utsname or cgpath is b"". What does not fit raises ValueError.
    """
    release = _release(version)
    return [_sample(printed, release) for printed in _SAMPLE_END.split(text) if printed]


def _release(version: str) -> Release:
    found = re.search(r"(\d+)\.(\d+)", version)
    if found is None:
        raise ValueError(f"atop version {version!r}: expected a release like 2.8.1")
    return int(found[1]), int(found[2])


def _sample(printed: bytes, release: Release) -> PrintedSample:
    rows = list(_rows(printed))
    if not rows:
        raise ValueError(f"a sample without any row: {printed[:80]!r}")
    _, _, time, _, _, interval = rows[0][0].split()
    entries: list[Entry] = []
    for label in _FIELDS:
        fields = [_values(row, label, release) for header, row in rows if header.startswith(label.encode())]
        entries = _merged(entries, fields)
    return PrintedSample(int(time), int(interval), printed.startswith(b"RESET\n"), entries)


def _rows(printed: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Header and rest of each row; a row ends where the next one begins, because names may hold newlines."""
    headers = list(_ROW.finditer(printed))
    bounds = [*(header.start() for header in headers), len(printed)]
    for header, end in zip(headers, bounds[1:], strict=True):
        yield header[0], printed[header.end() : end].removesuffix(b"\n")


def _values(row: bytes, label: str, release: Release) -> Entry:
    found = _layout(label, release).fullmatch(row)
    if found is None:
        raise ValueError(f"{label} of atop {release[0]}.{release[1]}: not the expected fields: {row!r}")
    return {field: _value(field, printed) for field, printed in found.groupdict().items()}


@cache
def _layout(label: str, release: Release) -> re.Pattern[bytes]:
    printed = " ".join(text for first, end, text in _FIELDS[label] if first <= release < end)
    return re.compile(re.sub(r"\[\w+\]|(\()?([a-z]\w+)\)?", _group, printed).encode(), re.DOTALL)


def _group(word: re.Match[str]) -> str:
    field = word[2]
    if field is None:
        return word[0]
    group = f"(?P<{field}>{_PATTERNS.get(field, '-?[0-9]+')})"
    return rf"\({group}\)" if word[1] else group


def _value(field: str, printed: bytes) -> int | bytes:
    if field in _FLAGS:
        return printed == _FLAGS[field]
    if field in _TEXTS:
        return printed
    if field in _TEXTS_OR_DASH:
        return b"" if printed == b"-" else printed
    return int(printed, 16 if field == "gpulist" else 10)


def _merged(entries: list[Entry], fields: list[Entry]) -> list[Entry]:
    """Both, entry by entry; what both tell (pid, name, state ...) must be the same."""
    if not entries or not fields:
        return entries or fields
    for entry, more in zip(entries, fields, strict=True):
        if any(entry[field] != more[field] for field in entry.keys() & more.keys()):
            raise ValueError(f"labels disagree: {entry} and {more}")
    return [entry | more for entry, more in zip(entries, fields, strict=True)]
