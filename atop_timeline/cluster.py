"""Logs read by a running Dask cluster. The only module that knows `distributed`, which is an extra.

Results wait on the machines of the cluster until they are asked for: Dask's own executor would fetch them at once.
"""

import asyncio
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, nullcontext
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from atop_timeline.errors import ClusterError, UsageError
from atop_timeline.workers import Done, Task, Workers

_PACKAGE = "atop-timeline"
_ADDRESS = re.compile(r"(?:(?:tcp|tls)://)?(?:\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}", re.ASCII)
_PATIENCE_S = 10
_GLANCE_S = 1  # how often the cluster is looked at while a task is waited for
_AHEAD = 2  # tasks of each worker


@contextmanager
def cluster(address: str) -> Iterator[Workers]:
    """The workers of a cluster, by the address of its scheduler.

    Raises `UsageError` where that is none, or Dask is not installed, and `ClusterError` where nobody answers, or not
    every worker could do the work as it is done here.
    """
    if not _ADDRESS.fullmatch(address):
        raise UsageError(f"--cluster {address}: no address such as tcp://10.0.0.1:8786")
    with _quiet(), _connected(address) as client:
        count = _checked(client, address)
        yield Workers(lambda: nullcontext(_Engine(client)), _AHEAD * count)


class _Engine:
    """Begins tasks on a cluster."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401  an extra's
        self._client = client
        self._version = version(_PACKAGE)

    def submit(self, function: Callable[[Task, Path | None], Done], task: Task, directory: Path | None, /) -> "_Begun":
        """As Dask's client has it; each time anew."""
        return _Begun(self._client, self._client.submit(_by_same, self._version, function, task, directory, pure=False))


class _Begun(NamedTuple):
    """A task on its way, as Dask has it."""

    client: Any
    future: Any

    def result(self) -> Done:
        """What it gave; raises `ClusterError` as soon as there is no worker that could do it."""
        gathered = self.client.gather(self.future, asynchronous=True)
        fetched: Future[Done] = asyncio.run_coroutine_threadsafe(gathered, self.client.loop.asyncio_loop)
        while not fetched.done():
            if not self.client.nthreads():
                self.future.cancel()
                raise ClusterError("no workers are left")
            wait([fetched], _GLANCE_S)
        return fetched.result()


def _by_same(expected: str, function: Callable[[Task, Path | None], Done], task: Task, directory: Path | None) -> Done:
    """What a function gives; raises `ClusterError` on a worker that came later, and has another version."""
    found = version(_PACKAGE)
    if found != expected:
        raise ClusterError(f"{_PACKAGE} {found}, {expected} is asked for")
    return function(task, directory)


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    try:
        distributed: Any = import_module("distributed")
    except ImportError as error:
        raise UsageError(f"--cluster: pip install '{_PACKAGE}[cluster]' adds it ({error})") from error
    try:
        security = distributed.Security()
        if address.startswith("tls:") and not security.get_connection_args("client").get("ssl_context"):
            raise UsageError(f"--cluster {address}: Dask's configuration names no certificates")
        client = distributed.Client(address, timeout=_PATIENCE_S, set_as_default=False, security=security)
    except OSError as error:
        raise ClusterError(f"{address}: no Dask scheduler answers: {error}") from error
    with client:
        yield client


def _checked(client: Any, address: str) -> int:  # noqa: ANN401  an extra's
    """How many workers there are, all of them with what is needed."""
    try:
        found = client.run(version, _PACKAGE, on_error="return")
    except OSError as error:
        raise ClusterError(f"{address}: the Dask scheduler does not answer any more: {error}") from error
    expected = version(_PACKAGE)
    for worker, each in sorted(found.items()):
        if isinstance(each, PackageNotFoundError):
            raise ClusterError(f"{address}: the worker {worker} has no {_PACKAGE}")
        if isinstance(each, Exception):
            raise ClusterError(f"{address}: the worker {worker} does not answer: {each}")
        if each != expected:
            raise ClusterError(f"{address}: the worker {worker} has {_PACKAGE} {each}, here is {expected}")
    if not found:
        raise ClusterError(f"{address}: no workers; dask worker {address} starts one")
    return len(found)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what Dask logs and warns of, as it works, from standard error: what matters is told otherwise."""
    before = logging.root.manager.disable
    logging.disable()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="distributed")
            yield
    finally:
        logging.disable(before)
