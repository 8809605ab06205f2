"""Which library opens a disk image: dfVFS first, dissect where that fails or would give wrong bytes."""

import struct
from collections.abc import Sequence
from contextlib import suppress

from atop_timeline.errors import EvidenceError
from atop_timeline.keys import LOCKED, NONE_FITS, Keys
from atop_timeline.kinds import LOGLESS, PHYSICAL_VOLUME, ewf_segment
from atop_timeline.notes import reason
from atop_timeline.openers.trust import misread, unfinished
from atop_timeline.trees import DISK_MARK, OPENERS, Image, Source, Volume

ADVICE = "pip install 'atop-timeline[dissect]' adds a second opener that may know it"
READ_ELSEWHERE = "its volume group is read with the image in which it begins"
_OF_KEYS = frozenset({LOCKED, NONE_FITS})
_VOLUME_MIN_BYTES = 1 << 21  # a BIOS boot partition is smaller, a volume with logs is not


def opened(path: str, head: bytes, opener: str, keys: Keys, others: Sequence[str] = ()) -> Image:
    """The image in a file that begins with these bytes. Raises `EvidenceError` where it cannot be opened.

    `others` are all images at hand, this one among them: a volume group may lie on several.
    """
    image = _opened(path, head, opener, keys)
    is_part = len(others) > 1 and any(_is_of_group(volume) for volume in image.volumes)
    if is_part and opener != "dfvfs" and _is_there():
        return image._replace(volumes=_across(image, path, others, keys))
    return image


def _opened(path: str, head: bytes, opener: str, keys: Keys) -> Image:
    segment = ewf_segment(head)
    if segment > 1:
        raise EvidenceError(f"segment {segment} of a split image, open the first one")
    why = unfinished(path, head)
    if why:
        raise EvidenceError(why)
    if opener == "dissect":
        if not _is_there():
            raise EvidenceError(f"dissect is not installed: {ADVICE}")
        return _by_dissect(path, keys)
    try:
        image = _by_dfvfs(path, head, opener, keys)
    except EvidenceError as error:
        if opener == "dfvfs":
            raise
        return _instead(path, keys, reason(error))
    if opener == "dfvfs" or not any(is_serious(volume) for volume in image.volumes):
        return image
    return _completed(image, path, keys)


def is_serious(volume: Volume) -> bool:
    """Whether there may be logs in a volume in which none can be looked for."""
    is_large = volume.size >= _VOLUME_MIN_BYTES or not volume.source or not volume.name
    return volume.tree is None and volume.kind not in LOGLESS and is_large and volume.why != READ_ELSEWHERE


def _by_dfvfs(path: str, head: bytes, opener: str, keys: Keys) -> Image:
    from atop_timeline.openers import images  # noqa: PLC0415  dfVFS takes 24 of 184 ms to start (45 cold)

    try:
        why = misread(path, head)
    except (OSError, ValueError, struct.error) as error:
        raise EvidenceError(f"damaged qcow2 image: {reason(error)}") from error
    if why:
        raise EvidenceError(why)
    return images.image(path, keys, verified=opener == OPENERS[0] and _is_there())


def _by_dissect(path: str, keys: Keys) -> Image:
    from atop_timeline.openers import dissected  # noqa: PLC0415  an extra, and heavy

    disk = dissected.disk(path)
    return Image(disk, dissected.volumes([("", disk)], keys))


def _is_there() -> bool:
    from atop_timeline.openers import dissected  # noqa: PLC0415  likewise

    there: bool = dissected.is_installed()
    return there


def _instead(path: str, keys: Keys, why: str) -> Image:
    """All of an image by the second opener."""
    if not _is_there():
        raise EvidenceError(f"{why}: {ADVICE}")
    try:
        return _by_dissect(path, keys)
    except EvidenceError as error:
        raise EvidenceError(f"{why}; by dissect: {reason(error)}") from error


def _completed(image: Image, path: str, keys: Keys) -> Image:
    """The same image, with what only the second opener can read."""
    if not _is_there():
        return image._replace(volumes=[_advised(volume) for volume in image.volumes])
    if not any(volume.tree for volume in image.volumes):
        with suppress(EvidenceError):
            other = _by_dissect(path, keys)
            return other if any(volume.tree for volume in other.volumes) else image
    return image._replace(volumes=_merged(image.volumes, keys))


def _merged(volumes: Sequence[Volume], keys: Keys) -> list[Volume]:
    """Volumes, with those that dfVFS cannot read as dissect reads them: logical volumes may span several."""
    from atop_timeline.openers import dissected  # noqa: PLC0415  likewise

    unread = {volume.name: volume for volume in volumes if is_serious(volume) and volume.why != LOCKED}
    sources = [(name, volume.source) for name, volume in unread.items() if volume.source]
    again = dissected.volumes(sources, keys) if sources else []
    merged = [volume for volume in volumes if volume.name not in dict(sources)]
    for volume in again:
        before = unread.get(volume.name)
        told = before.why if before and volume.why not in _OF_KEYS else ""
        why = "; by dissect: ".join(filter(None, (told, volume.why)))
        merged.append(volume if volume.tree else volume._replace(why=why))
    order = [volume.name for volume in volumes]
    return sorted(merged, key=lambda volume: _position(order, volume.name))


def _position(order: Sequence[str], name: str) -> int:
    """Where the volume is that holds this one."""
    return next(
        (place for place, other in enumerate(order) if f"/{name}/".startswith(f"/{other}/".replace("//", "/"))),
        len(order),
    )


def _advised(volume: Volume) -> Volume:
    is_open = not is_serious(volume) or volume.why in _OF_KEYS
    return volume if is_open else volume._replace(why="; ".join(filter(None, (volume.why, ADVICE))))


def _is_of_group(volume: Volume) -> bool:
    """Whether this is an unread part of a volume group, physical or logical."""
    return volume.tree is None and (volume.kind == PHYSICAL_VOLUME or "lvm" in volume.name)


def _across(image: Image, path: str, others: Sequence[str], keys: Keys) -> list[Volume]:
    """Volumes of an image, with the logical ones of groups that begin in it and go on in other images."""
    from atop_timeline.openers import dissected  # noqa: PLC0415  likewise

    disks = [("", image.disk) if other == path else _other_disk(other) for other in others]
    again = dissected.volumes([disk for disk in disks if disk], keys)
    foreign = tuple(f"{other}{DISK_MARK}" for other in others)
    kept = [volume for volume in image.volumes if not _is_of_group(volume)]
    names = {volume.name for volume in kept}
    found = [volume for volume in again if not volume.name.startswith(foreign) and volume.name not in names]
    merged = [*kept, *(volume for volume in found if _is_of_group(volume) or volume.tree)]
    merged += [
        volume._replace(name=_holder(volume), why=READ_ELSEWHERE)
        for volume in image.volumes
        if _is_of_group(volume) and not any(_position([_holder(volume)], each.name) == 0 for each in found)
    ]
    order = [volume.name for volume in image.volumes]
    return sorted(merged, key=lambda volume: _position(order, volume.name))


def _holder(volume: Volume) -> str:
    """The name of the physical volume that this is, or that it begins in."""
    return volume.name.rpartition("lvm")[0].rstrip("/") if "lvm" in volume.name else volume.name


def _other_disk(path: str) -> tuple[str, Source] | None:
    from atop_timeline.openers import dissected  # noqa: PLC0415  likewise

    try:
        return f"{path}{DISK_MARK}", dissected.disk(path)
    except EvidenceError:
        return None
