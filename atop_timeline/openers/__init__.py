"""Which library opens a disk image: dfVFS first, dissect where that fails or would give wrong bytes."""

import struct
from collections.abc import Sequence
from contextlib import suppress

from atop_timeline.errors import EvidenceError
from atop_timeline.keys import LOCKED, NONE_FITS, Keys
from atop_timeline.kinds import LOGLESS, ewf_segment
from atop_timeline.notes import reason
from atop_timeline.openers.trust import misread, unfinished
from atop_timeline.trees import OPENERS, Image, Volume

ADVICE = "pip install 'atop-timeline[dissect]' adds a second opener that may know it"
_OF_KEYS = frozenset({LOCKED, NONE_FITS})
_VOLUME_MIN_BYTES = 1 << 21  # a BIOS boot partition is smaller, a volume with logs is not


def opened(path: str, head: bytes, opener: str, keys: Keys) -> Image:
    """The image in a file that begins with these bytes. Raises `EvidenceError` where it cannot be opened."""
    segment = ewf_segment(head)
    if segment > 1:
        raise EvidenceError(f"segment {segment} of a split image, open the first one")
    why = unfinished(path, head)
    if why:
        raise EvidenceError(why)
    if opener == "dissect":
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
    is_large = volume.size >= _VOLUME_MIN_BYTES or not volume.source
    return volume.tree is None and volume.kind not in LOGLESS and is_large


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
    return next((place for place, other in enumerate(order) if f"{name}/".startswith(f"{other}/")), len(order))


def _advised(volume: Volume) -> Volume:
    is_open = not is_serious(volume) or volume.why in _OF_KEYS
    return volume if is_open else volume._replace(why="; ".join(filter(None, (volume.why, ADVICE))))
