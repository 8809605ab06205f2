"""Logs read by other processes, of this machine or of a cluster: one log, one task, or several where it is alone.

Whatever they do not give, for whatever reason, is read here.
"""

import pickle
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from isal import isal_zlib

from atop_timeline import plugins
from atop_timeline.ahead import in_order
from atop_timeline.blocks import BLOCK_BYTES
from atop_timeline.errors import EvidenceError
from atop_timeline.evidence import LogFile, Problem
from atop_timeline.processes import may_be_copied, processes
from atop_timeline.rawlog import WHOLE, Stretch
from atop_timeline.reading import LogReport, Part, Reading
from atop_timeline.record import MOST_TASK_BYTES
from atop_timeline.store import Room
from atop_timeline.stretches import stretches_of

_LEAST_BYTES = 1 << 21
"""Of several logs: less takes no less time when others read some of them."""

_MOST_PACKED_BYTES = 1 << 26
"""Of what comes back through memory, for one log: of half a gigabyte, if it is like others."""

_MAIN_BYTES, _WORKER_BYTES = 300_000_000, 150_000_000
"""What this process takes while others read, and each of them."""

_reading = threading.Lock()  # what opens evidence is no business of several threads


class Task(NamedTuple):
    """What is to be read of which log: for parsers, by their names, and the event types that are wanted of them."""

    file: LogFile
    parsers: tuple[str, ...]
    wanted: frozenset[str]
    stretch: Stretch = WHOLE

    def reading(self, most_bytes: int = MOST_TASK_BYTES) -> Reading:
        """The way to do it here."""
        known = plugins.parsers()
        return Reading(self.file, [known[name] for name in self.parsers], self.wanted, self.stretch, most_bytes)


@dataclass(frozen=True)
class Packed:
    """Parts as bytes: in memory, or one behind the other in a file, which is removed when they are asked for."""

    parts: int
    where: list[bytes] | Path

    def __iter__(self) -> Iterator[Part]:
        if isinstance(self.where, Path):
            with self.where.open("rb") as stream:
                self.where.unlink()
                for _ in range(self.parts):
                    yield pickle.load(stream)  # noqa: S301  our own
        else:
            yield from (pickle.loads(isal_zlib.decompress(each)) for each in self.where)  # noqa: S301  our own


@dataclass(frozen=True)
class Done:
    """A task that was done elsewhere; to be looked at as a `Reading`, once."""

    report: LogReport | None
    position: int
    packed: Packed
    problem: Problem | None = None

    def parts(self) -> Iterator[Part]:
        """As `Reading` has them."""
        return iter(self.packed)


class Pending(Protocol):
    """What of a `concurrent.futures.Future` is needed."""

    def result(self) -> Done:
        """What a task gave; raises whatever it raised, or kept it from being done."""
        ...


class Engine(Protocol):
    """What of a `concurrent.futures.Executor` is needed."""

    def submit(self, function: Callable[[Task, Path | None], Done], task: Task, directory: Path | None, /) -> Pending:
        """Begins a task."""
        ...


@dataclass
class Workers:
    """Who reads logs instead of this process.

    `start` gives an executor, whatever engine it is of; so many logs may be `ahead` of the one that is merged.
    What is read comes back in files where they are `here`, on this machine, else as bytes. So many `readers`, this
    process with them, a log by itself is worth. `dismiss` ends those who have begun, where they are not needed. `left`
    counts the logs that were read here, as they did not give them.
    """

    start: Callable[[], AbstractContextManager[Engine]]
    ahead: int
    are_here: bool = False
    readers: int = 1
    dismiss: Callable[[], None] = lambda: None
    left: int = 0

    def parted(self, tasks: Sequence[Task]) -> list[Task]:
        """The tasks, or a single one as several: stretches of its log."""
        if len(tasks) != 1:
            return list(tasks)
        return [tasks[0]._replace(stretch=each) for each in stretches_of(tasks[0].file, self.readers)]

    def readings(self, tasks: Sequence[Task], directory: Path) -> Generator[Reading | Done]:
        """The tasks in their order, done where that takes less time; the directory is for files."""
        if self.are_here and (len(tasks) == 1 or sum(task.file.size for task in tasks) < _LEAST_BYTES):
            self.dismiss()
            yield from (task.reading() for task in tasks)
            return
        begun = in_order(lambda task: self._begun(engine, directory, task), tasks, self.ahead)
        while True:
            with self.start() as engine:
                task = yield from _given(begun)
            if not task:
                return
            self.left += 1
            with _reading:  # it may take much memory, so the others have ended
                yield task.reading()

    def _begun(self, engine: Engine, directory: Path, task: Task) -> Pending | None:
        if not _is_first(task) and (self.are_here or task.file.can_travel):
            with suppress(Exception):  # whatever an engine raises: then it is read here
                return engine.submit(do, task, directory if self.are_here else None)
        return None


def do(task: Task, directory: Path | None) -> Done:
    """Does a task, in whatever process this is; raises where not all of the log can be read, or in too many bytes.

    What is made of it goes into a file in the directory, if there is one: then others of this machine do as much.
    """
    with _reading:
        reading = task.reading(BLOCK_BYTES if directory else MOST_TASK_BYTES)
        parts = _complete(reading, task)
        packed = _filed(parts, directory) if directory else _in_memory(parts)
    return Done(reading.report, task.file.size, packed)


def local(room: Room) -> Workers | None:
    """Processes of this machine, as many as there is room for; None where this one is enough."""
    count = min(room.jobs, (room.memory - _MAIN_BYTES) // _WORKER_BYTES) if room.jobs > 1 else 0
    return Workers(partial(processes, count), 2 * count, are_here=True, readers=count) if count > 0 else None


@contextmanager
def ready(room: Room) -> Iterator[Workers | None]:
    """The same, and they are there at once: copies of this process, where it can be copied.

    Those that take their place, where one of them fails, start anew, which takes longer.
    """
    workers = local(room)
    if workers is None or not may_be_copied():
        yield workers
        return
    anew = workers.start
    with ExitStack() as stack:
        begun = [_ending(stack, stack.enter_context(processes(workers.readers, copied=True)))]
        workers.start = lambda: begun.pop() if begun else anew()
        workers.dismiss = stack.close
        yield workers


@contextmanager
def _ending(stack: ExitStack, engine: Engine) -> Iterator[Engine]:
    """An engine that was begun before, and ends with a stack."""
    with stack.pop_all():
        yield engine


def _is_first(task: Task) -> bool:
    """Whether this process reads it while others read the rest of the log."""
    return not task.stretch.is_rest and task.stretch.end is not None


def _given(begun: Iterator[tuple[Task, Pending | None]]) -> Generator[Reading | Done, None, Task | None]:
    """What comes of tasks, up to the first one that is not given; returns that, if there is one."""
    for task, pending in begun:
        done = _result(task, pending)
        if done:
            yield done
            del done  # the next one may be large
        elif _is_first(task):
            with _reading:
                yield task.reading()
        else:
            return task
    return None


def _result(task: Task, pending: Pending | None) -> Done | None:
    if pending:
        with suppress(Exception):  # whatever an engine raises: then it is read here
            done = pending.result()
            if done.report:
                done.report.file = task.file  # what all logs of a machine share is there once
            return done
    return None


def _complete(reading: Reading, task: Task) -> Iterator[Part]:
    """All parts; raises behind them where that is not all that can be had from here."""
    for part in reading.parts():
        yield part.made()
    if reading.problem:
        raise EvidenceError(f"{reading.problem.where}: {reading.problem.what}")
    if reading.report and not (reading.report.sha256 or task.file.is_carved or task.stretch.is_rest):
        raise EvidenceError(f"{task.file.where}: not all of it can be read")


def _filed(parts: Iterator[Part], directory: Path) -> Packed:
    """Parts in a file, which does not stay where that fails."""
    count = 0
    with tempfile.NamedTemporaryFile(dir=directory, delete=False) as file:
        path = Path(file.name)
        try:
            for count, part in enumerate(parts, 1):  # noqa: B007  how many they are
                pickle.dump(part, file, pickle.HIGHEST_PROTOCOL)
            file.flush()
        except BaseException:
            path.unlink()
            raise
    return Packed(count, path)


def _in_memory(parts: Iterator[Part]) -> Packed:
    packed, size = list[bytes](), 0
    for part in parts:
        packed.append(isal_zlib.compress(pickle.dumps(part, pickle.HIGHEST_PROTOCOL), 1))
        size += len(packed[-1])
        if size > _MOST_PACKED_BYTES:
            raise MemoryError(f"more than {_MOST_PACKED_BYTES:,} bytes")
    return Packed(len(packed), packed)
