"""The directories of an archive, made of the flat names of its members, and what is lost of it."""

from collections.abc import Iterator
from typing import Any

from atop_timeline.errors import EvidenceError
from atop_timeline.texts import decode
from atop_timeline.trees import Entry, Kind

MANY = 1_000_000
_MOST = 2 * MANY
_DEPTH_MOST = 256
_PATH_MOST = 1 << 14  # Linux: PATH_MAX is 4096
_SHOWN_MOST = 80
_TOLD_LOSSES = 100


class Names:
    """Entries by directory; the handle of a directory is its number. A name may be there several times."""

    def __init__(self) -> None:
        self._folders: list[dict[bytes, Entry]] = [{}]
        self._earlier: dict[int, list[Entry]] = {}
        self._count = 0
        self._losses: dict[str, None] = {}
        self._untold = 0

    @property
    def are_many(self) -> bool:
        """Whether it is time to be choosy."""
        return self._count >= MANY

    def lose(self, what: str) -> None:
        """Keep what is to be told of a loss."""
        if len(self._losses) < _TOLD_LOSSES:
            self._losses[what] = None
        elif what not in self._losses:
            self._untold += 1

    def losses(self) -> Iterator[EvidenceError]:
        """The first losses, and how many more there were."""
        yield from map(EvidenceError, self._losses)
        if self._untold:
            yield EvidenceError(f"{self._untold} more like these")

    def add(self, path: bytes, kind: Kind, size: int, handle: Any) -> None:  # noqa: ANN401  as in Entry
        """Add a member, and the directories on its way; raises `EvidenceError` for a name that none could have."""
        parts = _parts(path)
        if len(path) > _PATH_MOST or len(parts) > _DEPTH_MOST:
            shown = decode(path[:_SHOWN_MOST])
            raise EvidenceError(f"name of {len(path)} bytes and {len(parts)} parts: {shown} ...; passed over")
        if self._count >= _MOST:
            raise EvidenceError(f"more than {_MOST} names; further ones are passed over")
        folder = 0
        for part in parts[: len(parts) if kind is Kind.FOLDER else -1]:
            folder = self._folder(folder, part)
        if parts and kind is not Kind.FOLDER:
            self._put(folder, Entry(parts[-1], kind, size, None, handle))

    def find(self, path: bytes) -> Entry | None:
        """The last member with this name."""
        folder, parts = 0, _parts(path)
        for part in parts[:-1]:
            entry = self._folders[folder].get(part)
            if not entry or entry.kind is not Kind.FOLDER:
                return None
            folder = entry.handle
        return self._folders[folder].get(parts[-1]) if parts else None

    def entries(self, folder: int) -> Iterator[Entry]:
        """What is in a directory; of several with one name the last comes last."""
        yield from self._earlier.get(folder, ())
        yield from self._folders[folder].values()

    def _folder(self, parent: int, name: bytes) -> int:
        known = self._folders[parent].get(name)
        if known and known.kind is Kind.FOLDER:
            return int(known.handle)
        self._folders.append({})
        self._put(parent, Entry(name, Kind.FOLDER, 0, None, len(self._folders) - 1))
        return len(self._folders) - 1

    def _put(self, folder: int, entry: Entry) -> None:
        """Put an entry in a directory; one of the same name goes to the earlier ones, but not a directory."""
        names = self._folders[folder]
        before = names.get(entry.name)
        if before and before.kind is Kind.FOLDER:
            before, entry = entry, before
        if before:
            self._earlier.setdefault(folder, []).append(before)
        names[entry.name] = entry
        self._count += 1


def _parts(path: bytes) -> list[bytes]:
    return [part for part in path.split(b"/") if part not in (b"", b".")]
