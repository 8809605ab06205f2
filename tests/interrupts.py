"""Interrupts of the tests' own process."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupt(after: float) -> Iterator[None]:
    """So many seconds later, as by Ctrl-C; its own signal may be taken by a library, as polars does."""
    before = signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, after)
    yield
    signal.signal(signal.SIGALRM, before)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
