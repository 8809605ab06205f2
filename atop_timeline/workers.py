"""Logs read by other processes, of this machine or of a cluster: one log, one task.

Whatever they do not give, for whatever reason, is read here.
"""

import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import BinaryIO, NamedTuple

from isal import isal_zlib

from atop_timeline import plugins
from atop_timeline.ahead import in_order
from atop_timeline.evidence import LogFile, Problem
from atop_timeline.reading import LogReport, Part, Reading

_LEAST_BYTES = 1 << 21
"""Of a log or several: what takes less time than a process takes to start."""

_ended: Event | None = None


class Task(NamedTuple):
    """What is to be read of which log: for parsers, by their names, and the event types that are wanted of them."""

    file: LogFile
    parsers: tuple[str, ...]
    wanted: frozenset[str]

    def reading(self) -> Reading:
        """The way to do it here."""
        known = plugins.parsers()
        return Reading(self.file, [known[name] for name in self.parsers], self.wanted)


@dataclass(frozen=True)
class Done:
    """A task that was done elsewhere; to be looked at as a `Reading`, once."""

    report: LogReport
    problem: Problem | None
    position: int
    _packed: list[bytes] | Path

    def parts(self) -> Iterator[Part]:
        """As `Reading` has them."""
        if isinstance(self._packed, Path):
            with self._packed.open("rb") as stream:
                self._packed.unlink()
                yield from _loaded(stream)
        else:
            yield from (pickle.loads(isal_zlib.decompress(each)) for each in self._packed)  # noqa: S301  our own


@dataclass(frozen=True)
class Workers:
    """Who reads logs instead of this process.

    `start` gives an executor as `concurrent.futures` has it, whatever engine it is of; so many logs may be `ahead`
    of the one that is merged. What is read comes back in files where they are `here`, on this machine, else as bytes.
    """

    start: Callable[[], AbstractContextManager[Executor]]
    ahead: int
    are_here: bool = False

    def readings(self, tasks: Sequence[Task], directory: Path) -> Generator[Reading | Done]:
        """The tasks in their order, done where that takes less time; the directory is for files."""
        if self.are_here and (len(tasks) == 1 or sum(task.file.size for task in tasks) < _LEAST_BYTES):
            yield from (task.reading() for task in tasks)
            return
        with self.start() as executor:
            begin = partial(self._submitted, executor, directory)
            for task, future in in_order(begin, tasks, self.ahead):
                yield _result(task, future)

    def _submitted(self, executor: Executor, directory: Path, task: Task) -> "Future[Done | None] | None":
        if self.are_here or task.file.can_travel:
            with suppress(Exception):  # whatever an engine raises: then it is read here
                return executor.submit(do, task, directory if self.are_here else None)
        return None


def do(task: Task, directory: Path | None) -> Done | None:
    """Does a task, in whatever process this is; None where the log cannot be read, or nobody waits for it any more.

    What is made of it goes into a file in the directory, if there is one.
    """
    reading = task.reading()
    parts = (part._replace(events=list(part.events)) for part in reading.parts())
    packed = _filed(parts, directory) if directory else [_packed(part) for part in parts]
    has_ended = _ended is not None and _ended.is_set()
    if reading.report is None or has_ended:
        return None
    return Done(reading.report, reading.problem, task.file.size, packed)


def local(jobs: int) -> Workers | None:
    """So many processes of this machine; None where one is enough."""
    return Workers(partial(processes, jobs), 2 * jobs, are_here=True) if jobs > 1 else None


@contextmanager
def processes(count: int) -> Iterator[Executor]:
    """An executor of so many processes of this machine, which end with this one however that ends."""
    context = multiprocessing.get_context("spawn")
    ended = context.Event()
    with ProcessPoolExecutor(count, context, _begin, (ended,)) as executor:
        try:
            yield executor
        finally:
            ended.set()
            executor.shutdown(cancel_futures=True)


def _begin(ended: Event) -> None:
    """In a new process: interrupts are the parent's business, and its end is the end."""
    global _ended  # noqa: PLW0603  what a pool's processes know, they know so
    _ended = ended
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _result(task: Task, future: "Future[Done | None] | None") -> Reading | Done:
    if future:
        with suppress(Exception):  # whatever an engine raises: then it is read here
            done = future.result()
            if done:
                return done
    return task.reading()


def _filed(parts: Iterator[Part], directory: Path) -> Path:
    with tempfile.NamedTemporaryFile(dir=directory, delete=False) as file:
        for part in parts:
            pickle.dump(part, file, pickle.HIGHEST_PROTOCOL)
            if _ended and _ended.is_set():
                break
    return Path(file.name)


def _packed(part: Part) -> bytes:
    packed: bytes = isal_zlib.compress(pickle.dumps(part, pickle.HIGHEST_PROTOCOL), 1)
    return packed


def _loaded(stream: BinaryIO) -> Iterator[Part]:
    with suppress(EOFError):
        while True:
            yield pickle.load(stream)  # noqa: S301  our own
