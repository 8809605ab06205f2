"""Timelines sent to Timesketch by its own client. The only module that knows that client, which is an extra.

A server keeps one state for all parts of an upload (timesketch/lib/tasks.py, _set_datasource_status). So each part is
waited for before the next one is sent: then what the server says is said of that part.
"""

import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from configparser import ConfigParser
from configparser import Error as ConfigError
from contextlib import contextmanager
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from atop_timeline.console import Console
from atop_timeline.errors import UploadError, UsageError

USER_VARIABLE, PASSWORD_VARIABLE = "TIMESKETCH_USER", "TIMESKETCH_PASSWORD"
"""Of the environment: what other users of this machine cannot see, as they can a command line."""

_URL = re.compile(r"https?://[^\s/@?#]+(?:/[^\s@?#]*)?", re.IGNORECASE)  # no password in it
_INDEX_LABEL = "atop"  # an index of our own in each sketch: its first value of a field chooses the type for all
_PART_EVENTS = 5_000  # the client's memory grows with it
_GLANCE_S = 0.5
_SILENT_S = 1800  # without any word of the server on a part
_COUNTED_S = 30  # an index may count late
_MOST_TOLD = 500


class Told(NamedTuple):
    """What an upload gave, as the summary has it."""

    url: str
    sketch: int
    timeline: str
    timeline_id: int
    events: int


class Sketch:
    """A sketch on a server, where a timeline of this name is to be made."""

    def __init__(self, client: Any, url: str, name: str, console: Console) -> None:  # noqa: ANN401  an extra's
        self._client = client
        self._url = url
        self._name = name
        self._console = console

    def send(self, lines: Iterable[bytes], advance: Callable[[int], None]) -> Told:
        """Sends events, as JSON lines, and waits until all are in the index; `advance` is told how many are.

        Raises `UploadError` where one did not arrive.
        """
        rest = iter(lines)
        first = next(rest, None)
        if first is None:
            raise UploadError("there are no events to upload")
        streamer = self._streamer()
        try:
            with _errors(self._url):
                count = _sent(streamer, chain([first], rest), advance)
                _check_count(streamer.timeline, count)
        except BaseException:
            state = "is" if streamer.response else "may be there, and is"  # a part may arrive without an answer
            self._console.warn(
                f"the timeline {self._name} in sketch {self._client.id} {state} incomplete: delete it there"
            )
            raise
        return Told(self._url, self._client.id, self._name, streamer.timeline.id, count)

    def _streamer(self) -> Any:  # noqa: ANN401  an extra's
        streamer = import_module("timesketch_import_client.importer").ImportStreamer()
        streamer.set_sketch(self._client)
        streamer.set_timeline_name(self._name)
        streamer.set_data_label(_INDEX_LABEL)
        streamer.set_provider("atop-timeline")
        streamer.set_entry_threshold(_PART_EVENTS)
        return streamer


@contextmanager
def sketch(url: str, number: int, name: str, console: Console) -> Iterator[Sketch]:
    """A sketch that is there and has no timeline of this name; the client's own messages are told meanwhile.

    Raises `UsageError` where the client is not installed or something is asked for that cannot be, and `UploadError`
    where the server does not answer, or does not let us in.
    """
    if not _URL.fullmatch(url):
        raise UsageError("--timesketch: no address such as https://timesketch.example.org; none holds a password")
    try:
        api = import_module("timesketch_api_client.config")
    except ImportError as error:
        raise UsageError(f"--timesketch: pip install 'atop-timeline[timesketch]' adds it ({error})") from error
    with _heard(console.note):
        with _errors(url):
            client = _connected(api, url.rstrip("/"), console).get_sketch(number)
            names = _timelines(client)
        if name in names:
            raise UsageError(f"sketch {number} has a timeline {name} already; --timeline-name chooses another")
        yield Sketch(client, url, name, console)


def _connected(api: Any, url: str, console: Console) -> Any:  # noqa: ANN401  an extra's
    """The client's own settings count where they name this server and the environment names nobody."""
    user, password = os.environ.get(USER_VARIABLE), os.environ.get(PASSWORD_VARIABLE)
    section = None if user else _section(Path("~/.timesketchrc").expanduser(), url)
    assistant = api.ConfigAssistant()
    if section:
        assistant.load_config_file(section=section)
        connected = assistant.get_client()
        if connected is None:
            raise UploadError(f"{url}: ~/.timesketchrc lacks {', '.join(assistant.missing) or 'what logs in'}")
        return connected
    known = (user, password) if user and password else console.log_in(url)
    if known is None:
        raise UsageError(
            f"--timesketch {url}: {USER_VARIABLE} and {PASSWORD_VARIABLE} in the environment,"
            " or ~/.timesketchrc of Timesketch's client, log in"
        )
    return api.client.TimesketchApi(url, *known)


def _timelines(client: Any) -> list[str]:  # noqa: ANN401  an extra's
    """The names of a sketch's timelines."""
    try:
        return [each.name for each in client.list_timelines()]
    except import_module("timesketch_api_client.error").NotFoundError as error:
        raise ValueError(f"there is no sketch {client.id}") from error


def _section(path: Path, url: str) -> str | None:
    """Of the client's settings what is said of a server."""
    settings = ConfigParser(interpolation=None)
    try:
        settings.read(path)
    except ConfigError as error:
        raise UsageError(f"{path}: {str(error).splitlines()[0]}") from error
    for section in settings.sections():
        if settings[section].get("host_uri", "").rstrip("/") == url:
            if "verify" not in settings[section]:  # the client raises a KeyError there
                raise UsageError(f"{path}: [{section}] lacks verify")
            return section
    return None


def _sent(streamer: Any, lines: Iterable[bytes], advance: Callable[[int], None]) -> int:  # noqa: ANN401  an extra's
    """How many events were sent; each part was indexed before the next one was."""
    count = 0
    for line in lines:
        before = streamer.response
        streamer.add_dict(json.loads(line))
        if streamer.response is not before:  # the part before this line was full
            _wait(streamer.timeline)
            advance(count)
        count += 1
    streamer.close()
    _wait(streamer.timeline)
    advance(count)
    return count


def _wait(timeline: Any) -> None:  # noqa: ANN401  an extra's
    """Until what was sent is in the index; raises `UploadError` where some is not."""
    end = time.monotonic() + _SILENT_S
    while (status := timeline.status) not in ("ready", "fail"):
        if time.monotonic() > end:
            raise UploadError(f"for {_SILENT_S:,} s the index is {status}: does a worker of Timesketch run?")
        time.sleep(_GLANCE_S)
    said = [each["error_message"] for each in timeline.data_sources if each.get("error_message")]
    if said or status == "fail":
        raise UploadError(f"Timesketch could not index all events: {'; '.join(said) or 'it does not say why'}")


def _check_count(timeline: Any, expected: int) -> None:  # noqa: ANN401  an extra's
    end = time.monotonic() + _COUNTED_S
    while (found := timeline.lazyload_data(refresh_cache=True)["meta"].get("lines_indexed")) != expected:
        if time.monotonic() > end:
            raise UploadError(f"{expected:,} events were sent, {found or 0:,} are in the index")
        time.sleep(_GLANCE_S)


@contextmanager
def _errors(url: str) -> Iterator[None]:
    """What the client raises, as an `UploadError` of one line."""
    try:
        yield
    except (UploadError, UsageError):
        raise
    except (OSError, RuntimeError, ValueError, import_module("timesketch_api_client.error").Error) as error:
        raise UploadError(f"{url}: {_line(error)}") from error


def _line(error: BaseException) -> str:
    """An error and what it came of, which the client hides."""
    texts = [str(error)]
    if isinstance(error, OSError) and error.__cause__:
        texts.append(str(error.__cause__))
    return " ".join(": ".join(texts).split())[:_MOST_TOLD]


@contextmanager
def _heard(note: Callable[[str], None]) -> Iterator[None]:
    """Has what libraries log, such as retries, told."""
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: note(" ".join(record.getMessage().split())[:_MOST_TOLD])  # type: ignore[method-assign]  # one use
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
