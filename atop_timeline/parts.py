"""A result in several files of so many lines: all of them are there whole, or none."""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from atop_timeline.errors import OutputError
from atop_timeline.output import Counted, check, os_errors
from atop_timeline.temporary import TemporaryFolder


class Parts:
    """A stream that goes on in a further file of a folder after so many lines, each below the same header."""

    def __init__(self, folder: Path, lines: int, header_lines: int, *, hashed: bool) -> None:
        self.files: list[Counted] = []
        self.names: list[str] = []
        self._folder = folder
        self._lines = lines
        self._header_lines = header_lines
        self._header = b""
        self._room = 0
        self._hashed = hashed
        self._open = ExitStack()

    def write(self, data: bytes) -> int:
        """Writes all of the data, and gives its size."""
        header, rest = _cut(data, self._header_lines - self._header.count(b"\n"))
        self._header += header
        while rest:
            if not self._room:
                self._begin()
            some, rest = _cut(rest, self._room)
            self.files[-1].write(some)
            self._room -= some.count(b"\n")
        return len(data)

    def close(self) -> None:
        """Ends the last file."""
        self._open.close()

    def place(self, path: str, *, overwrite: bool) -> None:
        """Gives the files their names; where there are no lines, there is one file of the header alone."""
        if not self.files:
            self._begin()
        self.close()
        self.names = names(path, len(self.files))
        check_names(path, self.names, overwrite=overwrite)
        placed: list[Path] = []
        try:
            for number, name in enumerate(self.names):
                placed.append((self._folder / str(number)).replace(name))
        except BaseException:
            for each in placed:
                each.unlink()
            raise

    @property
    def told(self) -> dict[str, Any]:
        """What there is to tell of the files."""
        return {"files": [{"path": name} | each.told for name, each in zip(self.names, self.files, strict=True)]}

    def _begin(self) -> None:
        self.close()
        stream = self._open.enter_context((self._folder / str(len(self.files))).open("xb"))
        self.files.append(Counted(stream, hashed=self._hashed))
        self.files[-1].write(self._header)
        self._room = self._lines - self._header_lines


@contextmanager
def opened(path: str, lines: int, header_lines: int, *, overwrite: bool, hashed: bool = False) -> Iterator[Parts]:
    """A stream to write to; the files get their names when all is written, and are removed if anything fails.

    Raises `OutputError` where they cannot be written.
    """
    check_names(path, there(path), overwrite=overwrite)
    with os_errors(path), TemporaryFolder(str(Path(path).parent.resolve())) as folder:
        with closing(Parts(folder.path, lines, header_lines, hashed=hashed)) as parts:
            yield parts
        parts.place(path, overwrite=overwrite)


def names(path: str, count: int) -> list[str]:
    """What so many files of a result are called, so that they sort as they follow each other."""
    whole, digits = Path(path), len(str(count))
    return [str(whole.with_name(f"{whole.stem}-{number:0{digits}}{whole.suffix}")) for number in range(1, count + 1)]


def there(path: str) -> list[str]:
    """The files that are called like those of this result, in the order of their names."""
    whole = Path(path)
    name = re.compile(rf"{re.escape(whole.stem)}-\d+{re.escape(whole.suffix)}", re.ASCII)
    with os_errors(path):
        return sorted(str(each) for each in whole.parent.iterdir() if name.fullmatch(each.name))


def check_names(path: str, wanted: Sequence[str], *, overwrite: bool) -> None:
    """Raises `OutputError` where files would be replaced that must not be, or be taken for some of the same result."""
    for each in dict.fromkeys([*there(path), *wanted]):
        check(each, overwrite=overwrite)
        if each not in wanted:
            raise OutputError(f"{each} exists already, and would be taken for a part of this result; remove it first")


def _cut(data: bytes, lines: int) -> tuple[bytes, bytes]:
    """The first lines, at most so many, and what is behind them."""
    behind = data.split(b"\n", lines)[lines:] if lines else [data]
    end = len(data) - sum(map(len, behind))
    return data[:end], data[end:]
