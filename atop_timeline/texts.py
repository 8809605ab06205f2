"""Text from the enemy's machine: decoded once, in this one place, and safe from here on."""

import re
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1
"""The number that stands for no text."""

_DECODED_TOGETHER = 1 << 14  # more would need memory that large samples need
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


def decode(raw: bytes) -> str:
    r"""Text as the evidence has it, up to its first NUL, that breaks no line, cell or terminal.

    Valid UTF-8 stays. Invalid bytes, control characters, line and paragraph separators, and what is
    invisible or changes the direction of writing become visible escapes (`\xff`, `\u2028`). A
    backslash of the evidence's own stays as it is.
    """
    text = raw.partition(b"\0")[0].decode("utf-8", "backslashreplace")
    return _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code > 0xFFFF:  # noqa: PLR2004  as Python writes it
        return f"\\U{code:08x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"  # noqa: PLR2004  above, \x would mean a byte


class Texts:
    """The texts of some events, each distinct one once; columns of text hold numbers of `values`."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """Which of `values` this text is; `UNKNOWN` for an empty one."""
        if not text:
            return UNKNOWN
        number = self._numbers.setdefault(text, len(self.values))
        if number == len(self.values):
            self.values.append(text)
        return number

    def decoded(self, raw: NDArray[np.bytes_]) -> NDArray[np.int64]:
        """The numbers of raw texts, shape (n,); quick where equal ones are neighbours, each run is looked at once."""
        begins = range(0, len(raw), _DECODED_TOGETHER)
        parts = [self._decoded(raw[begin : begin + _DECODED_TOGETHER]) for begin in begins]
        return np.concatenate([np.zeros(0, np.int64), *parts])

    def _decoded(self, raw: NDArray[np.bytes_]) -> NDArray[np.int64]:
        plain = np.ascontiguousarray(raw).view(np.uint8).reshape(len(raw), raw.itemsize)
        new = np.ones(len(raw), np.bool_)
        new[1:] = (plain[1:] != plain[:-1]).any(axis=1)
        texts = raw[new].tolist()
        known = {each: self.number(decode(each)) for each in dict.fromkeys(texts)}
        numbers = np.fromiter(map(known.__getitem__, texts), np.int64, len(texts))
        column: NDArray[np.int64] = numbers[np.cumsum(new) - 1]
        return column

    def derived(self, column: NDArray[np.int64], derive: Callable[[str], str]) -> NDArray[np.int64]:
        """The numbers of what `derive` makes of each text of a column; unknown stays unknown."""
        distinct, where = np.unique(column, return_inverse=True)
        texts = [UNKNOWN if n == UNKNOWN else self.number(derive(self.values[n])) for n in distinct.tolist()]
        return np.array(texts, np.int64)[where]

    def looked_up(self, keys: NDArray[np.int64], names: Mapping[int, str]) -> NDArray[np.int64]:
        """The numbers of the keys' names, shape (n,)."""
        distinct, where = np.unique(keys, return_inverse=True)
        return np.array([self.number(names.get(key, "")) for key in distinct.tolist()], np.int64)[where]
