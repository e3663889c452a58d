"""Processes over one PostgreSQL whose machines' clocks differ by minutes."""

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from anyio.to_thread import run_sync

from tests.acceptance.books import Hesitant, closed, listener_of, received, shared
from tests.acceptance.client import Client, counted_events, make_queue, pages, stats
from tests.acceptance.conftest import ON_POSTGRESQL
from tests.acceptance.house import Organization, Postroom, Url, audit
from tests.acceptance.load import Load
from tests.acceptance.receiver import Receiver

pytestmark = [pytest.mark.anyio, ON_POSTGRESQL]

# Run in place of the command `postroom`: its first argument is how many seconds the clock is ahead.
SHIFTED: Final = """
import sys
import time

ahead = int(sys.argv.pop(1))
true, true_ns = time.time, time.time_ns
time.time = lambda: true() + ahead
time.time_ns = lambda: true_ns() + ahead * 10**9

from postroom.cli import main

sys.exit(main())
"""
SETTINGS: Final = {"lease_time": 5, "schedule": "0,0.05,0.1,0.1,0.1,0.1"}
AHEAD: Final = (0, 60, -60)
PROMPTLY: Final = 15  # seconds: a delivery that waits for a wrong clock would take a minute
TOLERANCE: Final = 2_000  # ms: how far the time of an event may be from the true one
EACH: Final = 6


class Shifted(Postroom):
    """A server whose clock is ahead of the true time, by so many seconds."""

    def __init__(self, folder: Path, database: Url, ahead: int) -> None:
        super().__init__(folder / f"ahead{ahead}", {**SETTINGS, "database": database})
        self.ahead = ahead

    def _words(self) -> list[str]:
        script = self.data.with_suffix(".py")
        script.write_text(SHIFTED)
        return [sys.executable, str(script), str(self.ahead), *super()._words()[1:]]


@pytest.fixture
def servers(database: Url, tmp_path: Path) -> Iterator[list[Shifted]]:
    """One with the true time, one whose clock is a minute ahead, one a minute behind."""
    with ExitStack() as running:
        yield [running.enter_context(Shifted(tmp_path, database, ahead)) for ahead in AHEAD]


async def test_clocks_that_differ(
    servers: list[Shifted], organization: Organization, database: Url, receiver: Receiver
) -> None:
    """Whoever takes a message and whoever delivers it: it is prompt, and stamped with the common time."""
    begun = time.time_ns() // 1_000_000
    async with Client(servers[0].url, organization.key) as client:
        queue = await make_queue(client)
        owners = sorted(await shared(database, len(AHEAD)))
        hooks = [receiver.on(f"/hook/{owner}", Hesitant()) for owner in owners]
        listeners = [
            await listener_of(owner, client, database, queue, hook)
            for owner, hook in zip(owners, hooks, strict=True)
        ]
        loads = [Load(server.url, organization.key, queue, EACH) for server in servers]
        async with asyncio.TaskGroup() as group:
            for load in loads:
                group.create_task(load.run())
        accepted = [message for load in loads for message in load.accepted]
        for owner in owners:
            await receiver.received(f"/hook/{owner}", 2 * len(accepted), within=PROMPTLY)
            assert set(received(receiver, f"/hook/{owner}").values()) == {2}
        assert await closed(client, queue, listeners, accepted) == set(accepted)
        await same_everywhere(servers, organization, begun)
    for server in servers:
        assert await run_sync(server.terminate) == 0
    await run_sync(audit, database)


async def same_everywhere(servers: list[Shifted], organization: Organization, begun: int) -> None:
    """All processes tell the same events in the same order, at their true times, and count them alike."""
    now, seen = time.time_ns() // 1_000_000, []
    for server in servers:
        async with Client(server.url, organization.key) as client:
            assert await stats(client) == await counted_events(client)
            found: list[Any] = await pages(client, "/events?limit=7", "events")
            seen.append((found, await stats(client), await stats(client, "last_1_hours")))
    assert seen == [seen[0]] * len(servers)
    events, last_day, last_hour = seen[0]
    times = [event["stored_at"] for event in events]
    assert times == sorted(times)
    assert begun - TOLERANCE <= times[0] <= times[-1] <= now + TOLERANCE
    assert last_day == last_hour
    assert len({event["id"] for event in events}) == sum(last_day.values())
