"""For stock `log2timeline`, `psort` and `pinfo`: `import atop_timeline.plaso.autoload` as a line of a .pth file.

Only a finder is installed in each Python process; the rest happens where Plaso looks for its data files.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

_MODULE = "plaso.cli.helpers.data_location"


class _Finder(MetaPathFinder):
    """Finds one module, once, and completes it when it is loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `MetaPathFinder`."""
        del path, target
        if fullname != _MODULE:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec and spec.loader:
            _complete_when_loaded(spec.loader)
        return spec


def _complete_when_loaded(loader: object) -> None:
    load = loader.exec_module  # type: ignore[attr-defined]

    def exec_module(module: ModuleType) -> None:
        load(module)
        from atop_timeline.plaso.stock import complete  # noqa: PLC0415  Plaso is being imported

        complete(module)

    loader.exec_module = exec_module  # type: ignore[attr-defined]


sys.meta_path.insert(0, _Finder())
