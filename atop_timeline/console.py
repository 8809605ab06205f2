"""What the command tells on standard error: warnings always, progress on a terminal only."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from getpass import getpass

Advance = Callable[[int, int], None]
"""Told how much of how much is done."""

_YELLOW, _BOLD, _PLAIN = "\x1b[33m", "\x1b[1m", "\x1b[0m"


class Console:
    """Standard error, in colour on a terminal that wants it."""

    def __init__(self, *, quiet: bool, verbose: bool, color: bool) -> None:
        self._quiet = quiet
        self._verbose = verbose
        self._asked: set[str] = set()
        self._terminal = sys.stderr.isatty()
        self._color = color and self._terminal and not os.environ.get("NO_COLOR")

    def warn(self, text: str) -> None:
        """Something was lost: told also when quiet."""
        self._print(f"{self._styled('warning:', _YELLOW)} {text}")

    def note(self, text: str) -> None:
        """Something worth knowing."""
        if not self._quiet:
            self._print(f"note: {text}")

    def detail(self, text: str) -> None:
        """Something for those who want to know all."""
        if self._verbose:
            self._print(text)

    def table(self, rows: Iterable[tuple[str, str]]) -> None:
        """Names and values below each other."""
        if not self._quiet:
            for name, value in rows:
                self._print(f"{self._styled(f'{name:10}', _BOLD)} {value}")

    def ask(self, volume: str) -> str | None:
        """A password for a volume, unseen; None where no terminal is, or where nothing was answered."""
        if not self._can_ask() or volume in self._asked:
            return None
        answer = getpass(f"password of {volume or 'the image'} (empty: leave it locked): ", sys.stderr)
        if not answer:
            self._asked.add(volume)
        return answer or None

    def log_in(self, server: str) -> tuple[str, str] | None:
        """A user of a server and the password, which is not seen; None where no terminal is."""
        if not self._can_ask():
            return None
        print(f"user of {server}: ", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip(), getpass("password: ", sys.stderr)

    def _can_ask(self) -> bool:
        return bool(sys.stdin and sys.stdin.isatty() and self._terminal)

    @contextmanager
    def progress(self, what: str, unit: str, scale: float) -> Iterator[Advance]:
        """A bar with amount (in units of so many), rate and remaining time; nothing where no terminal is."""
        if self._quiet or not self._terminal:
            yield lambda _done, _total: None
            return
        from rich import console, progress  # noqa: PLC0415  heavy

        amount = progress.TextColumn("{task.fields[amount]}")
        bar = progress.Progress(
            *(
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                amount,
                progress.TimeRemainingColumn(),
            ),
            console=console.Console(stderr=True, no_color=not self._color),
            transient=True,
        )
        with bar:
            task = bar.add_task(what, amount="")

            def advance(done: int, total: int) -> None:
                rate = (bar.tasks[0].speed or 0) / scale
                text = f"{done / scale:,.1f} of {total / scale:,.1f} {unit}, {rate:,.1f} {unit}/s"
                bar.update(task, completed=done, total=total, amount=text)

            yield advance

    def _styled(self, text: str, style: str) -> str:
        return f"{style}{text}{_PLAIN}" if self._color else text

    def _print(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)
