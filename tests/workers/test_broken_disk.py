"""Whichever access to the database fails, once: what is owed is delivered all the same."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from postroom.domain.clock import HeldClock, system_clock
from postroom.domain.listener import Counts
from postroom.domain.retry import Policy
from postroom.service.hub import Hub
from tests.acceptance.house import until
from tests.acceptance.receiver import Receiver, answer
from tests.support.faulty import Faulty
from tests.support.hub import Place, opened, place
from tests.support.workers import delivering

pytestmark = pytest.mark.anyio

QUICK = Policy((0, 10, 10), 0)
SOON = 20.0  # seconds; a second try comes after one


async def survived(folder: Path, receiver: Receiver, fails: int) -> bool:
    """Deliver a backlog and what comes later over such a database; whether an access has failed by then."""
    folder.mkdir()
    path = f"/{fails}"
    receiver.on(path, answer(500), answer(200))
    async with opened(folder, policy=QUICK) as hub:
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
    hub = Hub(faulty, HeldClock(system_clock), series=1, alone=False, policy=QUICK)
    running = asyncio.create_task(hub.ledger.run())
    try:
        yield hub
    finally:
        hub.ledger.close()
        await running


async def test_whichever_access_fails(tmp_path: Path) -> None:
    """Each in turn, from the first on, until there are no more: nothing is stuck, nothing is lost."""
    async with Receiver() as receiver:
        runs = {fails: survived(tmp_path / str(fails), receiver, fails) for fails in range(1, 31)}
        ends = dict(zip(runs, await asyncio.gather(*runs.values(), return_exceptions=True), strict=True))
    assert {fails: end for fails, end in ends.items() if isinstance(end, BaseException)} == {}
    assert [ends[fails] for fails in range(1, 11)] == [True] * 10
