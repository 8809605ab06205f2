"""The README, and the commands in it that tests run."""

import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def commands(name: str) -> str:
    """Those that bear a name."""
    (script,) = re.findall(rf"<!-- {name} -->\n```sh\n(.*?)```", README, re.DOTALL)
    return str(script)
