"""A network that fails between a process and its database, while another process goes on beside it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Final

import pytest
from anyio.to_thread import run_sync

from tests.acceptance.books import arrived, closed, furnish, listener_of, shared
from tests.acceptance.client import Client, Listener, Queue, counted, make_queue, send, stats
from tests.acceptance.conftest import ON_POSTGRESQL, Make
from tests.acceptance.house import Organization, Postroom, Url, audit, until
from tests.acceptance.load import Load
from tests.acceptance.receiver import Receiver, answer, held
from tests.support.postgres import Server
from tests.support.proxy import Proxy

pytestmark = [pytest.mark.anyio, ON_POSTGRESQL]

AT_ONCE: Final = 4
SETTINGS: Final = {
    "lease_time": 2,
    "listener_concurrency": AT_ONCE,
    "schedule": "0,0.05,0.1,0.1,0.1,0.1",
}
# Seconds until the last answer: a statement has 20 until its connection is given up.
LONGEST: Final = 30.0


@dataclass
class Pair:
    """Two processes over one database, one of which reaches it over a network that the test controls."""

    far: Postroom
    near: Postroom
    network: Proxy
    database: Url
    organization: Organization
    far_id: str  # as the database knows it

    async def ready(self) -> int:
        """What the far process says of itself."""
        async with Client(self.far.url, self.organization.key) as client:
            return (await client.raw("GET", "/ready", {})).status

    async def alone(self) -> None:
        """Wait until the near process does all the work."""
        await shared(self.database, 1)

    async def both(self) -> None:
        """Wait until the far process is back."""
        await until(self.ready, lambda status: status == 200)
        await shared(self.database, 2)


@pytest.fixture
def network(postgres: Server) -> Iterator[Proxy]:
    """The way from the far process to the database."""
    with Proxy("127.0.0.1", postgres.port) as proxy:
        yield proxy


@pytest.fixture
async def pair(
    network: Proxy, start: Make, postgres: Server, database: Url, organization: Organization
) -> AsyncIterator[Pair]:
    """Both at work; at the end both stop as they should, and the audit finds nothing."""
    name = database.rpartition("/")[2]
    far = start({**SETTINGS, "database": postgres.url(name, network.port)})
    (far_id,) = await shared(database, 1)
    pair = Pair(far, start(SETTINGS), network, database, organization, far_id)
    await pair.both()
    yield pair
    for server in (pair.far, pair.near):
        assert await run_sync(server.terminate) == 0
        assert "Traceback" not in server.stderr
    await run_sync(audit, database)


class Loaded:
    """Load on both, and what must hold of it at the end."""

    def __init__(self, pair: Pair, queue: Queue) -> None:
        self.far = Load(pair.far.url, pair.organization.key, queue, pause=0.1)
        self.near = Load(pair.near.url, pair.organization.key, queue, pause=0.1)
        self.pair, self.queue = pair, queue

    def begin(self, group: asyncio.TaskGroup) -> None:
        for load in (self.far, self.near):
            group.create_task(load.run())

    async def check(self, client: Client, receiver: Receiver, listeners: list[Listener]) -> None:
        """End the load: only what could not be done was refused, in time; nothing was lost or done twice."""
        for load in (self.far, self.near):
            await load.stop()
            assert set(load.refused) <= {503}
            assert (load.unanswered, load.cut) == (0, 0)
            assert load.slowest < LONGEST
        assert not self.near.refused
        accepted = self.far.accepted + self.near.accepted
        stored = await closed(client, self.queue, listeners, accepted)
        # Of a refused message it may not be known whether it was stored.
        assert len(stored) - len(accepted) <= self.far.refused[503]
        # What the far process had under way it does again, or the near one does it for it.
        arrived(receiver, stored, repeated=4 * AT_ONCE)


async def through(pair: Pair, receiver: Receiver, trouble: str) -> None:
    """The trouble comes under load and passes; the far process refuses what it cannot do, and recovers."""
    async with Client(pair.near.url, pair.organization.key) as client:
        queue, listeners = await furnish(client, receiver)
        loaded = Loaded(pair, queue)
        async with asyncio.TaskGroup() as group:
            loaded.begin(group)
            await loaded.far.goes_on()
            getattr(pair.network, trouble)()
            await loaded.far.is_refused(8)
            await until(pair.ready, lambda status: status == 503)
            await pair.alone()
            await loaded.near.goes_on()
            pair.network.heal()
            await loaded.far.goes_on()
            await pair.both()
            await loaded.check(client, receiver, listeners)


async def test_cut_off(pair: Pair, receiver: Receiver) -> None:
    """Cut off from the database a process answers 503, and does its work again when it is not."""
    await through(pair, receiver, "cut")


async def test_a_black_hole(pair: Pair, receiver: Receiver) -> None:
    """So too when the network says nothing at all: every request is answered all the same."""
    await through(pair, receiver, "stall")


async def test_commits_without_an_answer(pair: Pair, receiver: Receiver) -> None:
    """Where it is not known whether a commit was made, it is not made twice, and nothing is counted twice."""
    async with Client(pair.near.url, pair.organization.key) as client:
        queue, listeners = await furnish(client, receiver)
        loaded = Loaded(pair, queue)
        async with asyncio.TaskGroup() as group:
            loaded.begin(group)
            for _ in range(5):
                await loaded.far.goes_on()
                pair.network.stall_answers(to=b"message ")  # what is accepted is one statement
                assert await run_sync(pair.network.held.wait, 10)
                pair.network.cut()
                pair.network.heal()
            await loaded.far.goes_on()
            await pair.both()
            await loaded.check(client, receiver, listeners)


async def test_a_delivery_under_way(pair: Pair, receiver: Receiver) -> None:
    """A delivery whose outcome cannot be written is another process's after the lease, and counts once."""
    async with Client(pair.near.url, pair.organization.key) as client:
        queue, gate = await make_queue(client), asyncio.Event()
        hook = receiver.on("/hook", held(gate), answer())
        listener = await listener_of(pair.far_id, client, pair.database, queue, hook)
        message = await send(client, queue)
        await receiver.received("/hook")
        pair.network.cut()
        gate.set()
        await receiver.received("/hook", 2)
        await counted(client, listener, acknowledged=1, accepted=1)
        pair.network.heal()
        await pair.both()
        await until(lambda: stats(client), lambda seen: seen["message_published_ok"] == 2)
        await counted(client, listener, acknowledged=1, accepted=1)
    assert {one.message_id for one in receiver.got("/hook")} == {message}
