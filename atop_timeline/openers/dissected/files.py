"""File systems as dissect reads them, where it reads them right."""

import stat
import struct
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from dissect.extfs import ExtFS
from dissect.fat.fat import FATFS
from dissect.ntfs import NTFS
from dissect.ntfs.util import segment_reference
from dissect.util.stream import RunlistStream
from dissect.xfs import XFS

from atop_timeline.errors import EvidenceError

_FOLDER_BYTES_MAX = 1 << 30  # an endless one would be read for ever
_BLOCK_LIST_BYTES_MAX = 1 << 36  # of ext2 and ext3: dissect has a list of all blocks of a file
LINK_BYTES_MAX = 1 << 16

_EXT_LOG_BLOCK_SIZE_AT = 1048  # Linux: fs/ext4/ext4.h, struct ext4_super_block
_EXT_LOG_BLOCK_SIZE_MAX = 6  # likewise: EXT4_MAX_BLOCK_SIZE, 64 KiB
_EXT_EXTENTS, _EXT_ENCRYPTED, _EXT_INLINE = 0x80000, 0x800, 0x10000000  # Linux: fs/ext4/ext4.h, EXT4_EXTENTS_FL ...
_EXT_MISREAD_FEATURES = 0x1 | 0x8 | 0x10 | 0x1000  # likewise: COMPRESSION, JOURNAL_DEV, META_BG, DIRDATA
_XFS_REALTIME = 0x1  # Linux: fs/xfs/libxfs/xfs_format.h, XFS_DIFLAG_REALTIME
_XFS_FOLDER_HEADS = {b"XD2B", b"XD2D", b"XDB3", b"XDD3", bytes(4)}  # likewise: XFS_DIR2_BLOCK_MAGIC ...; holes
_XFS_EXTENT_LISTS = (2, 3)  # likewise: XFS_DINODE_FMT_EXTENTS, XFS_DINODE_FMT_BTREE


class Files(Protocol):
    """A file system of dissect's; all raise any of `layers.FAILURES`."""

    kind: str
    top: Any
    """The handle of the directory that all is in."""

    def names(self, handle: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401  dissect has no types
        """What is in a directory: names, which may hold bytes as surrogates, and handles."""
        ...

    def node(self, handle: Any) -> tuple[int, int, int | None]:  # noqa: ANN401  as above
        """The mode, the size in bytes and the inode number."""
        ...

    def link(self, handle: Any) -> str:  # noqa: ANN401  as above
        """What a symbolic link says."""
        ...

    def open(self, handle: Any) -> Any:  # noqa: ANN401  as above
        """A stream of dissect's over the bytes of a regular file."""
        ...


class _Ext:
    """An ext2, ext3 or ext4; a handle is an inode number."""

    kind = "ext2/3/4 file system"
    top = 2

    def __init__(self, stream: Any) -> None:  # noqa: ANN401  as above
        """Dissect itself makes a number of half a gigabyte of a damaged size."""
        stream.seek(_EXT_LOG_BLOCK_SIZE_AT)
        (log_block_size,) = struct.unpack("<I", stream.read(4))
        if log_block_size > _EXT_LOG_BLOCK_SIZE_MAX:
            raise EvidenceError(f"blocks of 2^{10 + log_block_size} bytes, at most 64 KiB are possible")
        self._ext = ExtFS(stream)
        misread = self._ext.sb.s_feature_incompat & _EXT_MISREAD_FEATURES
        if misread:
            raise EvidenceError(f"ext with the features {misread:#x}, which dissect does not know")

    def names(self, handle: int) -> Iterator[tuple[str, int]]:
        """Dissect itself ends at the first damaged entry as if nothing followed."""
        folder, damaged = self._ext.get_inode(handle), 0
        check_size("directory", folder.size, _FOLDER_BYTES_MAX)
        if folder.inode.i_flags & _EXT_INLINE:
            raise EvidenceError("directory inside its inode")
        stream = folder.open()
        for _ in range(0, folder.size, self._ext.block_size):
            entries, is_whole = _ext_entries(stream.read(self._ext.block_size))
            damaged += not is_whole
            yield from entries
        if damaged:
            raise EvidenceError(f"{damaged} damaged blocks of the directory")

    def node(self, handle: int) -> tuple[int, int, int | None]:
        inode = self._ext.get_inode(handle)
        return inode.inode.i_mode, inode.size, handle

    def link(self, handle: int) -> str:
        inode = self._ext.get_inode(handle)
        check_size("symbolic link", inode.size, LINK_BYTES_MAX)
        return str(inode.link)

    def open(self, handle: int) -> Any:  # noqa: ANN401  as above
        inode = self._ext.get_inode(handle)
        if inode.inode.i_flags & _EXT_ENCRYPTED:
            raise EvidenceError("encrypted file")
        if not inode.inode.i_flags & _EXT_EXTENTS:
            check_size("file without extents", inode.size, _BLOCK_LIST_BYTES_MAX)
        return inode.open()


def _ext_entries(block: bytes) -> tuple[list[tuple[str, int]], bool]:
    """Names and inode numbers in a block of a directory, and whether it is whole; Linux: fs/ext4/ext4.h."""
    entries: list[tuple[str, int]] = []
    offset = 0
    while offset + 8 <= len(block):
        inode, length, name_length = struct.unpack_from("<IHB", block, offset)
        length = len(block) if length in {0, 0xFFFF} and len(block) > 0xFFFF else length  # noqa: PLR2004  16 bits
        if length < 8 + (name_length if inode else 0) or offset + length > len(block):
            return entries, False
        if inode:
            entries.append((block[offset + 8 : offset + 8 + name_length].decode("utf-8", "surrogateescape"), inode))
        offset += length
    return entries, bool(block)


class _Xfs:
    """An XFS; a handle is an inode number."""

    kind = "XFS file system"

    def __init__(self, stream: Any) -> None:  # noqa: ANN401  as above
        self._xfs = XFS(stream)
        self.top = self._xfs.root.inum
        if self._xfs.sb.sb_dirblklog:
            raise EvidenceError("XFS with directories in blocks of their own size, of which dissect leaves out names")

    def names(self, handle: int) -> Iterator[tuple[str, int]]:
        """Dissect itself leaves out damaged blocks without a word."""
        folder = self._xfs.get_inode(handle)
        check_size("directory", folder.size, _FOLDER_BYTES_MAX)
        yield from ((each.filename, each.inum) for each in folder.iterdir())
        if folder.inode.di_format in _XFS_EXTENT_LISTS:
            stream, size = folder.open(), self._xfs.block_size
            heads = (stream.read(size)[:4] for _ in range(0, folder.size, size))
            damaged = sum(head not in _XFS_FOLDER_HEADS for head in heads)
            if damaged:
                raise EvidenceError(f"{damaged} damaged blocks of the directory")

    def node(self, handle: int) -> tuple[int, int, int | None]:
        inode = self._xfs.get_inode(handle)
        return inode.inode.di_mode, inode.size, handle

    def link(self, handle: int) -> str:
        inode = self._xfs.get_inode(handle)
        check_size("symbolic link", inode.size, LINK_BYTES_MAX)
        return str(inode.link)

    def open(self, handle: int) -> Any:  # noqa: ANN401  as above
        """Dissect itself gives what lies on the disk where nothing was written yet."""
        inode = self._xfs.get_inode(handle)
        if inode.inode.di_flags & _XFS_REALTIME:
            raise EvidenceError("file on a realtime device")
        if inode.inode.di_format not in _XFS_EXTENT_LISTS:
            return inode.open()
        return RunlistStream(self._xfs.fh, list(self._runs(inode)), inode.size, self._xfs.block_size)

    def _runs(self, inode: Any) -> Iterator[tuple[int | None, int]]:  # noqa: ANN401  as above
        """Block numbers, None for zeros, and how many; up to the end of the file."""
        end, bits, group_blocks = 0, self._xfs.sb.sb_agblklog, self._xfs.sb.sb_agblocks
        for first, block, count, is_unwritten in inode._iter_blocks():  # noqa: SLF001  alone tells what is unwritten
            if first > end:
                yield None, first - end
            at = (block >> bits) * group_blocks + (block & ((1 << bits) - 1))
            yield None if is_unwritten else at, count
            end = first + count
        yield None, max(-(-inode.size // self._xfs.block_size) - end, 0)


class _Ntfs:
    """An NTFS; a handle is a number in the MFT."""

    kind = "NTFS file system"
    top = 5  # libfsntfs: New Technologies File System, "Metadata files"

    def __init__(self, stream: Any) -> None:  # noqa: ANN401  as above
        self._mft = NTFS(stream).mft

    def names(self, handle: int) -> Iterator[tuple[str, int]]:
        for each in self._mft.get(handle).iterdir(ignore_dos=True):
            yield each.attribute.file_name, segment_reference(each.header.FileReference)

    def node(self, handle: int) -> tuple[int, int, int | None]:
        record = self._mft.get(handle)
        if record.is_symlink() or record.is_mount_point():
            return stat.S_IFLNK, 0, handle
        if record.is_dir():
            return stat.S_IFDIR, 0, handle
        return (stat.S_IFREG, record.size(), handle) if record.has_stream() else (0, 0, handle)

    def link(self, handle: int) -> str:
        return str(self._mft.get(handle).reparse_point_name).replace("\\", "/")

    def open(self, handle: int) -> Any:  # noqa: ANN401  as above
        return self._mft.get(handle).open()


_LOWER_BASE, _LOWER_EXTENSION = 0x08, 0x10


class _Fat:
    """A FAT; a handle is a path. Dissect itself misreads chains that go back by one cluster, or endless ones."""

    kind = "FAT file system"
    top = "/"

    def __init__(self, stream: Any) -> None:  # noqa: ANN401  as above
        self._fat = FATFS(stream)
        table, most = self._fat.fat, stream.size // self._fat.cluster_size
        table.runlist = lambda first: [(cluster - 2, 1) for cluster in _bounded(table.chain(first), most)]

    def names(self, handle: str) -> Iterator[tuple[str, str]]:
        folder = handle.rstrip("/")
        return ((_fat_name(each), f"{folder}/{each.name}") for each in self._fat.get(handle).iterdir())

    def node(self, handle: str) -> tuple[int, int, int | None]:
        entry = self._fat.get(handle)
        return (stat.S_IFDIR, 0, None) if entry.is_directory() else (stat.S_IFREG, entry.size, None)

    def link(self, handle: str) -> str:
        raise EvidenceError(f"{handle} is no symbolic link")

    def open(self, handle: str) -> Any:  # noqa: ANN401  as above
        return self._fat.get(handle).open()


def _fat_name(entry: Any) -> str:  # noqa: ANN401  as above
    """The name of an entry; a short one says apart from it which half of it is in lower case (DIR_NTRes)."""
    name: str = entry.name
    if name != entry.short_name:
        return name
    base, dot, extension = name.partition(".")
    base = base.lower() if entry.dirent.DIR_NTRes & _LOWER_BASE else base
    return base + dot + (extension.lower() if entry.dirent.DIR_NTRes & _LOWER_EXTENSION else extension)


def _bounded(clusters: Iterator[int], most: int) -> Iterator[int]:
    for count, cluster in enumerate(clusters):
        if count > most:
            raise EvidenceError(f"chain of more than {most} clusters")
        yield cluster


def check_size(what: str, size: int, most: int) -> None:
    """Raise `EvidenceError` over what would take too much."""
    if size > most:
        raise EvidenceError(f"{what} of {size} bytes, at most {most} are read")


_OPENERS: Mapping[Callable[[bytes], bool], Callable[[Any], Files]] = MappingProxyType(
    {
        lambda head: head.startswith(b"\x53\xef", 1080): _Ext,
        lambda head: head.startswith(b"XFSB"): _Xfs,
        lambda head: head.startswith(b"NTFS    ", 3): _Ntfs,
        lambda head: head.startswith((b"FAT12   ", b"FAT16   "), 54): _Fat,
        lambda head: head.startswith(b"FAT32   ", 82): _Fat,
    }
)


def has_files(head: bytes) -> bool:
    """Whether what begins with these 64 KiB may be one of these file systems."""
    return any(is_there(head) for is_there in _OPENERS)


def files_on(stream: Any) -> Files:  # noqa: ANN401  as above
    """The file system on a stream; raises any of `layers.FAILURES`."""
    stream.seek(0)
    head = stream.read(0x10000)
    opener = next(opener for is_there, opener in _OPENERS.items() if is_there(head))
    stream.seek(0)
    return opener(stream)
