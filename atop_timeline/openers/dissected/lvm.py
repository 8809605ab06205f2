"""LVM2 by dissect: groups, and what logical volumes are put together from.

All of this raises any of `layers.FAILURES`.
"""

from collections.abc import Sequence
from typing import Any

from dissect.util.stream import AlignedStream
from dissect.volume.dm.thin import ThinPool
from dissect.volume.lvm import LVM2, LVM2Device

from atop_timeline.errors import EvidenceError
from atop_timeline.openers.dissected.disks import exactly

_SECTOR = 512


def physical_volume(stream: Any) -> Any:  # noqa: ANN401  dissect has no types
    """A physical volume, of dissect's class."""
    stream.seek(0)
    return LVM2Device(stream)


def volume_group(devices: Sequence[Any]) -> Any:  # noqa: ANN401  as above
    """The group that physical volumes are of, as the newest of their metadata tells."""
    newest = max((device for device in devices if device.metadata), key=lambda device: _group(device)["seqno"])
    return LVM2([newest, *(device for device in devices if device is not newest)]).volume_group


def group_id(device: Any) -> str:  # noqa: ANN401  as above
    """Which group a physical volume is of."""
    return str(_group(device)["id"])


def _group(device: Any) -> Any:  # noqa: ANN401  as above
    return next(value for value in device.metadata.values() if isinstance(value, dict))


def logical_stream(volume: Any) -> Any:  # noqa: ANN401  as above
    """Dissect itself takes the stripe size, which is in sectors, for one in extents."""
    extent = volume.volume_group.extent_size * _SECTOR
    stream, first = _Segments(), 0
    for segment in volume.segments:
        if segment.start_extent != first:
            raise EvidenceError(f"segment {segment.name} begins at extent {segment.start_extent}, expected {first}")
        stream.add(_pieces(segment, extent), segment.extent_count * extent)
        first += segment.extent_count
    return stream


def _pieces(segment: Any, extent: int) -> "_Striped":  # noqa: ANN401  as above
    group = segment.logical_volume.volume_group
    size = segment.extent_count * extent
    if segment.type in {"linear", "striped"}:
        stripes = [(_device_stream(group, name), start * extent) for name, start in segment.stripes]
        return _Striped(stripes, (segment.stripe_size or 0) * _SECTOR or size)
    if segment.type == "mirror":
        return _Striped([(logical_stream(group.logical_volumes[segment.mirrors[0][0]]), 0)], size)
    if segment.type == "thin":
        pool = group.logical_volumes[segment.thin_pool].segments[0]
        parts = (logical_stream(group.logical_volumes[name]) for name in (pool.metadata, pool.pool))
        thin = ThinPool(*parts).open(segment.device_id, size)
        return _Striped([(exactly(thin, thin.block_size), 0)], size)  # a hole would end dissect's own longer reading
    raise EvidenceError(f"LVM segments of the type {segment.type}, which are not known")


def _device_stream(group: Any, name: str) -> Any:  # noqa: ANN401  as above
    """The extents of a physical volume."""
    device = group.physical_volumes[name].dev
    if device is None:
        raise EvidenceError(f"the physical volume {group.physical_volumes[name].id} of the group is not there")
    return device.open()


class _Striped:
    """Streams of which each in its turn gives so many bytes; one alone gives all."""

    def __init__(self, stripes: Sequence[tuple[Any, int]], stripe_bytes: int) -> None:
        if not stripes or stripe_bytes <= 0:
            raise EvidenceError("LVM segment without stripes")
        self._stripes = stripes
        self._stripe_bytes = stripe_bytes

    def read(self, offset: int, length: int) -> bytes:
        pieces, end = [], offset + length
        while offset < end:
            row, inside = divmod(offset, self._stripe_bytes)
            level, number = divmod(row, len(self._stripes))
            stream, start = self._stripes[number]
            size = min(end - offset, self._stripe_bytes - inside)
            stream.seek(start + level * self._stripe_bytes + inside)
            pieces.append(stream.read(size))
            offset += size
        return b"".join(pieces)


class _Segments(AlignedStream):  # type: ignore[misc]  # dissect has no types
    """The segments of a logical volume, one behind the other."""

    def __init__(self) -> None:
        super().__init__(0)
        self._segments: list[tuple[int, int, _Striped]] = []

    def add(self, segment: _Striped, size: int) -> None:
        self._segments.append((self.size, size, segment))
        self.size += size

    def _read(self, offset: int, length: int) -> bytes:
        pieces = []
        for start, size, segment in self._segments:
            first, last = max(offset, start), min(offset + length, start + size)
            if first < last:
                pieces.append(segment.read(first - start, last - first))
        return b"".join(pieces)
