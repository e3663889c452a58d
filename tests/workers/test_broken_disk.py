"""Whichever access to the database fails, once: every worker goes on, and nothing is stuck."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from postroom.domain.clock import DAY, HeldClock, system_clock
from postroom.domain.errors import Unavailable
from postroom.domain.listener import Counts
from postroom.domain.retry import Policy
from postroom.service.hub import Hub
from postroom.service.retention import Retention
from postroom.workers.sweep import Sweep
from postroom.workers.watch import Watch
from tests.acceptance.house import until
from tests.acceptance.receiver import Receiver, answer
from tests.support.clock import MovingClock
from tests.support.faulty import Faulty
from tests.support.home import TEMPLATE, Home, PostgresHome, SqliteHome
from tests.support.hub import LEASE, Place, opened, place, rows, unique
from tests.support.workers import delivering, probing, running

pytestmark = pytest.mark.anyio

QUICK = Policy((0, 10, 10), 0)
SOON = 20.0  # seconds; a second try comes after one


def another(home: Home, number: int) -> Home:
    """A home of the same kind."""
    if isinstance(home, PostgresHome):
        return PostgresHome.fresh(home.server, TEMPLATE)
    assert isinstance(home, SqliteHome)
    folder = home.folder / str(number)
    folder.mkdir()
    return SqliteHome(folder)


async def survived(beside: Home, receiver: Receiver, fails: int) -> bool:
    """Deliver a backlog and what comes later over such a database; whether an access has failed by then."""
    path, home = f"/{fails}", another(beside, fails)
    receiver.on(path, answer(500), answer(200))
    async with opened(home, policy=QUICK) as hub:
        here = await place(hub)
        listener = await here.listener(receiver.url(path))
        await here.send_many(3)
        faulty = Faulty(hub.database, fails)
        async with at_work(faulty) as other, delivering(other):
            await until(lambda: here.counts(listener), lambda counts: counts.delivered == 3, SOON)
            there = Place(other, here.org_id, here.queue_id)
            await asyncio.gather(there.send(), return_exceptions=True)
            await until(lambda: here.counts(listener), lambda counts: not counts.pending, SOON)
        counts = await here.counts(listener)
        assert counts == Counts(counts.accepted, counts.accepted)
        assert counts.accepted in {3, 4}
        assert len(receiver.got(path)) <= counts.accepted + 2
        return faulty.has_failed


@asynccontextmanager
async def at_work(faulty: Faulty) -> AsyncIterator[Hub]:
    """A hub over this database, its ledger at work."""
    hub = Hub(faulty, HeldClock(system_clock), unique("process"), LEASE, policy=QUICK)
    running = asyncio.create_task(hub.ledger.run())
    try:
        yield hub
    finally:
        hub.ledger.close()
        await running


@pytest.mark.usefixtures("crowded")
async def test_whichever_access_fails(home: Home) -> None:
    """Each in turn, from the first on, until there are no more: nothing is stuck, nothing is lost."""
    async with Receiver() as receiver:
        runs = {fails: survived(home, receiver, fails) for fails in range(1, 31)}
        ends = dict(zip(runs, await asyncio.gather(*runs.values(), return_exceptions=True), strict=True))
    assert {fails: end for fails, end in ends.items() if isinstance(end, BaseException)} == {}
    assert [ends[fails] for fails in range(1, 11)] == [True] * 10


@pytest.mark.parametrize("fails", range(1, 8))
async def test_probing_goes_on(home: Home, fails: int) -> None:
    """A probe may be lost, and the next one is made."""
    async with opened(home) as hub, Receiver() as receiver:
        here = await place(hub)
        listener = await here.listener(liveness_url=receiver.url("/live"))
        async with at_work(Faulty(hub.database, fails)) as other, probing(other, 10, 10):
            await until(
                lambda: hub.listeners.report(listener), lambda found: found.liveness.success_count > 3, SOON
            )


@pytest.mark.parametrize("fails", range(1, 9))
async def test_sweeping_goes_on(home: Home, fails: int) -> None:
    """What one sweep could not remove, a later one does."""
    clock = MovingClock()

    async def kept() -> int:
        return int(rows(home, "SELECT count(*) FROM messages")[0][0])

    async with opened(home, clock) as hub:
        await (await place(hub)).send_many(3)
        clock.pass_(days=31)
        async with at_work(Faulty(hub.database, fails)) as other:
            retention = Retention(other.ledger, other.database, clock, 30 * DAY, 8 * DAY)
            async with running(Sweep(retention, other.api_keys, 0.01).run):
                await until(kept, lambda count: count == 0, SOON)


@pytest.mark.parametrize("fails", range(1, 6))
async def test_watching_goes_on(home: Home, fails: int) -> None:
    """What another process writes is noticed, though looking failed once."""
    async with opened(home) as hub, opened(home) as command, at_work(Faulty(hub.database, fails)) as other:
        here = await place(hub)

        async def name() -> str | None:
            try:
                queue = await other.directory.queue(here.org_id, here.queue_id)
            except Unavailable:
                return None
            return queue.name if queue else None

        async with delivering(hub) as deliver, running(Watch(other, deliver, 0.01).run):
            await name()
            await command.queues.update(here.org_id, here.queue_id, "new")
            await until(name, lambda found: found == "new", SOON)
