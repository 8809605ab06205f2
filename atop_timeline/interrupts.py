"""Interrupts: signals that end the work."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})

_AGAIN_S = 0.05


class _Interrupted(KeyboardInterrupt):
    """Where Python's own class comes out of source that is a text, `python -m` ends by SIGINT, though it was caught.

    Such source makes each data class, for instance (`run_eval_code_obj` in pythonrun.c, `exit_sigint` in main.c).
    """


@contextmanager
def interruptible() -> Iterator[None]:
    """Signals end the work by `KeyboardInterrupt`; nothing ends the ending.

    It comes again, as it may be lost: where C calls Python, and where objects are removed, no error can be raised.
    What fails behind it, as a disk image that cannot be read, may fail by it.
    """
    ignored = sys.unraisablehook
    came = False

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal came
        came = True
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
        handled = sys.exc_info()[1]
        while handled:
            if isinstance(handled, KeyboardInterrupt):
                return
            handled = handled.__context__
        raise _Interrupted

    sys.unraisablehook = lambda lost: None if isinstance(lost.exc_value, KeyboardInterrupt) else ignored(lost)
    for number in INTERRUPTS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
            signal.signal(number, interrupt)
    signal.signal(signal.SIGALRM, interrupt)
    try:
        yield
    except Exception as error:
        if came:
            raise KeyboardInterrupt from error
        raise
    finally:
        for number in (signal.SIGALRM, *(INTERRUPTS if came else ())):
            signal.signal(number, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = ignored


@contextmanager
def held() -> Iterator[None]:
    """Interrupts come later: not to this thread now, nor to processes that it starts."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
