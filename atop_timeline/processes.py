"""Processes of this machine that do what they are given, and end with this one however that ends."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from atop_timeline.interrupts import INTERRUPTS, held


def may_be_copied() -> bool:
    """Whether others can be copies of this process: on Linux, and while it has one thread."""
    return sys.platform == "linux" and threading.active_count() == 1


@contextmanager
def processes(count: int, *, copied: bool = False) -> Iterator[Executor]:
    """An executor of so many: new ones, or copies of this process, which are there at once.

    Where the machine does not let them start, it is one that does nothing.
    """
    context = multiprocessing.get_context("fork" if copied else "spawn")
    wanted, owner = context.Pipe(duplex=False)
    make = partial(ProcessPoolExecutor, count, context, _begin, (wanted, owner))
    with wanted, owner, ThreadPoolExecutor(1) as starter:
        try:
            executor = _copying(make) if copied else starter.submit(held()(make)).result()
        except (OSError, RuntimeError):  # there may be no /dev/shm for semaphores, or too many processes
            starter.shutdown()
            yield starter  # it refuses whatever comes
            return
        with executor:
            try:
                yield _Processes(executor, starter)
                executor.shutdown()
            except BaseException:
                owner.close()
                executor.shutdown(cancel_futures=True)
                raise


def _copying(make: Callable[[], ProcessPoolExecutor]) -> ProcessPoolExecutor:
    """An executor whose processes are there as copies of this one, made before it has another thread."""
    with held():
        executor = make()
        executor.submit(bool)  # anything has them all copied
    return executor


class _Processes(Executor):
    """An executor, and the thread that starts its processes: interrupts find neither the one nor the others.

    multiprocessing lets interrupts in again, in its thread, when it has started its own process (resource_tracker.py).
    """

    def __init__(self, executor: Executor, starter: Executor) -> None:
        self._executor = executor
        self._starter = starter

    def submit(self, function: Callable[..., Any], /, *arguments: object, **named: object) -> Future[Any]:
        return self._starter.submit(held()(self._executor.submit), function, *arguments, **named).result()


def _begin(wanted: Connection, owner: Connection) -> None:
    """In a new process, which has interrupts held: they are the parent's business, and its end is the end.

    So is that of the executor, which terminates processes where one has failed.
    """
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)
    owner.close()
    threading.Thread(target=_end_after, args=(wanted,), daemon=True).start()


def _end_after(wanted: Connection) -> None:
    """Ends this process when nobody owns the other end any more."""
    with suppress(EOFError):
        wanted.recv()
    os._exit(1)
