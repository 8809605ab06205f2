"""Plaso's data directory with our files in it: Plaso takes one directory for all, so one is put together."""

import re
import shutil
from importlib.resources import files
from pathlib import Path

import plaso

OWN = Path(str(files("atop_timeline.plaso"))) / "data"
_MESSAGES = Path(str(files("atop_timeline.formatters")))
_JOINED = ("timeliner.yaml", "tag_linux.txt")
_PRESET = re.compile(r"^(name: linux\n(?:.*\n)*?parsers:\n)", re.MULTILINE)


def put_together(target: Path) -> Path:
    """The files of the installed Plaso and ours, in a folder."""
    stock = _stock()
    shutil.copytree(stock, target, copy_function=_link)
    for file in _MESSAGES.glob("*.yaml"):
        _link(str(file), str(target / "formatters" / f"atop_{file.name}"))
    for name in _JOINED:
        _replace(target / name, "\n".join((each / name).read_text(encoding="utf-8") for each in (stock, OWN)))
    presets = (stock / "presets.yaml").read_text(encoding="utf-8")
    _replace(target / "presets.yaml", _PRESET.sub(r"\1- atop\n", presets))
    return target


def _stock() -> Path:
    """Where Plaso's own files are, in the order in which it looks itself (plaso/cli/helpers/data_location.py)."""
    for place in (Path(plaso.__file__).parent / "data", Path("/usr/share/plaso"), Path("/usr/local/share/plaso")):
        if (place / "timeliner.yaml").is_file():
            return place
    raise FileNotFoundError("Plaso has no data files: neither in its package nor in /usr/share/plaso")


def _link(source: str, target: str) -> None:
    Path(target).symlink_to(source)


def _replace(file: Path, text: str) -> None:
    file.unlink()
    file.write_text(text, encoding="utf-8")
