"""The bytes of the disk in an image, by dissect (https://docs.dissect.tools), where dissect gives the right ones.

Facts about dissect.hypervisor 3.21 and dissect.evidence 3.13 that are mended or refused here stand at their place.
"""

import io
import os
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, chain, count, islice, pairwise, takewhile
from pathlib import Path, PosixPath
from string import ascii_uppercase
from types import MappingProxyType
from typing import Any, BinaryIO, cast

from dissect.evidence.ewf import ewf
from dissect.hypervisor.disk import qcow2, vdi, vhd, vhdx, vmdk
from dissect.util.stream import AlignedStream, BufferedStream, MappingStream

from atop_timeline import hostfiles
from atop_timeline.errors import EvidenceError

_QCOW2_BACKING_MAX = 32
_QCOW2_KNOWN_FEATURES = 0xF  # qemu: docs/interop/qcow2.txt; dissect never ends with the next one, extended L2 entries
_VHD_DIFFERENCING, _VDI_DIFFERENCING = 4, 4
_PIECES_MAX = 2000
_SECTOR = 512


class HostPath(PosixPath):
    """A path that dissect can open without changing the file's time of last access."""

    def open(self, *_arguments: object, **_options: object) -> BinaryIO:  # type: ignore[override]  # binary alone
        """Open for reading, whatever mode is asked for."""
        with hostfiles.opened(str(self), buffering=0) as stream:
            return cast("BinaryIO", _Held(os.dup(stream.fileno())))


class _Held(io.FileIO):
    """A file that is open as long as anything of dissect's, which closes none, has it."""

    def __del__(self) -> None:
        self.close()


def disk_stream(path: str) -> Any:  # noqa: ANN401  dissect has no types
    """The disk in an image, as a stream of dissect's with a size; what is no known image is the disk itself.

    Raises what dissect raises.
    """
    with hostfiles.opened(path) as stream:
        head = stream.read(_SECTOR)
        stream.seek(-min(_SECTOR, stream.seek(0, os.SEEK_END)), os.SEEK_END)
        tail = stream.read(_SECTOR)
    for opener, is_there in _FORMS.items():
        if is_there(head, tail):
            return opener(HostPath(path))
    return _raw(HostPath(path))


def exactly(stream: Any, piece_bytes: int = 0) -> Any:  # noqa: ANN401  as above
    """The same stream; where it would leave out bytes, so that later ones come too early, it raises `EOFError`.

    `piece_bytes`: no more is read at once, nor across a multiple of it.
    """
    inner = stream._read  # noqa: SLF001  the one place that all reading goes through

    def read(offset: int, length: int) -> bytes:
        wanted = length if stream.size is None else min(length, stream.size - offset)
        end = offset + length
        inside = range(offset - offset % piece_bytes + piece_bytes, end, piece_bytes) if piece_bytes else ()
        data = b"".join(inner(start, stop - start) for start, stop in pairwise([offset, *inside, end]))
        if not wanted <= len(data) <= length:
            raise EOFError(f"offset {offset}: {len(data)} bytes, expected {wanted}")
        return data

    stream._read = read  # noqa: SLF001  likewise
    return stream


def sized(stream: BinaryIO) -> Any:  # noqa: ANN401  as above
    """A stream of dissect's over one of Python's."""
    return BufferedStream(stream, size=stream.seek(0, os.SEEK_END))


def _raw(path: Path) -> Any:  # noqa: ANN401  as above
    pieces = _pieces(path)
    if len(pieces) == 1:
        return sized(path.open("rb"))
    stream, offset = MappingStream(), 0
    for piece in pieces:
        size = piece.stat().st_size
        stream.add(offset, size, _Segment(piece))
        offset += size
    return exactly(stream)


def _pieces(path: Path) -> list[Path]:
    """The files of a raw image in pieces: `.000` or `.001` and so on, `.aa` and so on; none may be lost between."""
    suffix = path.suffix[1:]
    if suffix.isdecimal() and int(suffix) < 2 and len(suffix) > 1:  # noqa: PLR2004  where they begin
        names: Iterator[str] = (f"{number:0{len(suffix)}d}" for number in count(int(suffix)))
    elif suffix and not suffix.lower().strip("a"):
        names = _letters(suffix)
    else:
        return [path]
    candidates = [path.with_suffix(f".{name}") for name in islice(names, _PIECES_MAX)]
    pieces = [piece for piece in candidates if piece.exists()]
    if pieces != candidates[: len(pieces)]:
        raise EvidenceError(f"{next(piece for piece in candidates if piece not in pieces).name} is not there")
    return pieces


def _letters(first: str) -> Iterator[str]:
    """`aa`, `ab` to `zz`."""
    for number in range(26 ** len(first)):
        digits = [number // 26**place % 26 for place in reversed(range(len(first)))]
        yield "".join(chr(ord(first[0]) + digit) for digit in digits)


class _Segment:
    """A file of many; not all of them are open at the same time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._path.stat().st_size}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        stream = _opened_segment(os.getpid(), self._path)
        stream.seek(self._position)
        data = stream.read(size)
        self._position += len(data)
        return data


@lru_cache(maxsize=64)
def _opened_segment(process: int, path: Path) -> BinaryIO:  # noqa: ARG001  processes must not share a position
    return path.open("rb")


def _ewf(path: Path) -> Any:  # noqa: ANN401  as above
    return exactly(_EwfDisk(list(takewhile(Path.exists, _ewf_segments(path)))))


def _ewf_segments(path: Path) -> Iterator[Path]:
    """`.E01` to `.E99`, `.EAA` to `.ZZZ`; libewf: Expert Witness Compression Format, "Segment file extensions"."""
    first = path.suffix[1:2]
    letters = ascii_uppercase if first.isupper() else ascii_uppercase.lower()
    numbered = (f"{first}{number:02d}" for number in range(1, 100))
    lettered = (f"{a}{b}{c}" for a in letters[letters.index(first) :] for b in letters for c in letters)
    return (path.with_suffix(f".{suffix}") for suffix in chain(numbered, lettered))


class _EwfDisk(AlignedStream):  # type: ignore[misc]  # dissect has no types
    """The chunks of an EWF, each verified.

    dissect finds the chunks. Its own stream takes later segments for lost ones, verifies no chunk that is not
    compressed, and keeps 32 MiB of each table.
    """

    def __init__(self, segments: Sequence[Path]) -> None:
        image = ewf.EWF([_Segment(path) for path in segments])
        opened = [image.segment(number) for number in range(len(segments))]
        self._tables = [table for segment in opened for table in segment.tables]
        self._firsts = [0, *accumulate(table.num_entries for table in self._tables)]
        numbers = [int(segment.ewfheader.segment_number) for segment in opened]
        if numbers != list(range(1, len(numbers) + 1)) or self._firsts[-1] != image.volume.chunk_count:
            raise EvidenceError(f"segments {numbers} have {self._firsts[-1]} of {image.volume.chunk_count} chunks")
        super().__init__(image.size, image.chunk_size)
        self._chunk = lru_cache(64)(self._chunk)  # type: ignore[method-assign]  # of this object alone

    def _read(self, offset: int, length: int) -> bytes:
        chunks = range(offset // self.align, -(-min(offset + length, self.size) // self.align))
        return b"".join(map(self._chunk, chunks))

    def _chunk(self, number: int) -> bytes:
        table_number = bisect_right(self._firsts, number) - 1
        table, entry = self._tables[table_number], number - self._firsts[table_number]
        data: bytes = type(table).read_chunk(table, entry)
        is_compressed = table.entries[entry] >> 31
        if not is_compressed and zlib.adler32(data) != int.from_bytes(table.segment.fh.read(4), "little"):
            raise EvidenceError(f"chunk {number} at offset {number * self.align}: wrong checksum")
        if len(data) != min(self.align, self.size - number * self.align):
            raise EvidenceError(f"chunk {number} at offset {number * self.align}: {len(data)} bytes")
        return data


def _qcow2(path: Path, depth: int = 0) -> Any:  # noqa: ANN401  as above
    """Dissect itself looks for a backing file beside the image alone, and shifts what is behind a shorter one's end."""
    if depth > _QCOW2_BACKING_MAX:
        raise EvidenceError(f"more than {_QCOW2_BACKING_MAX} backing files")
    image = qcow2.QCow2(path.open("rb"), allow_no_data_file=True, allow_no_backing_file=True)
    _check_features(image)
    if image.needs_data_file:
        image.data_file = _beside(path, image.image_data_file).open("rb")
    if image.needs_backing_file:
        backing = _beside(path, image.auto_backing_file)
        image.backing_file = _lengthened(_backing(backing, image.backing_format, depth), image.size)
    return exactly(image.open())


def _check_features(image: Any) -> None:  # noqa: ANN401  as above
    """Raise `EvidenceError` over what dissect misreads; a header of version 2 ends before the features."""
    features = image.header.incompatible_features
    if image.header.version == 2 and features:  # noqa: PLR2004  as above
        raise EvidenceError("qcow2 of version 2 with header extensions")
    if features & ~_QCOW2_KNOWN_FEATURES:
        raise EvidenceError(f"qcow2 with the features {features:#x}, of which dissect does not know all")


def _beside(path: Path, name: str) -> Path:
    """A file that an image names, where the image is: what lies elsewhere on this machine may be another one."""
    named = Path(name.removeprefix("file:"))
    place = path.parent / named
    return path.parent / named.name if named.is_absolute() or not place.exists() else place


def _backing(path: Path, form: str | None, depth: int) -> Any:  # noqa: ANN401  as above
    """By the format that the image names: what is on a raw disk could look like another image."""
    if form == "RAW":
        return sized(path.open("rb"))
    with path.open("rb") as stream:
        is_qcow2 = stream.read(4) == b"QFI\xfb"
    return _qcow2(path, depth + 1) if is_qcow2 else disk_stream(str(path))


def _lengthened(stream: Any, size: int) -> Any:  # noqa: ANN401  as above
    """A stream with zeros behind its end, up to a size."""
    if stream.size >= size:
        return stream
    longer = MappingStream()
    longer.add(0, stream.size, stream)
    longer.add(stream.size, size - stream.size, _Zeros())
    return exactly(longer)


class _Zeros:
    def seek(self, offset: int) -> int:
        return offset

    def read(self, size: int) -> bytes:
        return bytes(size)


def _vmdk(path: Path) -> Any:  # noqa: ANN401  as above
    """Dissect leaves out extents of zeros, and where in its file a flat extent begins."""
    image = vmdk.VMDK(path)
    extents = image.descriptor.extents if image.descriptor else ()
    for extent in extents:
        is_known = extent.type in {"SPARSE", "FLAT", "VMFS", "VMFSSPARSE", "SESPARSE"}
        if not is_known or (extent.type in {"FLAT", "VMFS"} and extent.start_sector):
            raise EvidenceError(f"VMDK with the extent {extent.raw}")
    if image.descriptor and image.size != image.descriptor.sectors * _SECTOR:
        raise EvidenceError(f"VMDK extents have {image.size} bytes, expected {image.descriptor.sectors * _SECTOR}")
    return exactly(image)


def _vhd(path: Path) -> Any:  # noqa: ANN401  as above
    image = vhd.VHD(path.open("rb"))
    if image.disk.footer.disk_type == _VHD_DIFFERENCING:
        raise EvidenceError("VHD that only has the differences to another one")
    return exactly(image)


def _vhdx(path: Path) -> Any:  # noqa: ANN401  as above
    """Dissect reads across the end of a block as if the next one followed it."""
    image = vhdx.VHDX(path)
    return exactly(image, image.block_size)


def _vdi(path: Path) -> Any:  # noqa: ANN401  as above
    """Dissect reads across the end of a block as if the next one followed it."""
    image = vdi.VDI(path)
    if image.type == _VDI_DIFFERENCING:
        raise EvidenceError("VDI that only has the differences to another one")
    return exactly(image.open(), image.block_size)


_FORMS: Mapping[Callable[[Path], Any], Callable[[bytes, bytes], bool]] = MappingProxyType(
    {
        _ewf: lambda head, _: head.startswith((b"EVF", b"LVF")),
        _qcow2: lambda head, _: head.startswith(b"QFI\xfb"),
        _vmdk: lambda head, _: head.startswith((b"KDMV", b"COWD", b"# Disk Desc")),
        _vhdx: lambda head, _: head.startswith(b"vhdxfile"),
        _vdi: lambda head, _: head[64:68] == b"\x7f\x10\xda\xbe",
        _vhd: lambda head, tail: b"conectix" in (head[:8], tail[:8]),
    }
)
