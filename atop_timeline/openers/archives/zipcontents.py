"""What is in a zip archive, in place."""

import os
import stat
import struct
from array import array
from bisect import bisect_right
from collections import Counter

from atop_timeline.errors import EvidenceError
from atop_timeline.keys import LOCKED, NONE_FITS, Keys
from atop_timeline.notes import reason
from atop_timeline.openers.archives import zips
from atop_timeline.openers.archives.names import MANY, Names
from atop_timeline.openers.archives.tarcontents import Wanted
from atop_timeline.openers.archives.zipmembers import ZipMember, is_foreign, is_right, password
from atop_timeline.openers.archives.zips import IS_ENCRYPTED, METHODS, Header
from atop_timeline.trees import Entry, Kind, Source

_HANDLE = struct.Struct("<3Hq3QH")
_TARGET_MOST = 4096
_BEHIND_ALL = (1 << 64) - 1
_TRIES = 3


class ZipContents:
    """Members of a zip archive."""

    def __init__(self, source: Source, keys: Keys, wanted: Wanted) -> None:
        self.names = Names()
        self._source = source
        self._wanted = wanted
        self._passwords = list(keys.passwords)
        self._ends = array("Q")
        self._foreign: Counter[str] = Counter()
        self._locked: Header | None = None
        self._passed = 0
        self._read()
        self._unlock(keys)
        self._tell()

    def source(self, file: Entry) -> Source:
        """See `Tree`."""
        header = Header(b"", *_HANDLE.unpack(file.handle))
        key = self._password(header) if header.flags & IS_ENCRYPTED else None
        return ZipMember(self._source, header, self._end(header), key, NONE_FITS if self._passwords else LOCKED)

    def target(self, link: Entry) -> bytes:
        """See `Tree`."""
        try:
            with self.source(link).open() as stream:
                return stream.read(_TARGET_MOST)
        except OSError as error:
            raise EvidenceError(reason(error)) from error

    def _read(self) -> None:
        ends = [_BEHIND_ALL]
        try:
            with self._source.open() as stream:
                table = zips.directory(stream)
                ends.append(table.offset if table else stream.seek(0, os.SEEK_END))
                for found in zips.members(stream, table):
                    if isinstance(found, EvidenceError):
                        self.names.lose(str(found))
                    else:
                        self._ends.append(found.offset)
                        self._add(found)
        except OSError as error:
            self.names.lose(f"cannot be read further: {reason(error)}")
        self._ends = array("Q", sorted([*self._ends, *ends]))

    def _add(self, header: Header) -> None:
        if self.names.are_many and not self._wanted(header.name, b""):
            self._passed += 1
            return
        if is_foreign(header):
            self._foreign[METHODS.get(header.method, f"method {header.method}")] += 1
        elif header.flags & IS_ENCRYPTED and header.size and (not self._locked or header.size < self._locked.size):
            self._locked = header
        try:
            self.names.add(header.name, _kind(header), header.size, _HANDLE.pack(*header[1:]))
        except EvidenceError as error:
            self.names.lose(str(error))

    def _unlock(self, keys: Keys) -> None:
        """Ask for a password as long as none opens the smallest member that is encrypted."""
        if not self._locked:
            return
        for _ in range(_TRIES):
            if self._opens(self._locked) or (answer := keys.ask("zip archive")) is None:
                break
            self._passwords.append(answer)
        if self._password(self._locked) is None:
            self.names.lose(f"members are encrypted, {NONE_FITS if self._passwords else LOCKED}")

    def _tell(self) -> None:
        for method, count in self._foreign.items():
            self.names.lose(f"{count} members packed with {method}, which is not read here; unpack it with: 7z x")
        if self._passed:
            self.names.lose(f"more than {MANY} names; {self._passed} that are not named like logs are passed over")

    def _opens(self, header: Header) -> bool:
        """Whether a member is right with what decrypts it: the check byte of one in 256 wrong passwords fits."""
        key = self._password(header)
        return key is not None and is_right(ZipMember(self._source, header, self._end(header), key))

    def _password(self, header: Header) -> bytes | None:
        try:
            return password(self._source, header, self._end(header), self._passwords)
        except OSError:
            return None

    def _end(self, header: Header) -> int:
        """Where the next begins."""
        return self._ends[bisect_right(self._ends, header.offset)]


def _kind(header: Header) -> Kind:
    if header.name.endswith(b"/") or stat.S_ISDIR(header.attributes):
        return Kind.FOLDER
    if stat.S_ISLNK(header.attributes):
        return Kind.LINK
    is_other = header.attributes and stat.S_IFMT(header.attributes) not in (0, stat.S_IFREG)
    return Kind.OTHER if is_other else Kind.FILE
