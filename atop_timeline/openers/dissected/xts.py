"""AES-XTS as dm-crypt has it, many sectors at once: dissect itself decrypts 4 MB/s.

IEEE Std 1619-2018, "XTS-AES"; Linux: drivers/md/dm-crypt.c, "plain64".
"""

from typing import Any

import numpy as np
from Crypto.Cipher import AES
from dissect.util.stream import AlignedStream
from numpy.typing import NDArray

_BLOCK = 16
_IV_BYTES = 512  # what sectors are counted in, whatever their size
_PLAIN = {"aes-xts-plain64": (1 << 64) - 1, "aes-xts-plain": (1 << 32) - 1}
"""Which bits of a sector's number count."""
_POLYNOMIAL = 0x87
_ALIGN = 1 << 16


def is_xts(encryption: str) -> bool:
    """Whether `XtsStream` can decrypt this."""
    return encryption in _PLAIN


class XtsStream(AlignedStream):  # type: ignore[misc]  # dissect has no types
    """What is encrypted at an offset of a stream; `tweak` is the number of the first sector."""

    def __init__(self, below: Any, volume: Any, key: bytes, size: int) -> None:  # noqa: ANN401  as above
        super().__init__(size, _ALIGN)
        self._below = below
        self._offset, self._tweak, self._sector = volume.offset, volume.iv_tweak, volume.sector_size
        self._mask = _PLAIN[volume.encryption]
        half = len(key) // 2
        self._data = AES.new(key[:half], AES.MODE_ECB)
        self._tweaks = AES.new(key[half:], AES.MODE_ECB)

    def _read(self, offset: int, length: int) -> bytes:
        self._below.seek(self._offset + offset)
        data = self._below.read(length)
        sectors = len(data) // self._sector
        words = np.frombuffer(data, "<u8", sectors * self._sector // 8).reshape(sectors, -1, 2)
        tweaks = self._tweaks_of(offset // _IV_BYTES + self._tweak, sectors)
        plain = np.frombuffer(self._data.decrypt((words ^ tweaks).tobytes()), "<u8").reshape(words.shape)
        return (plain ^ tweaks).tobytes()

    def _tweaks_of(self, first: int, sectors: int) -> NDArray[np.uint64]:
        """One per block; shape (sectors, blocks of a sector, 2)."""
        numbers = np.zeros((sectors, 2), "<u8")
        numbers[:, 0] = first + np.arange(sectors, dtype=np.uint64) * np.uint64(self._sector // _IV_BYTES)
        numbers[:, 0] &= np.uint64(self._mask)
        tweaks = np.empty((sectors, self._sector // _BLOCK, 2), "<u8")
        tweaks[:, 0] = np.frombuffer(self._tweaks.encrypt(numbers.tobytes()), "<u8").reshape(sectors, 2)
        for block in range(1, tweaks.shape[1]):
            low, high = tweaks[:, block - 1, 0], tweaks[:, block - 1, 1]
            tweaks[:, block, 0] = (low << np.uint64(1)) ^ (high >> np.uint64(63)) * np.uint64(_POLYNOMIAL)
            tweaks[:, block, 1] = (high << np.uint64(1)) | (low >> np.uint64(63))
        return tweaks
