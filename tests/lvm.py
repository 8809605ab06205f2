"""LVM2 groups on image files: needs loop devices for a moment, but no device mapper."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.tools import MIB, blank, copy_into, looped, run

_EXTENT = 4 * MIB
_FIRST_EXTENT = MIB  # LVM's pe_start
_QUIET = ("--nolocking", "--driverloaded", "n", "-q", "-y")
_NEW = ("-an", "-Zn", "-Wn")
_ALONE = 'backup{backup=0 archive=0} devices{use_devicesfile=0 scan=["/dev"] filter=[%s,"r|.*|"]}'


class Segment(NamedTuple):
    """Extents of 4 MiB of one physical volume, by its place in the group."""

    member: int
    first: int
    extents: int


def lvm(image: Path, *volumes: Path) -> Path:
    """Put volumes into a group of one physical volume, one after another."""
    first, placed = 0, []
    for volume in volumes:
        placed.append((volume, [Segment(0, first, _extents(volume))]))
        first += _extents(volume)
    return group([image], *placed)[0]


def lvm_segments(image: Path, volume: Path) -> Path:
    """Put the halves of a volume in two places of a physical volume, the second one first."""
    half = (_extents(volume) + 1) // 2
    return group([image], (volume, [Segment(0, half + 1, half), Segment(0, 0, _extents(volume) - half)]))[0]


def lvm_across(first: Path, second: Path, volume: Path) -> list[Path]:
    """Put the halves of a volume on two physical volumes."""
    half = (_extents(volume) + 1) // 2
    return group([first, second], (volume, [Segment(0, 0, half), Segment(1, 0, _extents(volume) - half)]))


def lvm_beside(first: Path, second: Path, volume: Path, other: Path) -> list[Path]:
    """Put one volume on each of two physical volumes."""
    placed = [(each, [Segment(member, 0, _extents(each))]) for member, each in enumerate((volume, other))]
    return group([first, second], *placed)


def group(members: Sequence[Path], *placed: tuple[Path, Sequence[Segment]]) -> list[Path]:
    """Make a group of these images, its logical volumes named as the files they are made of."""
    segments = [segment for _, each in placed for segment in each]
    for number, member in enumerate(members):
        last = max((each.first + each.extents for each in segments if each.member == number), default=0)
        blank(member, _FIRST_EXTENT + (last + 2) * _EXTENT)
    with looped(*members) as devices:
        config = _ALONE % ",".join(f'"a|^{device}$|"' for device in devices)
        for device in devices:
            run("pvcreate", "--config", config, *_QUIET, device)
        run("vgcreate", "--config", config, *_QUIET, "-s", "4M", "test", *devices)
        for volume, each in placed:
            _make(config, devices, volume.stem, each)
    for volume, each in placed:
        _fill(members, volume, each)
    return list(members)


def _make(config: str, devices: Sequence[str], name: str, segments: Sequence[Segment]) -> None:
    for number, segment in enumerate(segments):
        where = f"{devices[segment.member]}:{segment.first}-{segment.first + segment.extents - 1}"
        what = ("lvextend", f"test/{name}") if number else ("lvcreate", *_NEW, "-n", name, "test")
        size = ("-l", f"+{segment.extents}" if number else segment.extents)
        run(what[0], "--config", config, *_QUIET, *size, *what[1:], where)


def _fill(members: Sequence[Path], volume: Path, segments: Sequence[Segment]) -> None:
    done, size = 0, volume.stat().st_size
    for segment in segments:
        length = min(segment.extents * _EXTENT, size - done)
        copy_into(members[segment.member], volume, _FIRST_EXTENT + segment.first * _EXTENT, done, length)
        done += length


def _extents(volume: Path) -> int:
    return -(-volume.stat().st_size // _EXTENT)
