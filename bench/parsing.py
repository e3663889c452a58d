"""Reads an export and does nothing with what it says: the limit of an import."""

import os
import sys
import time

import msgspec

from postroom.service.exports import TOGETHER
from postroom.sources import frames
from postroom.sources.reading import opened


class Job(msgspec.Struct, frozen=True):
    """The export."""

    platform: str
    path: str


class Parsed(msgspec.Struct, frozen=True):
    """How many messages there are, and the seconds that reading them took."""

    messages: int
    seconds: float


def parse(job: Job) -> Parsed:
    """Read all of it."""
    begin, messages = time.monotonic(), 0
    with opened(frames.Job(job.platform, os.fsencode(job.path), job.platform, TOGETHER)) as export:
        while (some := export.some()) is not None:
            messages += len(some.activities)
    return Parsed(messages, time.monotonic() - begin)


def main() -> None:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(msgspec.json.encode(parse(job)))


if __name__ == "__main__":
    main()
