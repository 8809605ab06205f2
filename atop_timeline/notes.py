"""What is told about a piece of evidence, in words."""

import re
from typing import NamedTuple

from atop_timeline.texts import decode


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


def joined(*words: str) -> str:
    """Words that are not empty, as one text."""
    return " ".join(filter(None, words))


def reason(error: BaseException) -> str:
    """Cause of an error in one line; of libyal's chains of calls the second link, where it began."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = re.split("with error: '?", " ".join(str(error).split()))[-1]
    links = re.findall(r"\b(?:lib|py)\w+: (.*?)\.(?=\s|'|$)", text)
    return decode((links[1] if len(links) > 1 else text).encode("utf-8", "backslashreplace"))
