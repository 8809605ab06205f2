"""Volumes as layers over the bytes of disks, by dissect: parts, what is decrypted, and what is put together.

A layer is a recipe: frozen, picklable, and made into a stream of dissect's once per process.
"""

import os
import struct
import sys
import zlib
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from importlib import import_module
from typing import Any, BinaryIO, Protocol

from dissect.fve.bde import BDE
from dissect.fve.bde.c_bde import FVE_KEY_TYPE
from dissect.fve.luks import LUKS
from dissect.util.stream import RangeStream

from atop_timeline.errors import EvidenceError
from atop_timeline.notes import reason
from atop_timeline.openers.dissected.disks import disk_stream, exactly, sized
from atop_timeline.openers.dissected.lvm import logical_stream, physical_volume, volume_group
from atop_timeline.openers.dissected.xts import XtsStream, is_xts
from atop_timeline.streams import buffered
from atop_timeline.trees import Source

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_PACKAGES = ("btrfs", "cstruct", "evidence", "extfs", "fat", "fve", "hypervisor", "ntfs", "util")
_ERRORS = tuple(
    import_module(f"dissect.{package}.{'exception' if package in {'evidence', 'fve'} else 'exceptions'}").Error
    for package in (*_PACKAGES, "volume", "xfs")
)
FAILURES = (
    *_ERRORS,
    *(ArithmeticError, AssertionError, AttributeError, EOFError, ImportError, LookupError, MemoryError, OSError),
    *(RuntimeError, SyntaxError, TypeError, ValueError, struct.error, zlib.error, zstd.ZstdError),
)
"""What dissect raises over damaged, locked or unknown images, volumes and files."""


class Layer(Hashable, Protocol):
    """How to come to the bytes of a disk or a volume."""

    def stream(self) -> Any:  # noqa: ANN401  dissect has no types
        """Return a new stream with a size; raises any of `FAILURES`."""
        ...


def stream_of(layer: Layer) -> Any:  # noqa: ANN401  as above
    """The stream of a layer, the same one each time in a process."""
    return _stream_in(os.getpid(), layer)


@lru_cache(maxsize=64)
def _stream_in(process: int, layer: Layer) -> Any:  # noqa: ANN401, ARG001  processes must not share dissect's objects
    return layer.stream()


@dataclass(frozen=True)
class DissectBytes:
    """The bytes of a layer."""

    layer: Layer

    def open(self) -> BinaryIO:
        """See `Source`."""
        try:
            stream = stream_of(self.layer)
        except FAILURES as error:
            raise EvidenceError(why(error)) from error
        return buffered(partial(read_at, stream), stream.size)


def read_at(stream: Any, offset: int, size: int) -> bytes:  # noqa: ANN401  as above
    """Bytes of a stream of dissect's; raises `EvidenceError`."""
    try:
        stream.seek(offset)
        return bytes(stream.read(size))
    except BaseException as error:
        if not is_failure(error):
            raise
        raise EvidenceError(f"offset {offset}: {why(error)}") from error


def is_failure(error: BaseException) -> bool:
    """Whether it is dissect that fails: a panic in its Rust is no Exception, and of a class that none can import."""
    return isinstance(error, FAILURES) or type(error).__module__ == "pyo3_runtime"


def why(error: BaseException) -> str:
    """One line about an error, be it one without a text."""
    return reason(error) or type(error).__name__


@dataclass(frozen=True)
class Disk:
    """The disk in an image; the path is from the root."""

    path: str

    def stream(self) -> Any:  # noqa: ANN401  as above
        """See `Layer`."""
        return disk_stream(self.path)


@dataclass(frozen=True)
class Given:
    """Bytes that somebody else opens."""

    source: Source

    def stream(self) -> Any:  # noqa: ANN401  as above
        """See `Layer`."""
        return exactly(sized(self.source.open()))


@dataclass(frozen=True)
class Part:
    """A partition; offset and size in bytes."""

    below: Layer
    offset: int
    size: int

    def stream(self) -> Any:  # noqa: ANN401  as above
        """See `Layer`."""
        return exactly(RangeStream(stream_of(self.below), self.offset, self.size))


@dataclass(frozen=True)
class Luks:
    """What is in a LUKS volume, by the key of the volume itself: to open it once more takes no derivation."""

    below: Layer
    keyslot: int
    key: bytes = field(repr=False)

    def stream(self) -> Any:  # noqa: ANN401  as above
        """See `Layer`."""
        below = stream_of(self.below)
        volume = LUKS(below)
        volume.unlock(self.key, self.keyslot)
        stream, segment = volume.open(), volume.find_segment(self.keyslot)
        return exactly(XtsStream(below, segment, self.key, stream.size) if is_xts(segment.encryption) else stream)


@dataclass(frozen=True)
class BitLocker:
    """What is in a BitLocker volume, by the key of the volume itself; empty where nothing is encrypted."""

    below: Layer
    key_type: int
    key: bytes = field(repr=False)

    def stream(self) -> Any:  # noqa: ANN401  as above
        """See `Layer`."""
        below = stream_of(self.below)
        below.seek(0)
        volume = BDE(below)
        if self.key:
            volume.unlock_with_fvek(self.key)
            volume._fvek_type = FVE_KEY_TYPE(self.key_type)  # noqa: SLF001  the header's may be another
        return exactly(volume.open())


@dataclass(frozen=True)
class Logical:
    """A logical volume of LVM2, by its name in the group that these physical volumes are of."""

    below: tuple[Layer, ...]
    name: str

    def stream(self) -> Any:  # noqa: ANN401  as above
        """See `Layer`."""
        group = volume_group([physical_volume(stream_of(layer)) for layer in self.below])
        return exactly(logical_stream(group.logical_volumes[self.name]))
