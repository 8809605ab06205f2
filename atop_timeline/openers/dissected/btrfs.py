"""The subvolumes of a Btrfs by dissect, and their files.

Linux: include/uapi/linux/btrfs_tree.h. Checksums are verified by none.
"""

from collections.abc import Iterator
from typing import Any

from dissect.btrfs import Btrfs
from dissect.btrfs.c_btrfs import c_btrfs

from atop_timeline.errors import EvidenceError
from atop_timeline.openers.dissected.files import LINK_BYTES_MAX, check_size
from atop_timeline.texts import decode

_SUBVOLUMES_MAX = 10_000
_DEPTH_MAX = 256
_EXTENT_BYTES_MAX = 1 << 17  # Linux: fs/btrfs/compression.h, BTRFS_MAX_COMPRESSED


class BtrfsFiles:
    """A subvolume of a Btrfs; a handle is an inode number."""

    kind = "Btrfs file system"

    def __init__(self, btrfs: Btrfs, subvolume: int) -> None:
        self._subvolume = btrfs.open_subvolume(subvolume)
        self.top = self._subvolume.root.inum

    def names(self, handle: int) -> Iterator[tuple[str, int]]:
        """See `Files`; without other subvolumes."""
        for name, inode in self._subvolume.inode(handle).iterdir():
            if inode.subvolume.objectid == self._subvolume.objectid:
                yield name, inode.inum

    def node(self, handle: int) -> tuple[int, int, int | None]:
        """See `Files`."""
        inode = self._subvolume.inode(handle)
        return inode.mode, inode.size, handle

    def link(self, handle: int) -> str:
        """See `Files`."""
        inode = self._subvolume.inode(handle)
        check_size("symbolic link", inode.size, LINK_BYTES_MAX)
        return str(inode.link)

    def open(self, handle: int) -> Any:  # noqa: ANN401  as above
        """See `Files`."""
        stream = self._subvolume.inode(handle).open()
        for extent in getattr(stream, "extents", ()):
            if extent.compression:
                check_size("compressed extent", extent.disk_length, _EXTENT_BYTES_MAX)
        return stream


def subvolumes(btrfs: Btrfs) -> Iterator[tuple[int, str]]:
    """Numbers and paths of the subvolumes, snapshots too; the top one first, as ''. Raises what dissect raises."""
    found: dict[int, bytes] = {int(c_btrfs.BTRFS_FS_TREE_OBJECTID): b""}
    todo = list(found)
    while todo and len(found) < _SUBVOLUMES_MAX:
        parent = todo.pop(0)
        yield parent, decode(found[parent])
        cursor = btrfs._root_tree.cursor()  # noqa: SLF001  dissect's own paths of subvolumes may be endless
        for item, data in cursor.iter(parent, c_btrfs.BTRFS_ROOT_REF_KEY, 0, ignore_offset=True):
            child = int(item.key.offset)
            if child not in found:
                reference = c_btrfs.btrfs_root_ref(data)
                folder = _path_in(btrfs.open_subvolume(parent), reference.dirid)
                parts = (found[parent], *folder, bytes(reference.name))
                found[child] = b"/".join(filter(None, parts))
                todo.append(child)


def _path_in(subvolume: Any, folder: int) -> list[bytes]:  # noqa: ANN401  as above
    names: list[bytes] = []
    while folder != subvolume.root.inum:
        if len(names) > _DEPTH_MAX:
            raise EvidenceError(f"directories more than {_DEPTH_MAX} deep")
        item, data = subvolume.tree.find(folder, c_btrfs.BTRFS_INODE_REF_KEY)
        names.insert(0, bytes(c_btrfs.btrfs_inode_ref(data).name))
        folder = item.key.offset
    return names


def is_btrfs(head: bytes) -> bool:
    """Whether a volume that begins with these bytes is one."""
    return head.startswith(b"_BHRfS_M", 0x10040)


def group_of(head: bytes) -> str:
    """What the devices of one Btrfs have in common."""
    return head[0x10020:0x10030].hex()
