"""Plaso's own commands with our parser in them.

The parser is registered where this module is imported: a worker process that is not forked imports it again.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

try:
    from plaso.scripts import log2timeline as log2timeline_script
    from plaso.scripts import pinfo as pinfo_script
    from plaso.scripts import psort as psort_script
except ModuleNotFoundError as error:
    raise SystemExit(f"error: no module {error.name}; pip install 'atop-timeline[plaso]' brings Plaso") from error

import atop_timeline.plaso.parser  # noqa: F401  registers the parser
from atop_timeline.plaso.directory import OWN, put_together
from atop_timeline.temporary import folder_in


def log2timeline() -> int:
    """`atop-log2timeline`."""
    return _with_data(log2timeline_script.Main, {"--custom-artifact-definitions": str(OWN / "artifacts.yaml")})


def psort() -> int:
    """`atop-psort`."""
    return _with_data(psort_script.Main, {})


def pinfo() -> int:
    """`atop-pinfo`; it has no data directory."""
    return int(pinfo_script.Main() or 0)


def _with_data(main: Callable[[], Any], options: Mapping[str, str]) -> int:
    """Runs a stock command with our data and options; those that the user gives stay as they are."""
    with folder_in(tempfile.gettempdir()) as folder:
        options = {"--data": str(put_together(folder.path / "data")), **options}
        given = {each.partition("=")[0].replace("_", "-") for each in sys.argv[1:]}
        sys.argv[1:1] = [text for option in options.items() if option[0] not in given for text in option]
        return int(main() or 0)
