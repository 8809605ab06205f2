"""What unlocks encrypted volumes; none of it is ever shown."""

from collections.abc import Callable
from dataclasses import dataclass, field


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
