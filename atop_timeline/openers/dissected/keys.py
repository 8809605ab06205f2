"""What unlocks LUKS and BitLocker, by dissect; the key of the volume is found once, and kept in its layer."""

import io
from collections.abc import Callable, Iterator
from typing import Any

from dissect.fve.bde import BDE
from dissect.fve.crypto import argon2
from dissect.fve.luks import LUKS

from atop_timeline.errors import EvidenceError
from atop_timeline.keys import LOCKED, NONE_FITS, Keys
from atop_timeline.openers.dissected.layers import BitLocker, Layer, Luks, is_failure, stream_of

_TRIES = 3
_ITERATIONS_MAX = 10**9  # a hostile header could ask for centuries
_ARGON2_TIME_MAX, _ARGON2_KIB_MAX = 1000, 1 << 22  # cryptsetup: LUKS2 on-disk format, at most 4 GiB


def unlocked(name: str, layer: Layer, kind: str, keys: Keys) -> Layer:
    """What is in an encrypted volume; raises `EvidenceError` where it stays locked, or any of `FAILURES`."""
    stream = stream_of(layer)
    stream.seek(0)
    return (_bitlocker if kind.startswith("BitLocker") else _luks)(name, layer, stream, keys)


def _luks(name: str, layer: Layer, stream: Any, keys: Keys) -> Layer:  # noqa: ANN401  dissect has no types
    volume = LUKS(stream)
    _check_luks(volume.metadata)
    secrets = [*map(str.encode, (*keys.passwords, *keys.recovery_keys)), *keys.key_files]
    tries = [(volume.unlock_with_passphrase, secret) for secret in secrets]
    asked = ((volume.unlock_with_passphrase, answer.encode()) for answer in _answers(name, keys))
    _try(volume, tries, asked)
    return Luks(layer, int(volume._active_keyslot_id), volume._active_volume_key)  # noqa: SLF001  it has no other way


def _check_luks(metadata: Any) -> None:  # noqa: ANN401  as above
    """Raise `EvidenceError` over what dissect would misread, or not get through with."""
    if any(segment.integrity for segment in metadata.segments.values()):
        raise EvidenceError("LUKS2 with integrity, which dissect does not know")
    if metadata.config and metadata.config.requirements:
        raise EvidenceError("LUKS2 that is being encrypted anew")
    for slot in metadata.keyslots.values():
        if slot.kdf and slot.kdf.type.startswith("argon2") and not argon2.HAS_ARGON2:
            raise EvidenceError("LUKS2 with argon2, for which argon2-cffi is needed")
        if slot.kdf and not _is_bounded(slot.kdf):
            raise EvidenceError("a derivation of the key that takes too much")


def _is_bounded(kdf: Any) -> bool:  # noqa: ANN401  as above
    argon = (kdf.time or 0) <= _ARGON2_TIME_MAX and (kdf.memory or 0) <= _ARGON2_KIB_MAX
    return argon and (kdf.iterations or 0) <= _ITERATIONS_MAX


def _bitlocker(name: str, layer: Layer, stream: Any, keys: Keys) -> Layer:  # noqa: ANN401  as above
    volume = BDE(stream)
    if volume.has_clear_key():
        volume.unlock_with_clear_key()
    tries: list[_Try] = [(volume.unlock_with_passphrase, password) for password in keys.passwords]
    tries += [(volume.unlock_with_recovery_password, key) for key in keys.recovery_keys]
    tries += [(volume.unlock_with_bek, io.BytesIO(key)) for key in keys.key_files]
    ways = (volume.unlock_with_passphrase, volume.unlock_with_recovery_password)
    _try(volume, tries, ((way, answer) for answer in _answers(name, keys) for way in ways))
    return BitLocker(layer, int(volume._fvek_type or 0), volume._fvek or b"")  # noqa: SLF001  it has no other way


_Try = tuple[Callable[[Any], object], Any]


def _try(volume: Any, tries: list[_Try], asked: Iterator[_Try]) -> None:  # noqa: ANN401  as above
    """Unlock a volume with the first that does; somebody is asked only where none of the given ones does."""
    count = 0
    for source in (tries, asked):
        for unlock, secret in source:
            if volume.unlocked:
                return
            count += 1
            _quietly(unlock, secret)
        if volume.unlocked:
            return
    raise EvidenceError(NONE_FITS if count else LOCKED)


def _quietly(unlock: Callable[[Any], object], secret: Any) -> None:  # noqa: ANN401  as above
    try:
        unlock(secret)
    except BaseException as error:
        if not is_failure(error):
            raise


def _answers(name: str, keys: Keys) -> Iterator[str]:
    for _ in range(_TRIES):
        answer = keys.ask(name)
        if answer is None:
            return
        yield answer
