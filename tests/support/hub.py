"""A Hub at work on a file of its own, and words for what a test does with it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import apsw

from postroom.domain.clock import Clock, HeldClock, system_clock
from postroom.domain.delivery import Attempt, Owed
from postroom.domain.listener import Counts, Listener
from postroom.domain.retry import Policy
from postroom.service.hub import Hub
from postroom.store.migrate import migrate
from postroom.store.sqlite import SqliteDatabase

Row = tuple[Any, ...]

NOWHERE = "http://192.0.2.1/"  # an address that exists for documentation only; nothing is sent there
STEADY = Policy((0, 1_000, 60_000), jitter=0)

_numbers = itertools.count(1)


def unique(word: str) -> str:
    """A name that no other call gives."""
    return f"{word} {next(_numbers)}"


@cache
def _template() -> bytes:
    """The content of a new database, made once."""
    with TemporaryDirectory() as folder:
        migrate(Path(folder) / "postroom.db", system_clock)
        return (Path(folder) / "postroom.db").read_bytes()


def database_file(folder: Path) -> Path:
    """The database of the data directory `folder`, made if there is none."""
    path = folder / "postroom.db"
    if not path.exists():
        path.write_bytes(_template())
    return path


@asynccontextmanager
async def opened(
    folder: Path,
    clock: Clock = system_clock,
    *,
    series: int = 0,
    policy: Policy = STEADY,
    chance: Callable[[], float] = lambda: 0.5,
) -> AsyncIterator[Hub]:
    """The services over the database in `folder`, with the ledger at work, as one process has them.

    Series 0 is the server's, series 1 that of commands.
    """
    database = SqliteDatabase(database_file(folder))
    try:
        hub = Hub(database, HeldClock(clock), series=series, alone=series == 0, policy=policy, chance=chance)
        await hub.prepare()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(hub.ledger.run())
            try:
                yield hub
            finally:
                hub.ledger.close()
    finally:
        await database.close()


@contextmanager
def beside(folder: Path) -> Iterator[apsw.Connection]:
    """A connection of somebody else to the same file."""
    connection = apsw.Connection(str(database_file(folder)))
    try:
        yield connection
    finally:
        connection.close()


def rows(folder: Path, sql: str, *params: str | int) -> list[Row]:
    """What is in the file."""
    with beside(folder) as connection:
        return list(connection.execute(sql, params))


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
        return (await self.hub.deliveries.due(self.org_id, listener.id, limit))[0]

    async def next_due(self, listener: Listener) -> int | None:
        """When the next one after now is due, ms."""
        return (await self.hub.deliveries.due(self.org_id, listener.id, 1))[1]

    async def try_all(self, listener: Listener, status: int = 200) -> None:
        """One attempt for everything that is due now, each answered with `status`."""
        await asyncio.gather(
            *(attempted(self.hub, listener, owed, status) for owed in await self.due(listener))
        )


async def place(hub: Hub, time_zone: str = "UTC") -> Place:
    """A new organization with a queue."""
    organization = await hub.organizations.create(unique("organization"), time_zone)
    queue = await hub.queues.create(organization.id, unique("queue"))
    return Place(hub, organization.id, queue.id)


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
