"""Stock commands completed: the parser is there, and our files in the data directory that they choose."""

import tempfile
from typing import Any

from atop_timeline.temporary import folder_in


def complete(module: Any) -> None:  # noqa: ANN401  Plaso has no types
    """Completes `plaso.cli.helpers.data_location`; a directory that the user gives stays as it is."""
    helper = module.DataLocationArgumentsHelper
    parse = helper.ParseOptions.__func__

    def parse_options(cls: Any, options: Any, configuration_object: Any) -> None:  # noqa: ANN401  as above
        import atop_timeline.plaso.parser  # noqa: F401, PLC0415  registers; Plaso is complete only now
        from atop_timeline.plaso.directory import put_together  # noqa: PLC0415  as above

        parse(cls, options, configuration_object)
        if not getattr(options, "data_location", None):
            folder = folder_in(tempfile.gettempdir())  # goes with the process
            configuration_object._data_location = str(put_together(folder.path / "data"))  # noqa: SLF001  no other way
            _folders.append(folder)

    helper.ParseOptions = classmethod(parse_options)


_folders: list[Any] = []  # one that nobody holds would lose its lock
