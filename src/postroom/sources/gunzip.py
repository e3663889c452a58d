"""What was packed with gzip, unpacked as far as it can be: damage costs nothing of what stands before it."""

import contextlib
import zlib
from collections.abc import Callable

from postroom.sources.trouble import Unreadable
from postroom.sources.up_to_damage import UpToDamage

_PACKED = 1 << 16  # bytes that are read at once
_WITH_HEAD_AND_SUM = 16 + zlib.MAX_WBITS


class Gunzip:
    """The bytes of what `read` gives, which may be several packings one after the other.

    Python's gzip loses what it had unpacked in the call that meets the damage, which may be all.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._source = UpToDamage(read)
        self._packed = b""  # was read, and is not yet unpacked
        self._inflate = zlib.decompressobj(_WITH_HEAD_AND_SUM)
        self._begun = False  # with a packing that has not ended
        self._ended = False
        self._trouble: Unreadable | None = None

    def read(self, size: int) -> bytes:
        """At most `size` bytes, none at the end. Unreadable once all before the damage was given."""
        parts: list[bytes] = []
        left = size
        while left > 0 and not self._ended:
            parts.append(self._some(left))
            left -= len(parts[-1])
        if self._trouble is not None and left == size:
            raise self._trouble
        return b"".join(parts)

    def _some(self, most: int) -> bytes:
        """Some of the bytes, or none so far; `_ended` is true behind the last ones."""
        try:
            self._fill()
            return b"" if self._ended else self._unpacked(most)
        except Unreadable as trouble:
            self._ended, self._trouble = True, trouble
            return b""

    def _fill(self) -> None:
        """Read on where nothing is left. Between packings, zeros are padding."""
        self._packed = self._packed or self._source.read(_PACKED)
        if not self._begun:
            if self._source.trouble is not None:
                raise self._source.trouble
            self._ended = not self._packed
            self._packed = self._packed.lstrip(b"\0")
            self._begun = bool(self._packed)

    def _unpacked(self, most: int) -> bytes:
        if not self._begun:
            return b""
        before, packed = self._inflate.copy(), self._packed
        try:
            data = self._inflate.decompress(packed, most)
        except zlib.error:
            self._ended, self._trouble = True, Unreadable("is damaged and cannot be unpacked any further")
            return _salvaged(before, packed)
        if self._inflate.eof:
            self._packed, self._begun = self._inflate.unused_data, False
            self._inflate = zlib.decompressobj(_WITH_HEAD_AND_SUM)
        elif not packed and not data:
            raise self._source.trouble or Unreadable("ends too early")
        else:
            self._packed = self._inflate.unconsumed_tail
        return data


def _salvaged(inflate: "zlib._Decompress", packed: bytes) -> bytes:
    """What comes before the damage. It is less than was asked for, or that would have been given.

    It goes byte by byte, because zlib gives nothing of a piece with damage in it.
    """
    parts = []
    with contextlib.suppress(zlib.error):
        for at in range(len(packed)):
            parts.append(inflate.decompress(packed[at : at + 1]))
    return b"".join(parts)
