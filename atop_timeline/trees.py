"""What every opener of evidence gives: trees of names and files, and streams of bytes.

A tree is a file system of an image, a folder, or an archive. This is all that a search knows of them.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Any, BinaryIO, NamedTuple, Protocol

from atop_timeline.errors import EvidenceError

OPENERS = ("auto", "dfvfs", "dissect")
"""Who may open a disk image: dfVFS, and dissect where that fails; or one of them alone."""

DISK_MARK = ":"
"""What the name of a whole disk ends with where several are looked into together; that of one alone is empty."""


class Kind(Enum):
    """What a name stands for."""

    FILE = "regular file"
    FOLDER = "directory"
    LINK = "symbolic link"
    OTHER = "device, socket or pipe"


class Entry(NamedTuple):
    """A name in a directory of a tree.

    `name` is as the tree has it, in UTF-8 where it is text; `readable` unless it could not be read, and a
    made-up one stands for it. `size` is in bytes, `inode` None where the tree has no such numbers, `handle`
    whatever the tree itself knows the entry by.
    """

    name: bytes
    kind: Kind
    size: int
    inode: int | None
    handle: Any
    readable: bool = True


class Source(Protocol):
    """Bytes, wherever they lie; picklable, so that another process may read them, whatever folder that works in."""

    def open(self) -> BinaryIO:
        """Return a seekable buffered reader; to open and to read it may raise `OSError`."""
        ...


class Tree(Protocol):
    """The names and files of one file system, folder or archive; none of this raises but `EvidenceError`."""

    @property
    def name(self) -> str:
        """Of the volume in its image, such as `p2` or `p3/vg-root`; empty where it is all of the evidence."""
        ...

    @property
    def kind(self) -> str:
        """Such as `ext4 file system`, `folder`, `zip archive`."""
        ...

    @property
    def is_rooted(self) -> bool:
        """Whether this is a machine's volume: its paths are absolute, its symbolic links lead somewhere in it."""
        ...

    @property
    def is_case_blind(self) -> bool:
        """Whether names that differ in their case alone are one: of FAT, NTFS, and ISO 9660 without longer names."""
        ...

    def top(self) -> tuple[Entry, ...]:
        """The directory that all is in, at the end; before it those around it, from the root, where they are known."""
        ...

    def entries(self, folder: Entry) -> Iterator[Entry | EvidenceError]:
        """What is in a directory, without `.` and `..`; what cannot be read of it comes as an error between."""
        ...

    def target(self, link: Entry) -> bytes:
        """What a symbolic link says."""
        ...

    def source(self, file: Entry) -> Source:
        """The bytes of a regular file."""
        ...


class Volume(NamedTuple):
    """A partition, a logical volume, or all of an image that has neither; what is in it where it was encrypted.

    `name` is its tree's, `kind` what its own first bytes tell where it has no tree. `size` is in bytes.
    `source` gives all of its bytes, decrypted; None where they cannot be had. `tree` is None where no file
    system can be read, for the reason `why`. `is_mapped` where these bytes do not lie on the disk as they are
    and in one piece: it was encrypted, or has several segments.
    """

    name: str
    kind: str
    size: int
    source: Source | None
    tree: Tree | None
    why: str = ""
    is_mapped: bool = False


class Image(NamedTuple):
    """A disk image: the bytes of the disk, and its volumes in the order of its tables."""

    disk: Source
    volumes: list[Volume]
