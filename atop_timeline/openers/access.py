"""How dfVFS's path specifications are opened, in whatever process: by its own objects, with the same keys.

What holds an `Access` can be pickled, and never shows a key.
"""

import os
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from dfvfs.resolver import resolver

from atop_timeline.errors import EvidenceError
from atop_timeline.openers.untouched import Context


@dataclass(frozen=True)
class Key:
    """What unlocks the volume with this path specification, in dfVFS's terms; a startup key by its contents."""

    spec: Any
    kind: str
    secret: str | bytes = field(repr=False)


@dataclass(frozen=True)
class Access:
    """How to open what is in an image; `verified` as `untouched.Context` has it. All of it raises what dfVFS does."""

    verified: bool
    keys: tuple[Key, ...] = ()

    def to(self, spec: Any) -> "Access":  # noqa: ANN401  dfVFS has no types
        """The same, with no other keys than this needs."""
        return Access(self.verified, tuple(key for key in self.keys if _is_in(spec, key.spec)))

    def context(self) -> Context:
        """The resolver context of this process, in which all volumes with keys are unlocked."""
        for key in self.keys:
            self.unlock(key)
        return _context_in(os.getpid(), self.verified)

    def unlock(self, key: Key) -> bool:
        """Whether a key fits; to find that out takes seconds to minutes, once per process."""
        try:
            _unlocked_in(os.getpid(), self.verified, key)
        except _LockedError:
            return False
        return True

    def file_object(self, spec: Any) -> Any:  # noqa: ANN401  as above
        """The bytes of a disk or a volume."""
        return resolver.Resolver.OpenFileObject(spec, resolver_context=self.context())

    def file_system(self, root: Any) -> Any:  # noqa: ANN401  as above
        """A file system, the same one each time."""
        return _file_system_in(os.getpid(), self, root)


def _is_in(spec: Any, volume: Any) -> bool:  # noqa: ANN401  as above
    while spec is not None and spec != volume:
        spec = spec.parent
    return spec is not None


@lru_cache(maxsize=2)
def _context_in(process: int, verified: bool) -> Context:  # noqa: ARG001, FBT001  processes must not share dfVFS's objects
    return Context(verified=verified)


@lru_cache(maxsize=16)
def _file_system_in(process: int, access: Access, root: Any) -> Any:  # noqa: ANN401, ARG001  likewise
    return resolver.Resolver.OpenFileSystem(root, resolver_context=access.context())


class _LockedError(EvidenceError):
    """A key does not fit."""


@cache
def _unlocked_in(process: int, verified: bool, key: Key) -> Any:  # noqa: ANN401, FBT001  likewise
    """A volume that is held open, for dfVFS's own caches let it go."""
    secret = _path_in(process, key.secret) if isinstance(key.secret, bytes) else key.secret
    resolver.Resolver.key_chain.SetCredential(key.spec, key.kind, secret)
    volume = resolver.Resolver.OpenFileObject(key.spec, resolver_context=_context_in(process, verified))
    if volume.is_locked:
        raise _LockedError(key.kind)
    return volume


@cache
def _path_in(process: int, contents: bytes) -> str:  # noqa: ARG001  likewise
    """A path from which libbde reads a startup key that lies in no file."""
    descriptor = os.memfd_create("key")
    os.write(descriptor, contents)
    return f"/proc/self/fd/{descriptor}"
