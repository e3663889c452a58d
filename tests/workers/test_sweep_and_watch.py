"""The two small loops: removing what is over, and noticing what others write."""

from pathlib import Path

import pytest
import structlog

from postroom.domain.clock import DAY
from postroom.domain.errors import NotAuthenticated
from postroom.domain.listener import Counts
from postroom.service.hub import Hub
from postroom.service.retention import Retention
from postroom.workers.sweep import Sweep
from postroom.workers.watch import Watch
from tests.acceptance.house import until
from tests.acceptance.receiver import Receiver
from tests.support.clock import MovingClock
from tests.support.hub import Place, beside, opened, place, rows
from tests.support.workers import delivering, running

pytestmark = pytest.mark.anyio

INTERVAL = 0.01


def sweep(hub: Hub) -> Sweep:
    """With the default ages."""
    retention = Retention(hub.ledger, hub.database, hub.clock, 30 * DAY, 8 * DAY)
    return Sweep(retention, hub.api_keys, INTERVAL)


async def test_the_sweep_goes_on_and_on(tmp_path: Path) -> None:
    """What is over now, and what is over later; and when keys were used last is written."""
    clock = MovingClock()

    async def kept() -> int:
        return int(rows(tmp_path, "SELECT count(*) FROM messages")[0][0])

    async def used() -> int | None:
        found: int | None = rows(tmp_path, "SELECT last_used_at FROM api_keys")[0][0]
        return found

    async with opened(tmp_path, clock) as hub, running(sweep(hub).run):
        here = await place(hub)
        for _ in range(2):
            await here.send()
            clock.pass_(days=30, ms=1)
            await until(kept, lambda count: count == 0)
        _, secret = await hub.api_keys.create(here.org_id, "one")
        await hub.api_keys.authenticate(secret)
        assert await until(used, lambda at: at is not None) == clock.now


async def test_a_sweep_survives_a_store_that_takes_nothing(tmp_path: Path) -> None:
    """It complains in the log, and goes on when the database is free."""
    clock = MovingClock()
    async with opened(tmp_path, clock) as hub:
        here = await place(hub)
        await here.send()
        clock.pass_(days=31)
        with beside(tmp_path) as other, structlog.testing.capture_logs() as logged:
            other.execute("BEGIN IMMEDIATE")

            async def complaints() -> int:
                return sum(entry["event"] == "store_unavailable" for entry in logged)

            async def kept() -> int:
                return int(rows(tmp_path, "SELECT count(*) FROM messages")[0][0])

            async with running(sweep(hub).run):
                await until(complaints, lambda count: count > 0)
                assert await kept() == 1
                other.execute("COMMIT")
                await until(kept, lambda count: count == 0)


async def test_a_use_that_could_not_be_written_is_written_later(tmp_path: Path) -> None:
    """The database was held by somebody else when it was to be written."""
    clock = MovingClock()

    async def used() -> int | None:
        found: int | None = rows(tmp_path, "SELECT last_used_at FROM api_keys")[0][0]
        return found

    async with opened(tmp_path, clock) as hub:
        here = await place(hub)
        key, secret = await hub.api_keys.create(here.org_id, "one")
        await hub.api_keys.authenticate(secret)
        with beside(tmp_path) as other, structlog.testing.capture_logs() as logged:
            other.execute("BEGIN IMMEDIATE")

            async def complaints() -> int:
                return sum(entry["event"] == "store_unavailable" for entry in logged)

            async with running(sweep(hub).run):
                await until(complaints, lambda count: count > 0)
                assert (await hub.api_keys.get(here.org_id, key.id)).last_used_at == clock.now
                other.execute("COMMIT")
                assert await until(used, lambda at: at is not None) == clock.now


async def test_what_a_command_writes_is_noticed(tmp_path: Path) -> None:
    """A key switched off, a listener added and a message sent, without anybody telling the server."""
    async with (
        opened(tmp_path) as hub,
        opened(tmp_path, series=1) as command,
        Receiver() as receiver,
        delivering(hub) as deliver,
    ):
        here = await place(hub)
        key, secret = await hub.api_keys.create(here.org_id, "one")
        await hub.api_keys.authenticate(secret)
        async with running(Watch(hub.database, hub.directory, deliver).run):
            await command.api_keys.update(here.org_id, key.id, status="disabled")
            there = Place(command, here.org_id, here.queue_id)
            listener = await there.listener(receiver.url("/"))
            await there.send_many(3)
            await until(lambda: here.counts(listener), lambda counts: counts == Counts(3, 3))
            with pytest.raises(NotAuthenticated):
                await hub.api_keys.authenticate(secret)
