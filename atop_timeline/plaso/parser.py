"""The parser that Plaso runs: our own road, for the one log that Plaso has opened. To import it is to register it."""

from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

from plaso.lib import errors, specification
from plaso.parsers import interface, manager

from atop_timeline.errors import StoreError
from atop_timeline.evidence import LogFile
from atop_timeline.extraction import Report, extract_logs
from atop_timeline.kinds import beginnings
from atop_timeline.layout import MAGICS
from atop_timeline.openers.volumes import read_at
from atop_timeline.plaso.event_data import event_data
from atop_timeline.plaso.surroundings import path_of, place_of, users_of
from atop_timeline.recognition import Unwrapped, unwrapped
from atop_timeline.store import Room
from atop_timeline.streams import buffered

_MEMORY = 500_000_000  # each of Plaso's workers takes so much, and Plaso's own besides


@dataclass(frozen=True)
class _Opened:
    """A file that Plaso has opened, as a source of ours."""

    file_object: Any

    def open(self) -> BinaryIO:
        """See `Source`."""
        return buffered(partial(read_at, self.file_object), self.file_object.get_size())


class AtopParser(interface.FileObjectParser):  # type: ignore[misc]  # Plaso has no types
    """Parser for the raw logs of atop."""

    NAME = "atop"
    DATA_FORMAT = "atop raw log file"

    @classmethod
    def GetFormatSpecification(cls) -> Any:  # noqa: ANN401, N802  as in Plaso
        """The magic, in both byte orders; and that of the compression which Plaso does not know."""
        found = specification.FormatSpecification(cls.NAME)
        for magic in (*MAGICS, *beginnings("zstd")):
            found.AddNewSignature(magic, offset=0)
        return found

    def ParseFileObject(self, parser_mediator: Any, file_object: Any) -> None:  # noqa: ANN401, N802  as in Plaso
        """Produces all events of a log, and a warning for each damage; raises `WrongParser` where it is none."""
        try:
            found = unwrapped(_Opened(file_object))
        except OSError as error:
            raise errors.WrongParser(str(error)) from error
        if not found.begins_as_log:
            raise errors.WrongParser(found.description)
        log, report = _log(parser_mediator, found), Report()
        try:
            _produce(parser_mediator, log, report)
        except StoreError as error:
            parser_mediator.ProduceWarning(f"events are missing: {error}")
        for warning in _warnings(report):
            parser_mediator.ProduceWarning(warning)


def _produce(parser_mediator: Any, log: LogFile, report: Report) -> None:  # noqa: ANN401  Plaso has no types
    """All events of a log; raises `StoreError` where memory or disk do not suffice."""
    timeline, _ = extract_logs([log], report, room=Room(_MEMORY, parser_mediator.temporary_directory))
    with timeline:
        for event in timeline.events():
            if parser_mediator.abort:
                break
            parser_mediator.ProduceEventData(event_data(event))


def _log(parser_mediator: Any, found: Unwrapped) -> LogFile:  # noqa: ANN401  Plaso has no types
    """It is alone: whose machine it is Plaso tells by its host name."""
    entry = parser_mediator.GetFileEntry()
    place = place_of(entry.path_spec)
    path = path_of(place)
    return LogFile(
        path,
        "",
        path,
        entry.size,
        None,
        users_of(place),
        is_carved=False,
        can_travel=False,
        _source=found.file,
        _wrapping=found.wrapping,
    )


def _warnings(report: Report) -> list[str]:
    """What was lost, and what is odd enough that something may be."""
    found = [each.what for each in report.problems]
    for log in report.logs:
        found += [each.told for each in log.damages]
        found += [f"at offset {each.offset}: {each.what}" for each in log.remarks if each.serious]
    return found


manager.ParsersManager.RegisterParser(AtopParser)
