"""Removing what is over, in a loop."""

from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

import pytest
import structlog

from postroom.domain.activity import Activity
from postroom.domain.clock import DAY
from postroom.service.folding import FOLDED_TOGETHER
from postroom.service.hub import Hub
from postroom.service.retention import SOME, Retention
from postroom.workers.fold import Fold
from postroom.workers.sweep import Sweep
from tests.acceptance.house import until
from tests.support.clock import MovingClock
from tests.support.home import Home
from tests.support.hub import opened, place, rows
from tests.support.workers import running, unwritable

pytestmark = pytest.mark.anyio

INTERVAL = 0.01
DAYS = range(1, 3 * FOLDED_TOGETHER + 1)


def sweep(hub: Hub, may: Callable[[], bool] = lambda: True) -> Sweep:
    """With the default ages."""
    retention = Retention(hub.ledger, hub.database, hub.clock, 30 * DAY, 8 * DAY)
    return Sweep(retention, hub.api_keys, INTERVAL, may)


async def test_the_sweep_goes_on_and_on(home: Home) -> None:
    """What is over now, and what is over later; and when keys were used last is written."""
    clock = MovingClock()

    async def kept() -> int:
        return int(rows(home, "SELECT count(*) FROM messages")[0][0])

    async def used() -> int | None:
        found: int | None = rows(home, "SELECT last_used_at FROM api_keys")[0][0]
        return found

    async with opened(home, clock) as hub, running(sweep(hub).run):
        here = await place(hub)
        for _ in range(2):
            await here.send()
            clock.pass_(days=30, ms=1)
            await until(kept, lambda count: count == 0)
        _, secret = await hub.api_keys.create(here.org_id, "one")
        await hub.api_keys.authenticate(secret)
        assert await until(used, lambda at: at is not None) == clock.now


async def test_whoever_loses_its_right_in_the_middle_stops(home: Home) -> None:
    """Slot 0 may move while there is much to sweep or to fold: then another one goes on with it."""
    clock, asked = MovingClock(), Counter[str]()

    def left(table: str) -> int:
        return int(rows(home, f"SELECT count(*) FROM {table}")[0][0])

    def may(table: str, most: int) -> bool:
        asked[table] += 1
        return left(table) >= most

    async def looks() -> int:
        return min(asked[table] for table in ("messages", "dirty_days"))

    async with opened(home, clock) as hub:
        here = await place(hub)
        await here.send_many(2 * SOME)
        told = [Activity("a", f"m{day}", clock.now - day * DAY, "p", "s", False) for day in DAYS]
        await hub.intake.take(here.org_id, told)
        clock.pass_(days=31)
        loops = [sweep(hub, partial(may, "messages", 2 * SOME)).run,
                 Fold(hub.folding, INTERVAL, partial(may, "dirty_days", len(DAYS))).run]  # fmt: skip
        async with running(loops[0]), running(loops[1]):
            await until(looks, lambda count: count > 4)
        assert left("messages") == SOME
        assert left("dirty_days") == len(DAYS) - FOLDED_TOGETHER


async def test_a_sweep_survives_a_store_that_takes_nothing(home: Home) -> None:
    """It complains in the log, and goes on when the database is free."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
        await here.send()
        clock.pass_(days=31)
        with structlog.testing.capture_logs() as logged:
            async with AsyncExitStack() as meanwhile:
                await meanwhile.enter_async_context(unwritable(home))

                async def complaints() -> int:
                    return sum(entry["event"] == "store_unavailable" for entry in logged)

                async def kept() -> int:
                    return int(rows(home, "SELECT count(*) FROM messages")[0][0])

                async with running(sweep(hub).run):
                    await until(complaints, lambda count: count > 0)
                    assert await kept() == 1
                    await meanwhile.aclose()
                    await until(kept, lambda count: count == 0)


async def test_a_use_that_could_not_be_written_is_written_later(home: Home) -> None:
    """The database took nothing when it was to be written."""
    clock = MovingClock()

    async def used() -> int | None:
        found: int | None = rows(home, "SELECT last_used_at FROM api_keys")[0][0]
        return found

    async with opened(home, clock) as hub:
        here = await place(hub)
        key, secret = await hub.api_keys.create(here.org_id, "one")
        await hub.api_keys.authenticate(secret)
        with structlog.testing.capture_logs() as logged:
            async with AsyncExitStack() as meanwhile:
                await meanwhile.enter_async_context(unwritable(home))

                async def complaints() -> int:
                    return sum(entry["event"] == "store_unavailable" for entry in logged)

                async with running(sweep(hub).run):
                    await until(complaints, lambda count: count > 0)
                    assert (await hub.api_keys.get(here.org_id, key.id)).last_used_at == clock.now
                    await meanwhile.aclose()
                    assert await until(used, lambda at: at is not None) == clock.now
