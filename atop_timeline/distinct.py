"""Tasks without those that are there already: most repeat, byte for byte, what a sample before had of them."""

import numpy as np
from numpy.typing import NDArray

_PLACES = 1 << 18  # for tasks: of those that share one, the last is found again
_CACHED_TASKS = 1024  # about as many as a processor keeps at hand
_NEW = -1


class Distinct:
    """Different tasks of one layout in a buffer of so many bytes."""

    def __init__(self, size: int) -> None:
        self._count = 0
        self._buffer = np.empty(size, np.uint8)
        self._latest = np.full(_PLACES, _NEW, np.int32)

    def clear(self) -> None:
        """Forgets all of them, for tasks of any layout."""
        self._count = 0
        self._latest[:] = _NEW

    def add(self, tasks: NDArray[np.void]) -> NDArray[np.intp] | None:
        """Which of those that are there each of further ones is, shape (n,), once what is new of them is there too.

        None where that does not fit in: then nothing is added.
        """
        there, given = _words(self._all(tasks.dtype)), _words(tasks)
        places = _places(tasks["gen"])
        which: NDArray[np.intp] = self._latest[places].astype(np.intp)
        for begin in range(0, len(tasks), _CACHED_TASKS):
            some = slice(begin, begin + _CACHED_TASKS)
            differs = np.flatnonzero(there.take(which[some], axis=0) != given[some])
            which[some][differs // given.shape[1]] = _NEW
        new = np.flatnonzero(which == _NEW)
        end = self._count + len(new)
        if end > len(there):
            return None
        which[new] = np.arange(self._count, end)
        there[self._count : end] = given.take(new, axis=0)
        self._latest[places] = which
        self._count = end
        return which

    def tasks(self, layout: np.dtype[np.void]) -> NDArray[np.void]:
        """Those that are there, until they are forgotten."""
        return self._all(layout)[: self._count]

    def _all(self, layout: np.dtype[np.void]) -> NDArray[np.void]:
        return self._buffer[: len(self._buffer) // layout.itemsize * layout.itemsize].view(layout)


def _places(gen: NDArray[np.void]) -> NDArray[np.integer]:
    """Where to look for each task: a process, and its thread that has the same pid, are not in one place."""
    is_process = gen["isproc"] != 0 if "isproc" in (gen.dtype.names or ()) else 0  # 1.26: all are
    places: NDArray[np.integer] = (2 * gen["pid"] + is_process) % _PLACES
    return places


def _words(tasks: NDArray[np.void]) -> NDArray[np.unsignedinteger]:
    """The bytes of tasks, as words that are compared quickly; shape (n, words)."""
    word = np.dtype(np.uint32 if tasks.itemsize % 8 else np.uint64)
    return tasks.view(word).reshape(len(tasks), tasks.itemsize // word.itemsize)
