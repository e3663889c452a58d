"""What is over is removed, a few rows at a time; what still counts is kept."""

import asyncio
from itertools import pairwise

import pytest

from postroom.domain.clock import DAY, HOUR
from postroom.domain.errors import NotFound
from postroom.domain.ids import LATEST, lowest
from postroom.domain.listener import Counts
from postroom.domain.retry import Policy
from postroom.service.hub import Hub
from postroom.service.retention import SOME, Retention
from tests.support.clock import NOON, MovingClock
from tests.support.home import Home
from tests.support.hub import Place, beside, opened, place, rows

pytestmark = pytest.mark.anyio

MESSAGES = "SELECT id FROM messages ORDER BY id"
REST = """
    SELECT (SELECT count(*) FROM deliveries), (SELECT count(*) FROM attempts), (SELECT count(*) FROM removals)
"""
# How many messages were ever accepted, by the totals: each series counts its own.
COUNTED = """
    SELECT sum(most) FROM (SELECT max(message_added) AS most FROM usage_totals GROUP BY series) AS counted
"""


def retention(hub: Hub) -> Retention:
    """With the default ages."""
    return Retention(hub.ledger, hub.database, hub.clock, 30 * DAY, 8 * DAY)


def kept(home: Home) -> list[str]:
    """The messages whose rows are there."""
    return [message_id for (message_id,) in rows(home, MESSAGES)]


async def listed(here: Place) -> list[str]:
    """The messages that are shown."""
    found = await here.hub.messages.newest(here.org_id, None, lowest(LATEST), 10)
    return [message.id for message in found]


async def test_a_message_is_kept_until_thirty_days_after_its_last_delivery(home: Home) -> None:
    """To the millisecond, counted from the end of the last attempt and not from when it was accepted."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
        quick, slow = await here.listener(), await here.listener()
        message_id = await here.send()
        await here.try_all(quick, 200)
        clock.pass_(days=20)
        await here.try_all(slow, 200)
        ended = clock.now + 7
        clock.now = ended + 30 * DAY
        await retention(hub).sweep()
        assert kept(home) == await listed(here) == [message_id]
        clock.pass_(ms=1)
        await retention(hub).sweep()
        assert kept(home) == await listed(here) == []
        assert rows(home, REST) == [(0, 0, 0)]
        assert await here.counts(quick) == await here.counts(slow) == Counts(accepted=1, delivered=1)


async def test_a_message_is_kept_while_it_is_owed(home: Home) -> None:
    """Pending for years at one listener that is off: it stays, with its other deliveries."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
        on, off = await here.listener(), await here.listener()
        message_id = await here.send()
        await here.try_all(on, 200)
        clock.pass_(days=1_000)
        await retention(hub).sweep()
        assert kept(home) == [message_id]
        assert [owed.message_id for owed in await here.due(off)] == [message_id]
        assert await hub.audit.differences() == []


async def test_failed_for_good_is_an_end(home: Home) -> None:
    """A missed message is shown as missed until it is swept, and counted as missed for ever."""
    clock = MovingClock()
    async with opened(home, clock, policy=Policy((0,))) as hub:
        here = await place(hub)
        listener = await here.listener()
        message_id = await here.send()
        await here.try_all(listener, 500)
        clock.pass_(days=30)
        await retention(hub).sweep()
        assert await here.missed(listener) == [message_id]
        clock.pass_(ms=8)
        await retention(hub).sweep()
        assert await here.missed(listener) == []
        assert await here.counts(listener) == Counts(accepted=1, failed=1)


async def test_a_message_for_nobody_is_over_at_once(home: Home) -> None:
    """Without listeners, the thirty days begin when it is accepted."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
        message_id = await here.send()
        clock.pass_(days=30)
        await retention(hub).sweep()
        assert kept(home) == [message_id]
        clock.pass_(ms=1)
        await retention(hub).sweep()
        assert kept(home) == []


async def test_what_a_deleted_listener_was_owed_is_over(home: Home) -> None:
    """Its deliveries are counted as discarded at once, removed by the next sweep, and hold no message."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
        listener = await here.listener()
        await here.send_many(2 * SOME + 3)
        await hub.listeners.delete(here.org_id, here.queue_id, listener.id)
        discarded = "SELECT sum(accepted), sum(discarded) FROM listener_counts"
        pending = "SELECT count(*) FROM deliveries WHERE state = 0"
        assert rows(home, discarded) == [(2 * SOME + 3, 2 * SOME + 3)]
        assert await hub.audit.differences() == []
        await retention(hub).sweep()
        assert rows(home, pending) == [(0,)]
        assert rows(home, "SELECT count(*) FROM removals") == [(0,)]
        assert rows(home, discarded) == [(2 * SOME + 3, 2 * SOME + 3)]
        assert await hub.audit.differences() == []
        clock.pass_(days=30, ms=1)
        await retention(hub).sweep()
        assert kept(home) == []


async def test_a_deleted_queues_messages_are_gone_before_their_rows(home: Home) -> None:
    """Nobody sees them from the moment of the deletion; the rows follow with the next sweep."""
    async with opened(home, MovingClock()) as hub:
        here, other = await place(hub), await place(hub)
        listener = await here.listener()
        doomed, stays = await here.send_many(SOME + 1), await other.send()
        await here.try_all(listener, 200)
        await hub.queues.delete(here.org_id, here.queue_id)
        assert await listed(here) == []
        with pytest.raises(NotFound):
            await hub.messages.get(here.org_id, here.queue_id, doomed[0])
        with pytest.raises(NotFound):
            await hub.messages.delete(here.org_id, here.queue_id, doomed[0])
        with pytest.raises(NotFound):
            await here.send()
        await retention(hub).sweep()
        assert kept(home) == [stays]
        assert rows(home, REST) == [(0, 0, 0)]


async def test_removals_survive_a_restart(home: Home) -> None:
    """What one process has deleted, the next one removes."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        await here.listener()
        await here.send_many(3)
        await hub.queues.delete(here.org_id, here.queue_id)
    async with opened(home, MovingClock()) as hub:
        await retention(hub).sweep()
    assert kept(home) == []
    assert rows(home, REST) == [(0, 0, 0)]


async def test_events_are_kept_for_eight_days(home: Home) -> None:
    """To the millisecond; totals outlive them."""
    clock = MovingClock()
    events = "SELECT count(*) FROM usage_events"
    async with opened(home, clock) as hub:
        here = await place(hub)
        await here.send_many(2 * SOME + 1)
        ((made,),) = rows(home, events)
        clock.pass_(days=8)
        await retention(hub).sweep()
        assert rows(home, events) == [(made,)]
        clock.pass_(ms=1)
        await retention(hub).sweep()
        assert rows(home, events) == [(0,)]
        assert rows(home, COUNTED) == [(2 * SOME + 1,)]


async def test_many_old_messages_among_kept_ones(home: Home) -> None:
    """More than one portion; those in between that are still owed stay."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
        gone = await here.send_many(SOME - 1)
        await here.listener()
        owed = await here.send_many(SOME + 2)
        other = Place(hub, here.org_id, (await hub.queues.create(here.org_id, "other")).id)
        gone += await other.send_many(2 * SOME)
        clock.pass_(days=30, ms=1)
        young = await here.send()
        await retention(hub).sweep()
        assert kept(home) == [*owed, young]
        assert set(gone).isdisjoint(kept(home))


# What is still to be removed.
LEFT = {
    "queue": "SELECT count(*) FROM messages",
    "listener": "SELECT count(*) FROM deliveries WHERE state = 0",
    "messages": "SELECT count(*) FROM messages",
    "events": "SELECT count(*) FROM usage_events",
    "totals": "SELECT count(*) FROM usage_totals",
}


@pytest.mark.parametrize("what", LEFT)
async def test_others_have_their_turn_during_a_sweep(home: Home, what: str) -> None:
    """Between two portions the loop turns: a long sweep holds up no request."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
        await many(home, here, what)
        clock.pass_(days=31 if what == "messages" else 9)
        left = [count_left(home, what)]
        sweeping = asyncio.create_task(retention(hub).sweep())
        while not sweeping.done():
            await asyncio.sleep(0)
            left.append(count_left(home, what))
        await sweeping
    removed = [before - after for before, after in pairwise(left)]
    assert sum(removed) >= 3 * SOME
    assert max(removed) <= SOME


@pytest.mark.parametrize("what", LEFT)
async def test_who_may_not_sweep_any_more_stops(home: Home, what: str) -> None:
    """After the portion under way; all the rest is there for whoever may next, in the same process or not."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
        await many(home, here, what)
        clock.pass_(days=31 if what == "messages" else 9)
        before, sweeper = count_left(home, what), retention(hub)
        await sweeper.sweep(lambda: count_left(home, what) == before)
        assert 0 < before - count_left(home, what) <= SOME
        await sweeper.sweep()
        left = count_left(home, what)
        await retention(hub).sweep()
        assert count_left(home, what) == left < before - 3 * SOME


def count_left(home: Home, what: str) -> int:
    return int(rows(home, LEFT[what])[0][0])


async def many(home: Home, here: Place, what: str) -> None:
    """Make more than three portions to remove."""
    if what == "totals":
        with beside(home) as connection:
            connection.execute(EACH_SECOND, (here.org_id, NOON, 3 * SOME + 60))
        return
    listener = await here.listener() if what == "listener" else None
    await here.send_many(3 * SOME + 60)
    if listener is not None:
        await here.hub.listeners.delete(here.org_id, here.queue_id, listener.id)
    elif what == "queue":
        await here.hub.queues.delete(here.org_id, here.queue_id)


EACH_SECOND = """
    WITH RECURSIVE seconds (number) AS (
        SELECT 1 UNION ALL SELECT number + 1 FROM seconds WHERE number < CAST($3 AS BIGINT)
    )
    INSERT INTO usage_totals
    SELECT $1, 0, at, at, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, number, 0, 0
    FROM (SELECT number, CAST($2 AS BIGINT) + 1000 * number AS at FROM seconds) AS times
"""


async def test_sweeping_nothing_changes_nothing(home: Home) -> None:
    """Twice in a row, the second finds nothing to do."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
        listener = await here.listener()
        await here.send_many(5)
        await here.try_all(listener, 200)
        before = [rows(home, f"SELECT * FROM {table}") for table in ("messages", "usage_totals", "attempts")]
        clock.pass_(hours=1)
        for _ in range(2):
            await retention(hub).sweep()
        after = [rows(home, f"SELECT * FROM {table}") for table in ("messages", "usage_totals", "attempts")]
        assert after == before
        assert clock.now == NOON + HOUR
