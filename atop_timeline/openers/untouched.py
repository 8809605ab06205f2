"""dfVFS's files of this machine, opened so that not even the time of their last access changes."""

import io
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyewf
import pysmraw
from dfvfs.file_io import ewf_file_io, os_file_io, raw_file_io
from dfvfs.path import os_path_spec
from dfvfs.resolver import context, resolver
from dfvfs.resolver_helpers import ewf_resolver_helper, manager, os_resolver_helper, raw_resolver_helper

from atop_timeline.errors import EvidenceError
from atop_timeline.hostfiles import opened
from atop_timeline.openers import dissected
from atop_timeline.streams import sought


class Context(context.Context):  # type: ignore[misc]  # dfVFS has no types
    """What dfVFS opens files by; `verified`: an E01 by dissect's reader, where that knows it.

    libewf gives zeros for what fails its checksum, without an error, and inflates ten times slower.
    """

    def __init__(self, *, verified: bool) -> None:
        _register()
        super().__init__()
        self.verified = verified


@cache
def _register() -> None:
    """Has dfVFS open files this way from now on."""
    for helper in (_OsHelper(), _RawHelper(), _EwfHelper()):
        known = manager.ResolverHelperManager.GetHelper(helper.type_indicator)
        manager.ResolverHelperManager.DeregisterHelper(known)
        manager.ResolverHelperManager.RegisterHelper(helper)


class _OsHelper(os_resolver_helper.OSResolverHelper):  # type: ignore[misc]  # dfVFS has no types
    def NewFileObject(self, resolver_context: Any, path_spec: Any) -> Any:  # noqa: ANN401, N802  as in dfVFS
        return _OsFile(resolver_context, path_spec)


class _OsFile(os_file_io.OSFile):  # type: ignore[misc]  # likewise
    _file_object: Any

    def _Open(self) -> None:  # noqa: N802  as in dfVFS
        super()._Open()
        if isinstance(self._file_object, io.BufferedReader):  # no device
            self._file_object.close()
            self._file_object = opened(self._file_object.name)


class _RawHelper(raw_resolver_helper.RawResolverHelper):  # type: ignore[misc]  # likewise
    def NewFileObject(self, resolver_context: Any, path_spec: Any) -> Any:  # noqa: ANN401, N802  as in dfVFS
        return _RawFile(resolver_context, path_spec)


class _RawFile(raw_file_io.RawFile):  # type: ignore[misc]  # likewise
    _file_object: Any

    def _OpenFileObject(self, path_spec: Any) -> Any:  # noqa: ANN401, N802  as in dfVFS
        """Files as they are: libsmraw would copy all bytes once more."""
        paths = pysmraw.glob(path_spec.parent.location) if path_spec.parent.IsSystemLevel() else []
        if paths and all(Path(path).is_file() for path in paths):
            return _Joined(paths)
        return _with_segments(self, path_spec, pysmraw) or super()._OpenFileObject(path_spec)

    def get_size(self) -> int:
        """Of the disk, in bytes."""
        joined = self._file_object
        size: int = joined.size if isinstance(joined, _Joined) else super().get_size()
        return size


class _Joined:
    """Files, one behind the other, as dfVFS reads them."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._files = [opened(path, buffering=0) for path in paths]
        self._ends = list(accumulate(os.fstat(file.fileno()).st_size for file in self._files))
        self._position = 0
        self.size = self._ends[-1]

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> None:
        self._position = sought(offset, whence, self._position, self.size)

    def tell(self) -> int:
        return self._position

    def read(self, size: int | None = None) -> bytes:
        end = self.size if size is None else self._position + size
        pieces = list(self._pieces(min(end, self.size)))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        for file in self._files:
            file.close()

    def _pieces(self, end: int) -> Iterator[bytes]:
        """From here to there; less where a file has become shorter."""
        while self._position < end:
            number = bisect_right(self._ends, self._position)
            start, stop = self._ends[number - 1] if number else 0, self._ends[number]
            self._files[number].seek(self._position - start)
            piece = self._files[number].read(min(stop, end) - self._position)
            if not piece:
                break
            self._position += len(piece)
            yield piece


class _EwfHelper(ewf_resolver_helper.EWFResolverHelper):  # type: ignore[misc]  # likewise
    def NewFileObject(self, resolver_context: Any, path_spec: Any) -> Any:  # noqa: ANN401, N802  as in dfVFS
        is_verified = getattr(resolver_context, "verified", False)
        return (_VerifiedFile if is_verified else _EwfFile)(resolver_context, path_spec)


class _EwfFile(ewf_file_io.EWFFile):  # type: ignore[misc]  # likewise
    def _OpenFileObject(self, path_spec: Any) -> Any:  # noqa: ANN401, N802  as in dfVFS
        return _with_segments(self, path_spec, pyewf) or super()._OpenFileObject(path_spec)


class _VerifiedFile(_EwfFile):
    _disk_bytes: int | None

    def _OpenFileObject(self, path_spec: Any) -> Any:  # noqa: ANN401, N802  as in dfVFS
        try:
            reader = dissected.disk(path_spec.parent.location).open()
        except EvidenceError:  # Ex01, or segments that are missing
            self._disk_bytes = None
            return super()._OpenFileObject(path_spec)
        self._disk_bytes = reader.seek(0, os.SEEK_END)
        reader.seek(0)
        return reader

    def get_size(self) -> int:
        """Of the disk, in bytes."""
        size: int = super().get_size() if self._disk_bytes is None else self._disk_bytes
        return size


def _with_segments(file: Any, path_spec: Any, library: Any) -> Any:  # noqa: ANN401  as above
    """A handle of libsmraw or libewf on all segments, which these libraries would open by themselves."""
    if not path_spec.parent.IsSystemLevel():
        return None
    for path in library.glob(path_spec.parent.location):
        segment = os_path_spec.OSPathSpec(location=path)
        file._file_objects.append(resolver.Resolver.OpenFileObject(segment, file._resolver_context))  # noqa: SLF001  dfVFS's subclasses do
    handle = library.handle()
    handle.open_file_objects(file._file_objects)  # noqa: SLF001  likewise
    return handle
