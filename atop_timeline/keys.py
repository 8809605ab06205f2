"""What unlocks encrypted volumes; none of it is ever shown."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from atop_timeline.errors import UsageError

PASSWORD_VARIABLE, RECOVERY_VARIABLE = "ATOP_TIMELINE_PASSWORD", "ATOP_TIMELINE_RECOVERY_KEY"
"""Of the environment: what other users of this machine cannot see, as they can a command line."""

LOCKED = "locked; --password, --recovery-key or --key-file unlock it"
NONE_FITS = "locked; none of the keys fits"
"""Why a volume cannot be read."""

_MOST_KEY_BYTES = 1 << 23  # cryptsetup's own limit


def _nobody(_volume: str) -> str | None:
    return None


@dataclass(frozen=True)
class Keys:
    """Passwords, BitLocker's recovery keys, and the contents of key files; each is tried on each locked volume.

    `ask` gives a password for a volume whose name and kind it is told, where none of these fits; None: there
    is nobody to ask, or nothing was answered.
    """

    passwords: tuple[str, ...] = field(default=(), repr=False)
    recovery_keys: tuple[str, ...] = field(default=(), repr=False)
    key_files: tuple[bytes, ...] = field(default=(), repr=False)
    ask: Callable[[str], str | None] = field(default=_nobody, repr=False)


def gathered(
    passwords: Sequence[str],
    password_files: Sequence[str],
    recovery_keys: Sequence[str],
    key_files: Sequence[str],
    ask: Callable[[str], str | None],
) -> Keys:
    """Keys as a user gives them, and those of the environment; of a password file the first line counts.

    Raises `UsageError` where a file cannot be read.
    """
    first_lines = [
        _contents(path).partition(b"\n")[0].rstrip(b"\r").decode(errors="replace") for path in password_files
    ]
    return Keys(
        (*passwords, *_of_environment(PASSWORD_VARIABLE), *first_lines),
        (*recovery_keys, *_of_environment(RECOVERY_VARIABLE)),
        tuple(_contents(path) for path in key_files),
        ask,
    )


def _of_environment(variable: str) -> list[str]:
    value = os.environ.get(variable)
    return [value] if value else []


def _contents(path: str) -> bytes:
    try:
        with Path(path).open("rb") as stream:
            return stream.read(_MOST_KEY_BYTES)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
