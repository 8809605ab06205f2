"""What Plaso's own output modules write of a timeline's events."""

import tempfile
from pathlib import Path
from typing import Any

from plaso.containers.events import EventData, EventObject
from plaso.output.manager import OutputManager
from plaso.output.mediator import OutputMediator

from atop_timeline.events import Event
from atop_timeline.timeline import Timeline

_MESSAGES = Path(__file__).parents[1] / "formatters"


def written_by_plaso(timeline: Timeline, format_name: str) -> bytes:
    """With the messages of ours, each event by itself: Plaso sorts those of a second by their text."""
    mediator = OutputMediator(None, data_location=str(_MESSAGES))
    mediator.ReadMessageFormattersFromDirectory(str(_MESSAGES))
    module = OutputManager.NewOutputModule(format_name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "output"
        module.Open(path=str(path))
        module.WriteHeader(mediator)
        for event in timeline.events():
            module.WriteFieldValues(mediator, module.GetFieldValues(mediator, *_contained(event), None, None))
            module.WriteFooter()
        module.Close()
        return path.read_bytes()


def _contained(event: Event) -> tuple[Any, Any]:
    """An event as Plaso's containers have it."""
    happened = EventObject()
    happened.timestamp = event.date_time.timestamp
    happened.date_time = event.date_time
    happened.timestamp_desc = event.timestamp_desc
    data = EventData(data_type=event.data_type)
    for name, value in event.attributes.items():
        setattr(data, name, None if value == "" else value)
    data.display_name = data.filename
    data._parser_chain = "atop"  # noqa: SLF001  psort reads it of the storage
    return happened, data
