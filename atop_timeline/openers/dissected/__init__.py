"""Disk images by dissect, the second opener of evidence: what dfVFS cannot open, or cannot be trusted with.

The modules beside this one alone import it, apart from `atop_timeline.layout`; its AGPL makes it an extra.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from atop_timeline.keys import Keys
from atop_timeline.trees import Source, Volume

_NEEDED = ("btrfs", "evidence", "extfs", "fat", "fve", "hypervisor", "ntfs", "util", "volume", "xfs")


def is_installed() -> bool:
    """Whether the extra is there."""
    try:
        return all(find_spec(f"dissect.{name}") for name in _NEEDED)
    except ImportError:
        return False


def disk(path: str) -> Source:
    """The bytes of the disk in an image; of what is no known image, its own. Raises `EvidenceError`."""
    from atop_timeline.openers.dissected import layers  # noqa: PLC0415  not without the extra

    source = layers.DissectBytes(layers.Disk(str(Path(path).absolute())))
    source.open().close()
    return source


def volumes(disks: Sequence[tuple[str, Source]], keys: Keys) -> list[Volume]:
    """Every volume in some disks, or in volumes of one that have a name already, in the order of the tables.

    What is in a group of volumes comes where the first of them is; the subvolumes of a Btrfs are volumes.
    """
    from atop_timeline.openers.dissected import scan  # noqa: PLC0415  likewise

    return scan.volumes(disks, keys)
