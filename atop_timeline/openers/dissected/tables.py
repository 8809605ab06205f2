"""Partition tables: MBR, GPT and APM, the two latter by dissect; names as dfVFS has them."""

import struct
from collections.abc import Iterator
from typing import Any

from dissect.volume.disk.schemes import APM, GPT

_SECTORS = (512, 4096)
_ENTRIES_MAX = 4096  # of a GPT, which has 128 nearly always
_TABLES_MAX = 256  # of an MBR: a chain could lead to itself
_EXTENDED = {0x05, 0x0F, 0x85}
_PROTECTIVE = 0xEE
_NO_VOLUMES = {"Apple_partition_map", "Apple_Free"}

Partition = tuple[str, int, int]
"""Name, offset and size in bytes."""


def partitions(stream: Any, size: int) -> list[Partition]:  # noqa: ANN401  dissect has no types
    """Those of a disk of this size, a GPT's by number, all others by offset; none where there is no table.

    Raises what dissect raises.
    """
    for sector in _SECTORS:
        stream.seek(sector)
        header = stream.read(92)
        if header.startswith(b"EFI PART") and int.from_bytes(header[80:84], "little") <= _ENTRIES_MAX:
            return list(_gpt(stream, sector))
    stream.seek(512)
    found = _apm(stream) if stream.read(2) == b"PM" else _mbr(stream)
    return sorted((part for part in found if part[1] < size), key=lambda part: part[1])


def _gpt(stream: Any, sector: int) -> Iterator[Partition]:  # noqa: ANN401  as above
    """Dissect itself leaves out the last sector of each."""
    stream.seek(0)
    for part in GPT(stream, sector_size=sector).partitions:
        if hasattr(part.raw, "last_lba"):
            yield f"p{part.number}", int(part.offset), int(part.size) + sector


def _apm(stream: Any) -> Iterator[Partition]:  # noqa: ANN401  as above
    stream.seek(0)
    parts = [part for part in APM(stream).partitions if part.type not in _NO_VOLUMES]
    return ((f"p{number}", int(part.offset), int(part.size)) for number, part in enumerate(parts, 1))


def _mbr(stream: Any) -> Iterator[Partition]:  # noqa: ANN401  as above
    """Numbers are those of slots, four in each table; a damaged table ends the chain of them alone.

    Dissect itself would lose all others by it.
    """
    tables, table, extended = [0], 0, 0
    while table < min(len(tables), _TABLES_MAX):
        start = tables[table]
        for slot, (kind, first, count) in enumerate(_slots(stream, start)):
            if kind in _EXTENDED:
                tables.append(extended + first)
                extended = extended or first
            elif kind and kind != _PROTECTIVE and count:
                yield f"p{4 * table + slot + 1}", (start + first) * 512, count * 512
        table += 1


def _slots(stream: Any, sector: int) -> list[tuple[int, int, int]]:  # noqa: ANN401  as above
    """Type, first sector and how many; none where it is a file system's boot sector, and no table."""
    stream.seek(sector * 512)
    table = stream.read(512)
    slots = [struct.unpack_from("<B3xB3xII", table, 446 + 16 * slot) for slot in range(4 if len(table) == 512 else 0)]  # noqa: PLR2004  a sector
    is_table = table.endswith(b"\x55\xaa") and all(
        flag in {0, 0x80} and (first or not kind) for flag, kind, first, _ in slots
    )
    return [slot[1:] for slot in slots] if is_table else []
