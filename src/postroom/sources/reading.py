"""`python -m postroom.sources.reading`: the process that reads an export for another one, which takes it in.

Nobody has to end it: when the other one ends, however it does, it has nobody to write to any more.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from postroom import __version__
from postroom.domain.activity import Activity, Damaged, Deletion, Record, Skipped
from postroom.domain.clock import DAY
from postroom.domain.facts import Keyring
from postroom.sources import frames, registry
from postroom.sources.archive import Archive, open_archive
from postroom.sources.frames import Batch, Counted, Identity, Job, Opened, Refusal, Start
from postroom.sources.trouble import Refused


class Some(NamedTuple):
    """Some records of an export, apart by sort; of those that are skipped, none."""

    activities: list[Activity]
    deletions: list[Deletion]
    damaged: list[Damaged]


class Reading:
    """The records of an export, each read once, `together` at a time.

    `total` is its bytes, `counted` is of what was read by now.
    """

    def __init__(
        self, archive: Archive, records: Iterator[Record], identity: Identity, together: int
    ) -> None:
        self.identity = identity
        self.total = max(archive.total, 1)
        self.counted = Counted()
        self._records = records
        self._together = together
        self._meter = archive.meter
        self._start = archive.meter.read  # what telling the platform has read

    def some(self) -> Some | None:
        """The next records; None behind the last one."""
        some, count = Some([], [], []), 0
        for record in islice(self._records, self._together):
            count += 1
            if isinstance(record, Activity):
                some.activities.append(record)
            elif isinstance(record, Deletion):
                some.deletions.append(record)
            elif isinstance(record, Skipped):
                self.counted.skipped[record.rule] = self.counted.skipped.get(record.rule, 0) + 1
            else:
                some.damaged.append(_in_utf8(record))
        self._count(some)
        return some if count else None

    def _count(self, some: Some) -> None:
        counted = self.counted
        counted.read = min(self._meter.read - self._start, self.total)
        counted.damaged += len(some.damaged)
        sent = some.activities + [each.sent for each in some.deletions if each.sent is not None]
        if sent:
            counted.files += sum([each.files for each in sent])
            counted.file_bytes += sum([each.file_bytes for each in sent])
            counted.by_platform += sum([each.system for each in sent])
            counted.by_bots += sum([each.by_bot and not each.system for each in sent])
            times = [each.at for each in sent]
            first, last = min(times) // DAY, max(times) // DAY
            counted.first_day = first if counted.first_day is None else min(counted.first_day, first)
            counted.last_day = last if counted.last_day is None else max(counted.last_day, last)


@contextmanager
def opened(job: Job) -> Iterator[Reading]:
    """The export that is to be read.

    Raises:
        Refused: it is none of this platform, or none that can be opened.
    """
    path = Path(os.fsdecode(job.path))
    with open_archive(path) as archive:
        records = registry.read(registry.PLATFORMS[job.platform], archive, job.source)
        identity = Identity(job.platform, job.source, _fingerprint(job, archive, path))
        yield Reading(archive, records, identity, job.together)


def main() -> int:
    """Read what standard input says; the exit code."""
    # Whoever started it decides when it ends, also where a signal went to both.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with (
        suppress(BrokenPipeError, EOFError),  # nobody is there any more
        open(sys.stdout.fileno(), "wb", closefd=False) as pipe,
    ):
        _tell(sys.stdin.buffer, pipe)
    return 0


def _tell(given: BinaryIO, pipe: BinaryIO) -> None:
    job = frames.decode_job(frames.read(given))
    try:
        with opened(job) as export:
            frames.write(pipe, frames.encode(Opened(export.identity, export.total)))
            _tell_all(export, frames.decode_start(frames.read(given)), pipe)
    except Refused as error:
        frames.write(pipe, frames.encode(Refusal(_escaped(str(error)))))


def _tell_all(export: Reading, start: Start, pipe: BinaryIO) -> None:
    keyring = Keyring(start.secret)
    activities, deletions = start.activities, start.deletions
    while (some := export.some()) is not None:
        kept: list[Activity | Deletion] = [*some.activities[activities:], *some.deletions[deletions:]]
        activities = max(0, activities - len(some.activities))
        deletions = max(0, deletions - len(some.deletions))
        frames.write(pipe, frames.encode(Batch(keyring.keyed(kept), some.damaged, export.counted)))
    frames.write(pipe, b"")


def _fingerprint(job: Job, archive: Archive, path: Path) -> str:
    members = [(name, archive.size(name)) for name in archive.names]
    told = __version__, job.platform, job.source, archive.total, members, sorted(_times(path))
    return blake2b(_escaped(repr(told)).encode(), digest_size=16).hexdigest()


def _times(path: Path) -> Iterator[tuple[str, int]]:
    """When a file, or each file below a folder, was changed, ns."""
    if not path.is_dir():
        yield "", path.stat().st_mtime_ns
    for folder, _, names in os.walk(path):
        for name in names:
            file = os.path.join(folder, name)
            yield os.path.relpath(file, path), os.lstat(file).st_mtime_ns


def _in_utf8(damaged: Damaged) -> Damaged:
    """The same; names of files need not be UTF-8."""
    return Damaged(_escaped(damaged.place), _escaped(damaged.detail))


def _escaped(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


if __name__ == "__main__":
    sys.exit(main())
