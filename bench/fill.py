"""Fill an organization's last 25 hours with usage events, through the product's own store.

Its own process: a Job in JSON on stdin, a Filled on stdout. The server must not run, and nothing may have
been counted for the organization yet: totals are written in the order of time.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from itertools import islice

import msgspec

from postroom.domain.clock import DAY, HOUR, SECOND
from postroom.domain.ids import IdSource
from postroom.domain.usage import BEGINNING, NOTHING, Kind, Segment
from postroom.store import drivers, processes
from postroom.store.database import Database, Transaction, Value

HOLDER = "bench"
SPAN = DAY + HOUR
STEP = SECOND // 2
TOGETHER = 2_000  # commits
KINDS = (Kind.MESSAGE_ADDED, Kind.MESSAGE_PUBLISHED_OK)

Commit = tuple[int, int]  # its time in ms, how many events
Rows = list[tuple[Value, ...]]


class Job(msgspec.Struct, frozen=True):
    """`events` in 24 hours, spread evenly, one commit for those of half a second."""

    address: str
    org_id: str
    events: int


class Filled(msgspec.Struct, frozen=True):
    """How many events are younger than 24 hours."""

    inside: int


async def fill(job: Job) -> Filled:
    """Write them, oldest first."""
    now = time.time_ns() // 1_000_000
    database = await drivers.open_database(job.address, connections=2)
    try:
        number, _ = await database.transaction(lambda tx: processes.take_series(tx, HOLDER, now, now + HOUR))
        await _write(database, job, now, number)
        await database.transaction(lambda tx: processes.release_series(tx, [HOLDER]))
    finally:
        await database.close()
    return Filled(sum(count for at, count in _commits(now, job.events) if at >= now - DAY))


def _commits(now: int, events: int) -> Iterator[Commit]:
    for step in range(SPAN // STEP):
        count = (step + 1) * STEP * events // DAY - step * STEP * events // DAY
        if count:
            yield now - SPAN + step * STEP, count


async def _write(database: Database, job: Job, now: int, series: int) -> None:
    """Many commits in each statement; the rows are those that commits one by one would leave."""
    ids, newest, commits = IdSource(), BEGINNING, _commits(now, job.events)
    while some := list(islice(commits, TOGETHER)):
        events = [_event(job.org_id, series, ids.mint(at), n) for at, count in some for n in range(count)]
        segments = _segments(newest, some)
        newest = segments[-1]
        last = {segment.started_at: segment for segment in segments}.values()
        totals: Rows = [(job.org_id, series, s.started_at, s.last_at, s.events, *s.totals) for s in last]

        async def write(tx: Transaction, events: Rows = events, totals: Rows = totals) -> None:
            await tx.execute_many("insert_usage_event", events)
            await tx.execute_many("write_segment", totals)

        await database.transaction(write)


def _segments(newest: Segment, commits: list[Commit]) -> list[Segment]:
    """The newest segment after each commit."""
    segments = []
    for at, count in commits:
        newest = newest.with_more(at, _added(count))
        segments.append(newest)
    return segments


def _added(count: int) -> tuple[int, ...]:
    added = list(NOTHING)
    for number in range(count):
        added[KINDS[number % 2]] += 1
    return tuple(added)


def _event(org_id: str, series: int, identifier: str, number: int) -> tuple[Value, ...]:
    subjects = None, "-" * 21, "-" * 21, identifier, None
    return org_id, identifier, series, KINDS[number % 2].value, *subjects


def main() -> None:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(fill(job))))


if __name__ == "__main__":
    main()
