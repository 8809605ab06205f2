"""Profiles: which attributes of events go out, by the YAML files beside this module or by a user's own.

A file is a mapping: `description`; `extends`, the name of one of ours; `attributes`, a list of names, or `all`.
"""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import yaml

from atop_timeline import plugins
from atop_timeline.errors import UsageError

NAMES = ("minimal", "standard", "full")

_KEYS = ("description", "extends", "attributes")
_ALL = "all"
_ALWAYS = frozenset({"doubt"})  # what may be wrong is told in every profile, as the caveat and the time's accuracy are
_SUFFIXES = (".yaml", ".yml")


class Profile(NamedTuple):
    """The attributes to show, besides where an event comes from and how certain it is; None: all."""

    name: str
    description: str
    attributes: frozenset[str] | None


def profile(name: str) -> Profile:
    """One of ours, or that of a file; raises `UsageError` where there is none, or it does not say what is known."""
    if name in NAMES:
        return _read(name, name, (files(__package__) / f"{name}.yaml").read_text(encoding="utf-8"))
    if Path(name).suffix not in _SUFFIXES:
        raise UsageError(f"--profile {name}: there are {', '.join(NAMES)}, and files, which end in .yaml")
    try:
        return _read(name, name, Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: not UTF-8 at byte {error.start}") from error


def profiles() -> Iterator[Profile]:
    """Ours, the smallest first."""
    return map(profile, NAMES)


def _read(name: str, where: str, text: str) -> Profile:
    try:
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise UsageError(f"{where}: no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(root, yaml.MappingNode):
        raise UsageError(f"{where}: expected a mapping of {', '.join(_KEYS)}")
    found = {}
    for key, value in root.value:
        if key.value not in _KEYS:
            raise UsageError(f"{_place(where, key)}: {key.value!r} is none of {', '.join(_KEYS)}")
        found[key.value] = value
    if "attributes" not in found:
        raise UsageError(f"{where}: has no attributes")
    description = _text(where, found["description"]) if "description" in found else ""
    base = _base(where, found["extends"]) if "extends" in found else _ALWAYS
    return Profile(name, description, _attributes(where, found["attributes"], base))


def _base(where: str, node: yaml.Node) -> frozenset[str] | None:
    name = _text(where, node)
    if name not in NAMES:
        raise UsageError(f"{_place(where, node)}: extends {name!r}: there are {', '.join(NAMES)}")
    return profile(name).attributes


def _attributes(where: str, node: yaml.Node, base: frozenset[str] | None) -> frozenset[str] | None:
    if isinstance(node, yaml.ScalarNode) and node.value == _ALL:
        return None
    if not isinstance(node, yaml.SequenceNode):
        raise UsageError(f"{_place(where, node)}: attributes are a list of names, or {_ALL}")
    known = {column.name for column, _ in plugins.attributes()}
    names = {_text(where, each): each for each in node.value}
    for name, each in names.items():
        if name not in known:
            raise UsageError(f"{_place(where, each)}: there is no attribute {name!r}; --list-attributes shows them")
    return None if base is None else base | names.keys()


def _text(where: str, node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise UsageError(f"{_place(where, node)}: expected a text")
    return str(node.value)


def _place(where: str, node: yaml.Node) -> str:
    return f"{where}: line {node.start_mark.line + 1}"
