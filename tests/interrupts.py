"""Interrupts of the tests' own process."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupt(after: float) -> Iterator[None]:
    """So many seconds later, as by Ctrl-C."""
    timer = threading.Timer(after, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    yield
    timer.join()
