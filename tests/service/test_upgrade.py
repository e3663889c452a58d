"""What an earlier version has written is still true under this one."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final

import apsw
import pytest

from postroom.domain import ids
from postroom.domain.clock import MINUTE
from postroom.domain.delivery import State
from postroom.domain.listener import Counts, slot_of
from postroom.domain.usage import Kind
from postroom.store import sqlite_schema, steps
from tests.support.clock import NOON, MovingClock
from tests.support.home import SqliteHome
from tests.support.hub import opened, place_of, rows

pytestmark = pytest.mark.anyio

JOURNAL: Final = "CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT, applied_at INTEGER) STRICT"
SOURCE: Final = ids.IdSource()
ORG, QUEUE, LISTENER = (SOURCE.mint(NOON) for _ in range(3))
MESSAGES: Final = [SOURCE.mint(NOON + MINUTE) for _ in range(5)]
# What the server, series 0, and a command, series 1, have counted, each at its time.
COUNTED: Final = {
    0: [(NOON, Kind.QUEUE_ADDED), (NOON, Kind.LISTENER_ADDED)]
    + [(NOON + MINUTE, Kind.MESSAGE_ADDED)] * 3
    + [(NOON + 2 * MINUTE, Kind.MESSAGE_PUBLISHED_OK), (NOON + 2 * MINUTE, Kind.MESSAGE_PUBLISHED_NOT_OK)],
    1: [(NOON + MINUTE, Kind.MESSAGE_ADDED)] * 2,
}


def written() -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The rows, by table: five messages, of which one is delivered, one failed, and three are pending."""
    yield "processes", (0, NOON)
    yield "processes", (1, NOON)
    yield "organizations", (ORG, "org", "UTC", None, NOON)
    yield "queues", (ORG, QUEUE, "queue", None, NOON)
    listener = ORG, LISTENER, QUEUE, "listener", "http://192.0.2.1/", "http://192.0.2.1/", "x", "enabled"
    yield "listeners", (*listener, slot_of(LISTENER), NOON)
    for number, message_id in enumerate(MESSAGES):
        ended = {0: State.DELIVERED, 1: State.FAILED}.get(number, State.PENDING)
        ended_at = None if ended is State.PENDING else NOON + 2 * MINUTE
        yield "messages", (ORG, message_id, QUEUE, None, b"data")
        yield "deliveries", (ORG, message_id, LISTENER, ended.value, int(bool(ended_at)), NOON, ended_at)
    yield "listener_counts", (ORG, LISTENER, 0, 3, 1, 1, 0)
    yield "listener_counts", (ORG, LISTENER, 1, 2, 0, 0, 0)
    yield from chain.from_iterable(counted(series) for series in COUNTED)


def counted(series: int) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The events of a series, and its running totals: one row for each second."""
    totals = [0] * len(Kind)
    for at in sorted({at for at, _ in COUNTED[series]}):
        kinds = [kind for when, kind in COUNTED[series] if when == at]
        for kind in kinds:
            totals[kind] += 1
            yield "usage_events", (ORG, SOURCE.mint(at), series, kind.value, *[None] * 5)
        yield "usage_totals", (ORG, series, at, at, len(kinds), *totals)


@pytest.fixture
def old(tmp_path: Path) -> SqliteHome:
    """A file as version 0.1 left it, which knew the first migration only."""
    connection = apsw.Connection(str(tmp_path / "postroom.db"))
    connection.execute(JOURNAL)
    connection.execute(steps.known()[0].sql)
    connection.execute("INSERT INTO migrations VALUES (1, 'hub', 1)")
    with connection:
        for table, row in written():
            connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    connection.close()
    return SqliteHome(tmp_path)


async def test_nothing_is_lost_on_the_way_to_this_version(old: SqliteHome) -> None:
    """The counters, a listener's counts, what is owed: as they were, and they go on from there."""
    clock = MovingClock(NOON + 3 * MINUTE)
    sqlite_schema.migrate(old.file, clock)
    async with opened(old, clock) as server, opened(old, clock) as command:
        here, there = await place_of(server, ORG, QUEUE), await place_of(command, ORG, QUEUE)
        listener = await server.listeners.get(ORG, QUEUE, LISTENER)
        stats = (0, 0, 0, 1, 0, 0, 1, 0, 0, 5, 1, 1)
        assert (await server.statistics.messages(ORG)).last_1_hours == stats
        assert await here.counts(listener) == Counts(5, 1, 1, 0)
        assert await here.missed(listener) == [MESSAGES[1]]
        assert [owed.message_id for owed in await here.due(listener)] == MESSAGES[2:]
        assert await server.audit.differences() == []
        await here.try_all(listener)
        await there.send()
        assert (await command.statistics.messages(ORG)).last_1_hours == (*stats[:9], 6, 4, 1)
        assert await here.counts(listener) == Counts(6, 4, 1, 0)
        assert await server.audit.differences() == []
    assert rows(old, "SELECT number FROM series ORDER BY number") == [(0,), (1,)]
    assert rows(old, "SELECT count(*), count(holder) FROM slots") == [(256, 0)]
