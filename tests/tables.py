"""Partition tables, and volumes behind them."""

from collections.abc import Sequence
from pathlib import Path

from tests.tools import MIB, SECTOR, blank, copy_into, run

_UUID = "11111111-2222-3333-4444-55555555555"  # and one digit
_LABELS = {"dos": "0x12345678", "gpt": f"{_UUID}2"}
_FIRST_LOGICAL = 5


def mbr(image: Path, *volumes: Path) -> Path:
    """Put volumes behind an MBR partition table."""
    return _partitioned(image, "dos", volumes, range(1, len(volumes) + 1))


def mbr_logical(image: Path, *volumes: Path) -> Path:
    """Put the first volume into a primary partition, the others into logical ones, from number 5 on."""
    return _partitioned(image, "dos", volumes, (1, *range(_FIRST_LOGICAL, 4 + len(volumes))), gap=MIB)


def gpt(image: Path, *volumes: Path) -> Path:
    """Put volumes behind a GPT."""
    return _partitioned(image, "gpt", volumes, range(1, len(volumes) + 1))


def gpt_with_gaps(image: Path, *volumes: Path) -> Path:
    """Put volumes into the partitions 2, 5, 8 and so on, as where others were deleted."""
    return _partitioned(image, "gpt", volumes, range(2, 3 * len(volumes) + 2, 3))


def apm(image: Path, *volumes: Path) -> Path:
    """Put volumes behind an Apple partition map, which is partition 1 itself."""
    starts = _starts(volumes)
    blank(image, starts[-1] + MIB)
    run("parted", "-s", image, "mklabel", "mac")
    for start, volume in zip(starts, volumes, strict=False):
        ends = (f"{start}B", f"{start + volume.stat().st_size - 1}B")
        run("parted", "-s", "-a", "none", image, "mkpart", "volume", "ext2", *ends)
    return _filled(image, volumes, starts)


def _partitioned(image: Path, label: str, volumes: Sequence[Path], numbers: Sequence[int], gap: int = 0) -> Path:
    starts = _starts(volumes, gap)
    rows = [f"label: {label}", f"label-id: {_LABELS[label]}"]
    for order, (number, start, volume) in enumerate(zip(numbers, starts, volumes, strict=False), 3):
        if label == "dos" and number == _FIRST_LOGICAL:
            first = start - gap
            rows.append(f"4: start={first // SECTOR}, size={(starts[-1] - first) // SECTOR}, type=5")
        identity = f", uuid={_UUID}{order}" if label == "gpt" else ""
        rows.append(f"{number}: start={start // SECTOR}, size={volume.stat().st_size // SECTOR}{identity}")
    blank(image, starts[-1] + MIB)
    run("sfdisk", "-q", image, stdin="\n".join(rows).encode())
    return _filled(image, volumes, starts)


def _starts(volumes: Sequence[Path], gap: int = 0) -> list[int]:
    """Offset of each volume, in whole MiB, and of what follows the last."""
    starts = [MIB]
    for volume in volumes:
        starts.append(starts[-1] + (volume.stat().st_size + MIB - 1) // MIB * MIB + gap)
    return starts


def _filled(image: Path, volumes: Sequence[Path], starts: Sequence[int]) -> Path:
    for volume, start in zip(volumes, starts, strict=False):
        copy_into(image, volume, start)
    return image
