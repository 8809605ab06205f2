"""What lies around a log that Plaso has opened: its path, and the names of users; Plaso gives parsers none."""

import os
from collections.abc import Mapping
from typing import Any

from dfvfs.lib import definitions
from dfvfs.path import factory
from dfvfs.resolver import resolver

from atop_timeline.openers.volumes import FAILURES
from atop_timeline.search import USERS_BYTES, read_users
from atop_timeline.texts import decode


def place_of(path_spec: Any) -> Any:  # noqa: ANN401  dfVFS has no types
    """The path specification of the file in a file system, which is compressed or the log itself."""
    while path_spec.type_indicator not in definitions.FILE_SYSTEM_TYPE_INDICATORS and path_spec.HasParent():
        path_spec = path_spec.parent
    return path_spec


def path_of(place: Any) -> str:  # noqa: ANN401  as above
    """As an event names it: absolute in a volume; on this machine, the name alone."""
    location = place.location
    return decode(os.fsencode(os.path.basename(location) if place.IsSystemLevel() else location))  # noqa: PTH119  a text


def users_of(place: Any) -> Mapping[int, str]:  # noqa: ANN401  as above
    """Names by user id, of the /etc/passwd beside a log; none where it lies on this machine, which is not its own."""
    if place.IsSystemLevel():
        return {}
    passwd = factory.Factory.NewPathSpec(place.type_indicator, location="/etc/passwd", parent=place.parent)
    try:
        entry = resolver.Resolver.OpenFileEntry(passwd)
        return read_users(entry.GetFileObject().read(USERS_BYTES)) if entry else {}
    except FAILURES:
        return {}
