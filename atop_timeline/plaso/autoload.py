"""For stock `log2timeline`, `psort` and `pinfo`: `import atop_timeline.plaso.autoload` as a line of a .pth file.

Only a finder is installed in each Python process; the rest happens where Plaso looks for its data files, and in
worker processes, which may be new ones that never look for them.
"""

import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType


def _complete(module: ModuleType) -> None:
    from atop_timeline.plaso.stock import complete  # noqa: PLC0415  Plaso is being imported

    complete(module)


def _register(_: ModuleType) -> None:
    import atop_timeline.plaso.parser  # noqa: F401, PLC0415  registers


_COMPLETED = {"plaso.cli.helpers.data_location": _complete, "plaso.multi_process.extraction_process": _register}
"""By module what is done when it is loaded."""


class _Finder(MetaPathFinder):
    """Finds some modules, each once, and completes them when they are loaded."""

    def __init__(self) -> None:
        self._left = dict(_COMPLETED)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `MetaPathFinder`."""
        del path, target
        complete = self._left.pop(fullname, None)
        if complete is None:
            return None
        spec = find_spec(fullname)
        if spec and spec.loader:
            _call_when_loaded(spec.loader, complete)
        return spec


def _call_when_loaded(loader: object, complete: Callable[[ModuleType], None]) -> None:
    load = loader.exec_module  # type: ignore[attr-defined]

    def exec_module(module: ModuleType) -> None:
        load(module)
        complete(module)

    loader.exec_module = exec_module  # type: ignore[attr-defined]


sys.meta_path.insert(0, _Finder())
