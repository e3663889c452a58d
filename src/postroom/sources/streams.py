"""Bytes of one member of an archive: unpacked as they are read, counted, and bounded."""

import contextlib
import lzma
import struct
import tarfile
import zipfile
import zlib
from typing import BinaryIO, Self, cast

import msgspec

from postroom.sources.gunzip import Gunzip
from postroom.sources.trouble import Unreadable

FAILURES = (
    OSError, EOFError, ValueError, RuntimeError, NotImplementedError, struct.error, OverflowError,
    zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError,
)  # fmt: skip
"""What the standard library raises for damaged archives."""

CHUNK = 1 << 18
SMALL = 1 << 24
"""Bytes that may come of anything, however small it was packed."""


class Limits(msgspec.Struct, frozen=True):
    """What is reasonable for an export; beyond it lie bombs."""

    members: int = 500_000
    ratio: int = 200  # of unpacked to packed size; text hardly reaches 50
    total: int = 1 << 40  # bytes unpacked


class Meter:
    """What has been read of an archive so far, in bytes: as it is kept there, and unpacked.

    `trouble` is why something of it could not be read.
    """

    def __init__(self, limits: Limits) -> None:
        self.read = 0
        self.trouble = ""
        self._unpacked = 0
        self._limits = limits

    def unpacked(self, size: int) -> None:
        """Count bytes that were handed out. Unreadable when they are more than an export can have."""
        self._unpacked += size
        if self._unpacked > self._limits.total:
            raise Unreadable(f"makes more than {self._limits.total} bytes of the export")


class Stream:
    """A member's bytes as they are kept; every failure to read them is Unreadable."""

    def __init__(self, raw: BinaryIO, meter: Meter, expected: int | None = None) -> None:
        self.taken = 0
        self._raw = raw
        self._meter = meter
        self._expected = expected

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""
        try:
            return self._some(size)
        except Unreadable as error:
            self._meter.trouble = str(error)
            raise

    def _some(self, size: int) -> bytes:
        data = attempt(self._raw, size)
        self.taken += len(data)
        self._meter.read += len(data)
        self._meter.unpacked(len(data))
        if not data and self._expected is not None and self.taken < self._expected:
            raise Unreadable("ends too early")
        return data

    def close(self) -> None:
        """Give the member back; what was not read of it does not matter."""
        with contextlib.suppress(*FAILURES):
            self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Unzipped(Stream):
    """What was packed with gzip, unpacked; also several such packings one after the other."""

    def __init__(self, packed: Stream, meter: Meter, limits: Limits) -> None:
        super().__init__(cast(BinaryIO, packed), meter)
        self._gunzip = Gunzip(packed.read)
        self._packed = packed
        self._ratio = limits.ratio

    def _some(self, size: int) -> bytes:
        data = self._gunzip.read(size)
        self.taken += len(data)
        self._meter.unpacked(len(data))
        if self.taken > max(SMALL, self._ratio * self._packed.taken):
            raise Unreadable(f"unpacks to more than {self._ratio} times its size")
        return data


def attempt(raw: BinaryIO, size: int) -> bytes:
    """What `raw` reads. Unreadable when it cannot."""
    try:
        return raw.read(size)
    except FAILURES as error:
        raise Unreadable(f"cannot be read on ({type(error).__name__})") from error
