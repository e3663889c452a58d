"""Series of running totals: each is written by one process at a time, and counted for ever."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from postroom.domain.clock import HOUR, MINUTE
from postroom.domain.delivery import Outcome
from postroom.domain.errors import Unavailable
from postroom.domain.ids import time_of
from postroom.domain.listener import Counts, Listener
from postroom.domain.usage import Kind
from postroom.service.hub import Hub
from postroom.store import processes
from postroom.store.database import NotMet, Transaction
from tests.support.clock import NOON, MovingClock
from tests.support.home import Home, PostgresHome
from tests.support.hub import LEASE, Place, answered, beside, blocked, opened, place, place_of, rows
from tests.support.postgres import HOST, Server
from tests.support.proxy import Proxy

pytestmark = pytest.mark.anyio

SOON = 20.0  # seconds
SERIES = "SELECT number, holder FROM series ORDER BY number"
HELD = "SELECT number, holder, term FROM series WHERE holder = 'one.0'"  # by what writes messages


def holders(home: Home) -> dict[int, str | None]:
    """Who holds each series, without the number of the writer."""
    return {number: holder and holder.rpartition(".")[0] for number, holder in rows(home, SERIES)}


def disagreements(home: Home) -> list[object]:
    """Series whose newest totals are not what counting their events one by one gives."""
    counted = {
        (org_id, series): (events, added)
        for org_id, series, events, added in rows(
            home,
            "SELECT org_id, series, count(*), sum(CASE WHEN kind = $1 THEN 1 ELSE 0 END)"
            " FROM usage_events GROUP BY org_id, series",
            Kind.MESSAGE_ADDED,
        )
    }
    totals = {
        (org_id, series): (events, added)
        for org_id, series, events, added in rows(
            home,
            "SELECT org_id, series, sum(events), max(message_added) FROM usage_totals GROUP BY 1, 2",
        )
    }
    return [key for key in counted.keys() | totals.keys() if counted.get(key) != totals.get(key)]


async def added(hub: Hub, org_id: str) -> int:
    """The messages that were accepted in the last hour."""
    return (await hub.statistics.messages(org_id)).last_1_hours[Kind.MESSAGE_ADDED]


async def test_a_series_is_taken_with_the_first_fact(home: Home) -> None:
    """Who only reads has none; who writes keeps the same for all that follows."""
    async with opened(home, MovingClock(), holder="one") as hub:
        assert await hub.organizations.every() == []
        assert holders(home) == {}
        here = await place(hub)
        before = holders(home)
        assert set(before.values()) == {"one"}
        for _ in range(5):
            await here.send()
        after = holders(home)
        assert set(after.values()) == {"one"}
        assert len(after) <= len(hub.ledger.holders)


async def test_a_series_that_was_left_is_taken_again(home: Home) -> None:
    """Processes that come and go leave no trail of series, however many there are."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
        await here.send()
    assert set(holders(home).values()) == {None}
    for number in range(5):
        async with opened(home, clock, holder=f"next {number}") as hub:
            await (await place_of(hub, here.org_id, here.queue_id)).send()
    assert len(holders(home)) <= len(hub.ledger.holders)
    assert disagreements(home) == []


async def test_a_killed_process_keeps_its_series_for_its_lease(home: Home) -> None:
    """Until then others take new ones; then it is taken over, and what it counted stays counted."""
    clock = MovingClock()
    async with opened(home, clock, holder="dead", killed=killed()) as hub:
        here = await place(hub)
        await here.send_many(3)
    left = holders(home)
    assert set(left.values()) == {"dead"}
    clock.pass_(ms=LEASE)
    async with opened(home, clock, holder="early") as hub:
        await (await place_of(hub, here.org_id, here.queue_id)).send()
        assert {number: holders(home)[number] for number in left} == left
    clock.pass_(ms=2)
    async with AsyncExitStack() as stack:
        for number in range(4):
            late = await stack.enter_async_context(opened(home, clock, holder=f"late {number}"))
            await (await place_of(late, here.org_id, here.queue_id)).send()
        assert "dead" not in holders(home).values()
        assert len(holders(home)) <= len(left) + 4 * len(late.ledger.holders)
        assert await added(late, here.org_id) == 8
        assert await late.audit.differences() == []
    assert disagreements(home) == []


def killed() -> asyncio.Event:
    """For a process that ends without leaving."""
    event = asyncio.Event()
    event.set()
    return event


async def test_who_lost_its_series_writes_another_one(home: Home) -> None:
    """A process that stood still for longer than its lease goes on, and nothing is counted twice or lost."""
    clock = MovingClock()
    async with opened(home, clock, holder="sleeper") as sleeper, opened(home, clock, holder="other") as other:
        here = await place(sleeper)
        there = await place_of(other, here.org_id, here.queue_id)
        await here.send_many(2)
        held = set(holders(home))
        clock.pass_(ms=LEASE + 1)
        await there.send_many(3)
        taken = {number for number, holder in holders(home).items() if holder == "other"}
        assert taken & held
        await here.send_many(4)
        await there.send_many(5)
        found = holders(home)
        assert {number for number in taken if found[number] == "other"} == taken
        assert "sleeper" in found.values()
        for hub in (sleeper, other):
            assert await added(hub, here.org_id) == 14
            assert await hub.audit.differences() == []
    assert disagreements(home) == []


async def test_a_lease_can_be_renewed(home: Home) -> None:
    """As long as a process says that it is there, nobody takes its series."""
    clock = MovingClock()
    async with opened(home, clock, holder="server") as server, opened(home, clock, holder="other") as other:
        here = await place(server)
        await here.send()
        held = {number for number, holder in holders(home).items() if holder == "server"}
        for _ in range(5):
            clock.pass_(ms=LEASE)
            await server.membership.renew()
        await (await place_of(other, here.org_id, here.queue_id)).send()
        assert {number for number, holder in holders(home).items() if holder == "server"} == held


async def test_many_that_begin_at_once_take_different_series(home: Home) -> None:
    """On a database where there is none yet, and with one that is free."""
    clock = MovingClock()
    async with AsyncExitStack() as stack:
        opening = [opened(home, clock, holder=f"process {number}") for number in range(6)]
        hubs = [await stack.enter_async_context(each) for each in opening]
        places = await asyncio.gather(*(place(hub) for hub in hubs))
        for _ in range(3):
            await asyncio.gather(*(here.send() for here in places))
        taken = [holder for holder in holders(home).values() if holder]
        assert len(set(taken)) == 6
        assert disagreements(home) == []
        assert await hubs[0].audit.differences() == []


async def test_a_clock_behind_the_series_is_set(home: Home) -> None:
    """Who takes over a series whose last event is of a later time goes on after it."""
    ahead, behind = MovingClock(NOON + MINUTE), MovingClock(NOON)
    async with opened(home, ahead) as hub:
        here = await place(hub)
    async with AsyncExitStack() as stack:
        late = await stack.enter_async_context(opened(home, behind))
        fast = await stack.enter_async_context(opened(home, ahead))
        there = await place_of(fast, here.org_id, here.queue_id)
        ahead.pass_(seconds=1)
        await there.send_many(2)
        await fast.ledger.leave()
        sent = await (await place_of(late, here.org_id, here.queue_id)).send_many(3)
        assert all(time_of(message_id) > ahead.now for message_id in sent)
        events = await late.statistics.events(here.org_id, "messages", None, 10)
        assert [event.message and event.message.id for event in events][-3:] == sorted(sent)
        ahead.now = behind.now = NOON + HOUR
        assert await added(late, here.org_id) == await added(fast, here.org_id) == 5
    assert disagreements(home) == []


async def test_nobody_takes_a_series_in_the_middle_of_a_commit(postgresql_home: PostgresHome) -> None:
    """Though its lease is over: the commit was let in while it was held, and is waited for."""
    clock = MovingClock()
    home = postgresql_home
    async with opened(home, clock, holder="slow") as slow, opened(home, clock, holder="quick") as quick:
        here, elsewhere = await place(slow), await place(quick)
        await here.send()
        await quick.ledger.leave()
        with beside(home) as other:
            other.execute("BEGIN")
            other.execute("SELECT 1 FROM queues WHERE id = $1 FOR UPDATE", (here.queue_id,))
            sending = asyncio.create_task(here.send())
            await blocked(home, "version")
            clock.pass_(ms=LEASE + 1)
            counting = [asyncio.create_task(elsewhere.send()) for _ in range(8)]
            await asyncio.wait(counting, timeout=0.2)
            assert not sending.done()
            other.execute("COMMIT")
        await asyncio.gather(sending, *counting)
        for hub in (slow, quick):
            assert await added(hub, here.org_id) == 2
            assert await added(hub, elsewhere.org_id) == 8
            assert await hub.audit.differences() == []
    assert disagreements(home) == []


@pytest.fixture
def proxy(postgres: Server) -> Iterator[Proxy]:
    """A proxy before the shared server."""
    with Proxy(HOST, postgres.port) as proxy:
        yield proxy


async def in_doubt(proxy: Proxy, *work: "asyncio.Task[object]") -> None:
    """Let the commit happen, and nobody know: all who wait are told to try again."""
    assert await asyncio.to_thread(proxy.held.wait, SOON)
    proxy.cut()
    answers = await asyncio.gather(*work, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * len(work)
    proxy.heal()


def through(home: PostgresHome, proxy: Proxy) -> PostgresHome:
    """The database behind the proxy, for a process in which the same flusher writes all that is gathered."""
    far = home.through(proxy.port)
    far.flushers = 1
    return far


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("at_once", [False, True])
async def test_a_message_in_doubt_is_counted_as_it_is_kept(
    postgresql_home: PostgresHome, proxy: Proxy, at_once: bool
) -> None:
    """It was accepted though nobody was told; sent again it is another one; the totals know of both.

    The answer that is lost is that to a COMMIT, or that to the one statement which is all of the transaction.
    """
    async with opened(through(postgresql_home, proxy), MovingClock()) as hub:
        here = await place(hub)
        listener = await here.listener()
        await here.send()
        for _ in range(3):
            if not at_once:
                await here.listener()  # so that what is in memory is not true any more
            proxy.stall_answers(to=b"doubtful" if at_once else b"COMMIT")
            await in_doubt(proxy, *(asyncio.create_task(here.send("doubtful")) for _ in range(5)))
            await here.send()
        assert len(rows(postgresql_home, "SELECT id FROM messages")) == await added(hub, here.org_id) == 19
        assert await here.counts(listener) == Counts(accepted=19)
        assert await hub.audit.differences() == []
    assert disagreements(postgresql_home) == []


async def first_attempts(here: Place, listener: Listener, status: int) -> list[Outcome]:
    """What is due was tried, and answered like this."""
    tried = [(owed, answered(listener, owed, here.hub.clock(), status)) for owed in await here.due(listener)]
    return [here.hub.deliveries.outcome(listener, owed, attempt, None) for owed, attempt in tried]


@pytest.mark.parametrize("status", [200, 500])
async def test_an_outcome_in_doubt_is_counted_once(
    postgresql_home: PostgresHome, proxy: Proxy, status: int
) -> None:
    """Written again, it is found to be written: no second event, no second attempt."""
    async with opened(through(postgresql_home, proxy), MovingClock()) as hub:
        here = await place(hub)
        listener = await here.listener()
        await here.send_many(3)
        outcomes = await first_attempts(here, listener, status)
        proxy.stall_answers(to=b"answer")
        await in_doubt(proxy, *(asyncio.create_task(hub.deliveries.settle(each)) for each in outcomes))
        await asyncio.gather(*(hub.deliveries.settle(each) for each in outcomes))
        await asyncio.gather(*(hub.deliveries.settle(each) for each in outcomes))
        published = (3, 0) if status == 200 else (0, 3)
        assert (await hub.statistics.messages(here.org_id)).last_1_hours[-2:] == published
        assert await here.counts(listener) == Counts(accepted=3, delivered=published[0])
        assert rows(postgresql_home, "SELECT number FROM attempts") == [(1,)] * 3
        assert await hub.audit.differences() == []
    assert disagreements(postgresql_home) == []


@pytest.mark.usefixtures("unhurried")
async def test_a_statement_that_comes_late_writes_nothing(
    postgresql_home: PostgresHome, proxy: Proxy
) -> None:
    """Whoever gave it up has taken the same series anew since, and counted more in it."""
    async with opened(through(postgresql_home, proxy), MovingClock(), holder="one") as hub:
        here = await place(hub)
        await here.send()
        ((number, holder, term),) = rows(postgresql_home, HELD)
        proxy.stall_answers(to=b"doubtful")
        await in_doubt(proxy, asyncio.create_task(here.send("doubtful")))
        await here.send()
        assert rows(postgresql_home, HELD) == [(number, holder, term + 1)]

        async def late(tx: Transaction) -> None:
            await processes.hold_series(tx, number, holder, term)
            await tx.execute("insert_message", here.org_id, "late", here.queue_id, None, b"")

        with pytest.raises(NotMet):
            await hub.database.transaction(late, at_once=True)
        assert len(rows(postgresql_home, "SELECT id FROM messages")) == await added(hub, here.org_id) == 3
