"""Paths that a user gives: each piece of evidence once, by the first segment of a split image."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from atop_timeline.hostfiles import opened_folder
from atop_timeline.kinds import LOGLESS, ewf_segment, kind_of, read_head

ARCHIVE_SUFFIXES = (b".tar", b".tgz", b".txz", b".tzst", b".tar.gz", b".tar.xz", b".tar.bz2", b".tar.zst", b".zip")
_MOST_MISSING = 10
_SUFFIXES = (
    *(".e01", ".ex01", ".s01", ".l01", ".raw", ".dd", ".img", ".bin", ".001", ".000", ".aa", ".aff4"),
    *(".qcow2", ".qcow", ".vmdk", ".vhd", ".vhdx", ".avhdx", ".vdi", ".hdd", ".iso"),
    *(suffix.decode() for suffix in ARCHIVE_SUFFIXES),
)
"""How files are named that are evidence by themselves where they lie in a folder that is given."""


def distinct_paths(paths: Sequence[str]) -> list[str]:
    """Paths in their order, each followed by the images and archives that lie in it where it is a folder.

    Without repetitions, and without later segments of split images among them.
    """
    expanded = [each for path in paths for each in (path, *_evidence_in(path))]
    given = {os.path.realpath(path) for path in expanded}
    first: dict[str, str] = {}
    for path in expanded:
        real = os.path.realpath(path)
        if given.isdisjoint(first_segments(real)):
            first.setdefault(real, path)
    return list(first.values())


def first_segments(path: str) -> list[str]:
    """Names of the first segment, if this path were a later segment of a split image."""
    stem, _, suffix = path.rpartition(".")
    firsts = [re.sub(r"-(flat|[fs]\d+)\.vmdk$", ".vmdk", path)]
    if re.fullmatch(r"[0-9]{3,}", suffix) and int(suffix) > 0:  # fewer digits: a rotated log
        firsts += [f"{stem}.{number:0{len(suffix)}d}" for number in (0, 1)]
    elif re.fullmatch("a[a-z]+|A[A-Z]+", suffix):
        firsts.append(f"{stem}.{suffix[0] * len(suffix)}")
    elif _is_later_ewf(path):
        firsts += [f"{stem}.{letter}{number}" for letter in "EeLlSs" for number in ("01", "x01")]
    return [first for first in firsts if first != path]


def missing_segments(path: str) -> list[str]:
    """What to tell of raw segments that are not there between this first one and the last."""
    stem, _, suffix = path.rpartition(".")
    if not re.fullmatch(r"[0-9]{3,}|a+|A+", suffix):
        return []
    name = re.compile(re.escape(os.path.basename(stem)) + r"\.([0-9]{3,}|[a-z]+|[A-Z]+)")  # noqa: PTH119  a text
    others = (name.fullmatch(each) for each in os.listdir(os.path.dirname(path) or "."))  # noqa: PTH120, PTH208  texts
    there = sorted(_number(each[1]) for each in others if each and len(each[1]) == len(suffix))
    missing = sorted(set(range(_number(suffix), there[-1])) - set(there)) if there else []
    return [f"segment {number} of a split image is missing" for number in missing[:_MOST_MISSING]]


def _number(suffix: str) -> int:
    """The number of a segment: digits, or letters as digits of base 26."""
    if suffix.isdigit():
        return int(suffix)
    return int(sum((ord(letter) - ord("a")) * 26**power for power, letter in enumerate(reversed(suffix.lower()))))


def _evidence_in(path: str) -> Iterator[str]:
    """Files right in a folder that are named like evidence, and hold more than nothing; links are not followed."""
    folder = Path(path)
    try:
        with opened_folder(os.fsencode(path)) as descriptor:
            names = sorted(os.listdir(descriptor))  # noqa: PTH208  of a descriptor
    except OSError:  # no folder, or one that is told where it is searched
        return
    for found in (folder / name for name in names if name.lower().endswith(_SUFFIXES)):
        if found.is_file() and not found.is_symlink() and not _is_logless(found):
            yield os.path.join(path, found.name)  # noqa: PTH118  a path that is . would lose its dot


def _is_logless(path: Path) -> bool:
    try:
        return kind_of(read_head(str(path))) in LOGLESS
    except OSError:
        return False


def _is_later_ewf(path: str) -> bool:
    try:
        return Path(path).is_file() and ewf_segment(read_head(path)) > 1
    except (OSError, ValueError):
        return False
