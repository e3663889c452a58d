"""An export as it is imported: what it is, what identifies it, and its records some at a time."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from postroom import __version__
from postroom.domain.activity import Activity, Damaged, Deletion, Record, Skipped
from postroom.domain.clock import DAY
from postroom.sources import registry
from postroom.sources.archive import Archive, open_archive

TOGETHER = 2_000
"""Records that are read and taken in together."""


class Batch(NamedTuple):
    """Records that are taken in together, apart by sort, and what of the export is damaged."""

    activities: list[Activity]
    deletions: list[Deletion]
    damaged: list[Damaged]


class Export:
    """The records of an export, each read once; what is counted here is of those read by now."""

    def __init__(self, archive: Archive, records: Iterator[Record], identity: "Identity") -> None:
        self.identity = identity
        self.skipped: Counter[str] = Counter()
        self.damaged = 0
        self.files = 0
        self.file_bytes = 0
        self.first_day: int | None = None
        self.last_day: int | None = None
        self._records = records
        self._meter = archive.meter
        self._start = archive.meter.read  # what telling the platform has read
        self.total = max(archive.total, 1)

    @property
    def read(self) -> int:
        """Bytes that were read by now, of `total`."""
        return min(self._meter.read - self._start, self.total)

    def some(self) -> Batch | None:
        """The next records; None behind the last one."""
        batch, count = Batch([], [], []), 0
        for record in islice(self._records, TOGETHER):
            count += 1
            if isinstance(record, Activity):
                batch.activities.append(record)
            elif isinstance(record, Deletion):
                batch.deletions.append(record)
            elif isinstance(record, Skipped):
                self.skipped[record.rule] += 1
            else:
                batch.damaged.append(record)
        self._count(batch)
        return batch if count else None

    def _count(self, batch: Batch) -> None:
        self.damaged += len(batch.damaged)
        if batch.activities:
            self.files += sum([each.files for each in batch.activities])
            self.file_bytes += sum([each.file_bytes for each in batch.activities])
            times = [each.at for each in batch.activities]
            first, last = min(times) // DAY, max(times) // DAY
            self.first_day = first if self.first_day is None else min(self.first_day, first)
            self.last_day = last if self.last_day is None else max(self.last_day, last)


class Identity(NamedTuple):
    """The platform, the source under which its activity is kept, and a hash that tells exports apart.

    What is the same export is read in the same order by the same version, in whatever folder it is now.
    """

    platform: str
    source: str
    fingerprint: str


@contextmanager
def opened(platform: str, path: Path, source: str) -> Iterator[Export]:
    """The export at a path.

    Raises:
        sources.trouble.Refused: it is none of this platform, or none that can be opened.
    """
    with open_archive(path) as archive:
        records = registry.read(registry.PLATFORMS[platform], archive, source)
        identity = Identity(platform, source, _fingerprint(platform, source, archive, path))
        yield Export(archive, records, identity)


def _fingerprint(platform: str, source: str, archive: Archive, path: Path) -> str:
    members = [(name, archive.size(name)) for name in archive.names]
    told = __version__, platform, source, archive.total, members, sorted(_times(path))
    return blake2b(msgspec.json.encode(told), digest_size=16).hexdigest()


def _times(path: Path) -> Iterator[tuple[str, int]]:
    """When a file, or each file below a folder, was changed, ns."""
    if not path.is_dir():
        yield "", path.stat().st_mtime_ns
    for folder, _, names in os.walk(path):
        for name in names:
            file = os.path.join(folder, name)
            yield os.path.relpath(file, path), os.lstat(file).st_mtime_ns
