"""A search for atop logs: where they lie, what may be one, and what is told on the way."""

import os
import re
from collections.abc import Mapping
from typing import BinaryIO, NamedTuple, Protocol

from atop_timeline.texts import decode

HOMES = ("var/log/atop", "log/atop", "atop")
"""Where atop's logs lie in a volume; /var, /var/log and /var/log/atop may each be a volume of its own."""

LOG_NAME, OTHER_NAME = "atop_*", "*.log"
"""What atop calls its logs, and what else in its folder is looked at."""

READ_BYTES = 1 << 18  # dfVFS is at its best from 64 KiB to 1 MiB
_PASSWD_MAX_BYTES = 1 << 24


class Problem(NamedTuple):
    """Something that could not be searched or read; `serious` when logs may have been missed by it."""

    where: str
    what: str
    serious: bool


class Notes:
    """What is told about a piece of evidence, each thing once."""

    def __init__(self, evidence: str) -> None:
        self.evidence = evidence
        self.problems: list[Problem] = []
        self.searched: list[str] = []
        self._told: set[Problem] = set()

    def tell(self, problem: Problem) -> None:
        """Keep a problem whose `where` is inside the evidence."""
        placed = problem._replace(where=joined(self.evidence, problem.where))
        if placed not in self._told:
            self._told.add(placed)
            self.problems.append(placed)

    def note_searched(self, where: str, what: str) -> None:
        """Keep a place inside the evidence, and what it is."""
        text = f"{joined(self.evidence, where)}: {what}"
        if text not in self.searched:
            self.searched.append(text)


class Source(Protocol):
    """A file's bytes, wherever they lie; picklable."""

    def open(self) -> BinaryIO:
        """See `LogFile.open`."""


class Candidate(NamedTuple):
    """A file that may be an atop log; `named` when its place and name promise one."""

    volume: str
    path: bytes
    size: int
    users: Mapping[int, str]
    source: Source
    named: bool


def read_users(passwd: BinaryIO) -> dict[int, str]:
    """User ids and the first name of each, see passwd(5); lines that make no sense are left out."""
    users: dict[int, str] = {}
    for line in passwd.read(_PASSWD_MAX_BYTES).splitlines():
        name, _, uid = b":".join(line.split(b":")[:3:2]).partition(b":")
        if name and not name.isdigit() and uid.isdigit() and int(uid[:11]) < 1 << 32:
            users.setdefault(int(uid), decode(name))
    return users


def components(path: str) -> list[str]:
    """Names along a path or a glob."""
    return [part for part in path.split("/") if part not in ("", ".")]


def joined(*words: str) -> str:
    """Words that are not empty, as one text."""
    return " ".join(filter(None, words))


def sought(offset: int, whence: int, position: int, size: int) -> int:
    """Where a seek leads in a file; raises ValueError before its start."""
    place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: position, os.SEEK_END: size}[whence]
    if place < 0:
        raise ValueError(f"negative seek position {place}")
    return place


def reason(error: BaseException) -> str:
    """Cause of an error in one line; of libyal's chains of calls the second link, where it began."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = re.split("with error: '?", " ".join(str(error).split()))[-1]
    links = re.findall(r"\b(?:lib|py)\w+: (.*?)\.(?=\s|'|$)", text)
    return decode((links[1] if len(links) > 1 else text).encode("utf-8", "backslashreplace"))
