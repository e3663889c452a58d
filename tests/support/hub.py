"""A Hub at work in a home of its own, and words for what a test does with it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from postroom.domain.clock import SECOND, Clock, HeldClock, system_clock
from postroom.domain.delivery import Attempt, Owed
from postroom.domain.errors import Unavailable
from postroom.domain.listener import Counts, Listener
from postroom.domain.retry import Policy
from postroom.service.hub import Hub
from tests.acceptance.house import until
from tests.support.home import Beside, Home, PostgresHome, Row, Value

NOWHERE = "http://192.0.2.1/"  # an address that exists for documentation only; nothing is sent there
STEADY = Policy((0, 1_000, 60_000), jitter=0)
LEASE = 10 * SECOND

_numbers = itertools.count(1)


def unique(word: str) -> str:
    """A name that no other call gives."""
    return f"{word} {next(_numbers)}"


@asynccontextmanager
async def opened(
    home: Home,
    clock: Clock = system_clock,
    *,
    holder: str | None = None,
    lease: int = LEASE,
    killed: asyncio.Event | None = None,
    policy: Policy = STEADY,
    chance: Callable[[], float] = lambda: 0.5,
) -> AsyncIterator[Hub]:
    """The services over the home's database, with the ledger at work, as one process has them.

    Several that are opened at once are several processes; one that is `killed` leaves its series as they are.
    """
    database = await home.open()
    try:
        who = holder or unique("process"), lease
        hub = Hub(database, HeldClock(clock), *who, flushers=home.flushers, policy=policy, chance=chance)
        await hub.prepare()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(hub.ledger.run())
            try:
                yield hub
            finally:
                hub.ledger.close()
        if killed is None or not killed.is_set():
            with suppress(Unavailable):
                await hub.ledger.leave()
    finally:
        await database.close()


def beside(home: Home) -> AbstractContextManager[Beside]:
    """A connection of somebody else to the same database."""
    return home.beside()


def rows(home: Home, sql: str, *params: Value) -> list[Row]:
    """What is in the database."""
    return home.rows(sql, *params)


def execute(home: Home, sql: str, *params: Value) -> None:
    """Change the database behind everybody's back."""
    home.rows(sql, *params)


async def blocked(home: PostgresHome, words: str, count: int = 1) -> None:
    """Wait until so many statements wait for others' locks, and one of them has these words."""
    waiting = (
        "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    def good(found: list[Row]) -> bool:
        return len(found) >= count and any(words in query for (query,) in found)

    await until(lambda: asyncio.to_thread(home.rows, waiting), good)


@dataclass(frozen=True)
class Place:
    """An organization with one queue."""

    hub: Hub
    org_id: str
    queue_id: str

    async def listener(self, notify_url: str = NOWHERE, liveness_url: str = NOWHERE) -> Listener:
        """A new listener of the queue."""
        name = unique("listener")
        return await self.hub.listeners.create(self.org_id, self.queue_id, name, notify_url, liveness_url)

    async def send(self, data: str = "hello") -> str:
        """Accept a message; its id."""
        return await self.hub.messages.accept(self.org_id, self.queue_id, data)

    async def send_many(self, count: int) -> list[str]:
        """Accept messages that arrive together; their data are "0", "1" and so on."""
        accepting = (self.send(str(number)) for number in range(count))
        return list(await asyncio.gather(*accepting))

    async def counts(self, listener: Listener) -> Counts:
        """What became of a listener's deliveries."""
        return (await self.hub.listeners.report(listener)).counts

    async def missed(self, listener: Listener) -> list[str]:
        """The messages shown as missed."""
        return (await self.hub.listeners.report(listener)).missed

    async def due(self, listener: Listener, limit: int = 10_000) -> list[Owed]:
        """The listener's deliveries that are due now."""
        return (await self.hub.deliveries.due(self.org_id, listener.id, limit)).some

    async def next_due(self, listener: Listener) -> int | None:
        """When the next one after now is due, ms."""
        return (await self.hub.deliveries.due(self.org_id, listener.id, 1)).next

    async def try_all(self, listener: Listener, status: int = 200) -> None:
        """One attempt for everything that is due now, each answered with `status`."""
        await asyncio.gather(
            *(attempted(self.hub, listener, owed, status) for owed in await self.due(listener))
        )


async def place(hub: Hub, time_zone: str = "UTC") -> Place:
    """A new organization with a queue."""
    organization = await hub.organizations.create(unique("organization"), time_zone)
    queue = await hub.queues.create(organization.id, unique("queue"))
    return await place_of(hub, organization.id, queue.id)


async def place_of(hub: Hub, org_id: str, queue_id: str) -> Place:
    """The same for another process: it knows the queue, so that what is sent together arrives together."""
    await hub.queues.get(org_id, queue_id)
    return Place(hub, org_id, queue_id)


def answered(listener: Listener, owed: Owed, at: int, status: int | None = 200, duration: int = 7) -> Attempt:
    """An attempt that was answered with `status`, or with nothing."""
    error = "timeout" if status is None else None if 200 <= status < 300 else "status"
    return Attempt(listener.id, owed.attempts + 1, at, duration, status, error, b"answer")


async def attempted(hub: Hub, listener: Listener, owed: Owed, status: int | None = 200) -> None:
    """Settle an attempt made now."""
    made = answered(listener, owed, hub.clock(), status)
    await hub.deliveries.settle(hub.deliveries.outcome(listener, owed, made, None))


def listed(items: Sequence[Any], field: str = "name") -> list[Any]:
    """One field of each."""
    return [getattr(item, field) for item in items]
