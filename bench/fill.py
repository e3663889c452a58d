"""Fill an organization's last 25 hours with usage events, through the product's own store.

Its own process: a Job in JSON on stdin, a Filled on stdout. The server must not run, and nothing may have
been counted for the organization yet: totals are written in the order of time.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec

from postroom.domain.clock import DAY, HOUR, SECOND
from postroom.domain.ids import IdSource
from postroom.domain.usage import Kind, UsageEvent
from postroom.store import usage
from postroom.store.database import Transaction
from postroom.store.sqlite import SqliteDatabase

SERIES = 0
SPAN = DAY + HOUR
STEP = SECOND // 2
TOGETHER = 2_000  # commits
KINDS = (Kind.MESSAGE_ADDED, Kind.MESSAGE_PUBLISHED_OK)

Commit = tuple[int, int]  # its time in ms, how many events


class Job(msgspec.Struct, frozen=True):
    """`events` in 24 hours, spread evenly, one commit for those of half a second."""

    data: str
    org_id: str
    events: int


class Filled(msgspec.Struct, frozen=True):
    """How many events are younger than 24 hours."""

    inside: int


async def fill(job: Job) -> Filled:
    """Write them, oldest first."""
    now = time.time_ns() // 1_000_000
    commits = list(_commits(now, job.events))
    database = SqliteDatabase(Path(job.data) / "postroom.db")
    ids = IdSource()
    for start in range(0, len(commits), TOGETHER):
        await database.transaction(_writer(commits[start : start + TOGETHER], job.org_id, ids))
    await database.close()
    return Filled(sum(count for at, count in commits if at >= now - DAY))


def _commits(now: int, events: int) -> Iterator[Commit]:
    for step in range(SPAN // STEP):
        count = (step + 1) * STEP * events // DAY - step * STEP * events // DAY
        if count:
            yield now - SPAN + step * STEP, count


def _writer(commits: list[Commit], org_id: str, ids: IdSource) -> Callable[[Transaction], Awaitable[None]]:
    async def write(tx: Transaction) -> None:
        for at, count in commits:
            await usage.append(tx, SERIES, at, [_event(org_id, ids.mint(at), n) for n in range(count)], {})

    return write


def _event(org_id: str, identifier: str, number: int) -> UsageEvent:
    return UsageEvent(
        org_id, identifier, KINDS[number % 2], queue_id="-" * 21, listener_id="-" * 21, message_id=identifier
    )


def main() -> None:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(fill(job))))


if __name__ == "__main__":
    main()
