"""Several processes over one PostgreSQL: they share the work, and lose nothing when one of them goes."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from anyio.to_thread import run_sync

from postroom.domain.listener import slot_of
from tests.acceptance.beside import rows
from tests.acceptance.books import arrived, closed, furnish, listener_of, serving, shared
from tests.acceptance.client import (
    Client,
    Listener,
    Queue,
    counted,
    make_listener,
    make_queue,
    pages,
    send,
    send_many,
    unique,
)
from tests.acceptance.conftest import ON_POSTGRESQL, Make
from tests.acceptance.house import (
    LOOPBACK,
    Organization,
    Postroom,
    Url,
    audit,
    make_organization,
    until,
)
from tests.acceptance.load import Load
from tests.acceptance.receiver import Receiver, held
from tests.support.postgres import Server

pytestmark = [pytest.mark.anyio, ON_POSTGRESQL]

ROUNDS: Final = 20
AT_ONCE: Final = 4
DEFAULT: Final = 10  # seconds: the lease time of an installation that says nothing
LEASE: Final = {"lease_time": 2}
LONG: Final = {"lease_time": 20}
PATIENT: Final = {**LONG, "stop_timeout": 600, "delivery_timeout": 600}
LOADED: Final = {**LEASE, "listener_concurrency": AT_ONCE, "schedule": "0,0.05,0.1,0.1,0.1,0.1"}


async def at_once(*servers: Postroom) -> None:
    """Start all at the same time."""
    async with asyncio.TaskGroup() as group:
        for server in servers:
            group.create_task(run_sync(server.start))


async def test_started_at_once_on_an_empty_database(
    postgres: Server, tmp_path: Path, receiver: Receiver
) -> None:
    """Processes that find nothing all get ready, over one schema, and share the work."""
    name = unique("empty")
    postgres.create(name)
    database = Url(postgres.url(name))
    settings = {**LONG, "database": database}
    servers = [Postroom(tmp_path / "server", settings, (LOOPBACK,)) for _ in range(3)]
    try:
        await at_once(*servers)
        await shared(database, 3)
        applied = rows(database, "SELECT number, count(*) FROM migrations GROUP BY number ORDER BY number")
        assert applied == [(number, 1) for number in range(1, len(applied) + 1)]
        organization = await run_sync(make_organization, database)
        await delivers_whatever_is_sent(servers, organization, receiver)
        for server in servers:
            assert await run_sync(server.terminate) == 0
        assert await serving(database) == {}
        await run_sync(audit, database)
    finally:
        for server in servers:
            server.kill()
        postgres.drop(name)


async def delivers_whatever_is_sent(
    servers: list[Postroom], organization: Organization, receiver: Receiver
) -> None:
    """Whichever process takes a message, each of many listeners is sent it once."""
    async with Client(servers[0].url, organization.key) as client:
        queue = await make_queue(client)
        listeners = [await make_listener(client, queue, receiver.url(f"/{n}")) for n in range(8)]
        sent = []
        for server in servers:
            async with Client(server.url, organization.key) as other:
                sent += await send_many(other, queue, 5)
        assert await closed(client, queue, listeners, sent) == set(sent)
    for number in range(8):
        assert sorted(one.message_id for one in receiver.got(f"/{number}")) == sorted(sent)


async def test_a_killed_ones_work_moves(
    start: Make, organization: Organization, database: Url, receiver: Receiver
) -> None:
    """A new process takes its share; within 15 s after kill -9 another one does its work."""
    first = start({"lease_time": DEFAULT})
    async with Client(first.url, organization.key) as client:
        alone = await shared(database, 1)
        second = start({"lease_time": DEFAULT})
        (other,) = await shared(database, 2) - alone
        queue = await make_queue(client)
        listener = await listener_of(other, client, database, queue, receiver.url("/hook"))
        await send(client, queue)
        await counted(client, listener, acknowledged=1)
        second.kill()
        await send(client, queue)
        await receiver.received("/hook", 2, within=15)
        await counted(client, listener, acknowledged=2)
        await shared(database, 1)
    await run_sync(audit, database)


async def test_a_stopping_one_hands_over_at_once(
    start: Make, organization: Organization, database: Url, receiver: Receiver
) -> None:
    """Whoever stops gives up its slots; nobody waits until its lease ends, and nothing is sent twice."""
    first = start(LONG)
    async with Client(first.url, organization.key) as client:
        alone = await shared(database, 1)
        second = start(LONG)
        (other,) = await shared(database, 2) - alone
        queue = await make_queue(client)
        listener = await listener_of(other, client, database, queue, receiver.url("/hook"))
        load = Load(second.url, organization.key, queue)
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run())
            await load.reaches(100)
            assert await run_sync(second.terminate) == 0
        last = await send(client, queue)
        assert await shared(database, 1, within=10) == alone
        stored = await closed(client, queue, [listener], [*load.accepted, last])
    assert sorted(one.message_id for one in receiver.got("/hook")) == sorted(stored)
    await run_sync(audit, database)


async def test_a_stopping_one_hands_over_though_one_listener_hangs(
    start: Make, organization: Organization, database: Url, receiver: Receiver
) -> None:
    """The others deliver to the rest while it still waits, and to that listener when it has answered."""
    first, second, gate = start(PATIENT), start(PATIENT), asyncio.Event()
    async with Client(first.url, organization.key) as client:
        others = await shared(database, 2)
        stopping = start(PATIENT)
        (own,) = await shared(database, 3) - others
        here, there = await make_queue(client), await make_queue(client)
        hanging = await listener_of(own, client, database, here, receiver.on("/hanging", held(gate)))
        make = partial(listener_of, own, client, database, there, receiver.url("/healthy"))
        healthy = await apart(client, hanging, make)
        sent = [await send(client, here)]
        await receiver.received("/hanging")
        stopping.process.send_signal(signal.SIGTERM)
        sent += [await send(client, here), await send(client, there)]
        await receiver.received("/healthy")
        assert stopping.process.poll() is None
        gate.set()
        assert await run_sync(stopping.wait) == 0
        await counted(client, hanging, acknowledged=2)
        await counted(client, healthy, acknowledged=1)
        assert await shared(database, 2) == others
    found = [[one.message_id for one in receiver.got(path)] for path in ("/hanging", "/healthy")]
    assert found == [sent[:2], sent[2:]]
    assert await second.stop() == 0
    await run_sync(audit, database)


async def apart(client: Client, listener: Listener, make: Callable[[], Awaitable[Listener]]) -> Listener:
    """Another listener, which does not share its slot."""
    other = await make()
    while slot_of(other.id) == slot_of(listener.id):
        await client.delete(other.path)
        other = await make()
    return other


async def test_changes_reach_the_other(start: Make, organization: Organization, receiver: Receiver) -> None:
    """What is done to keys, queues and listeners in one process holds in the other, soon and by itself."""
    first, second = start(LEASE), start(LEASE)
    async with Client(first.url, organization.key) as here, Client(second.url, organization.key) as there:
        queue = await make_queue(here)
        listener = await make_listener(here, queue, receiver.url("/before"))
        await send(there, queue)
        await receiver.received("/before")
        await key_is_disabled(here, second)
        await here.put(listener.path, notify_url=receiver.url("/after"))
        await sent_to(there, queue, receiver, "/after")
        await here.put(queue.path, schema={"n": {"type": "number"}})
        await becomes(there, queue, 422)
        await here.delete(queue.path)
        await becomes(there, queue, 404)
        assert (await there.call("GET", listener.path)).status == 404
    for server in (first, second):
        assert await run_sync(server.terminate) == 0
    await run_sync(audit, first.place)


async def key_is_disabled(here: Client, second: Postroom) -> None:
    """A key that was used at the second process is of no use there once it is disabled at the first."""
    secret = (await here.post("/api_keys", name="doomed"))["api_key"]
    key = next(key for key in (await here.get("/api_keys"))["api_keys"] if key["name"] == "doomed")
    async with Client(second.url, secret) as doomed:

        async def look() -> int:
            return (await doomed.call("GET", "/queues")).status

        await until(look, lambda status: status == 200, within=5)
        await here.put(f"/api_keys/{key['id']}", status="disabled")
        await until(look, lambda status: status == 401, within=5)


async def becomes(there: Client, queue: Queue, status: int) -> None:
    """Sending comes to be answered with this status."""

    async def look() -> int:
        return (await there.call("POST", queue.messages, {"data": "hello"})).status

    await until(look, lambda seen: seen == status, within=5)


async def sent_to(there: Client, queue: Queue, receiver: Receiver, path: str) -> None:
    """What is sent comes to arrive at this path."""

    async def look() -> int:
        await send(there, queue)
        return len(receiver.got(path))

    await until(look, bool, within=5)


@pytest.mark.timeout(300)
async def test_one_is_killed_again_and_again(
    start: Make, organization: Organization, database: Url, receiver: Receiver
) -> None:
    """kill -9 of one under load, the other going on: nothing is lost, no count is, little is repeated."""
    servers, moments = [start(LOADED), start(LOADED)], random.Random(21)
    async with Client(servers[0].url, organization.key) as client:
        queue, listeners = await furnish(client, receiver)
    accepted: list[str] = []
    for number in range(ROUNDS):
        victim = servers[number % 2]
        accepted += await one_round(servers, victim, organization, queue, moments.randrange(70))
        if number % 10 == 9:
            await run_sync(audit, database)
    async with Client(servers[0].url, organization.key) as client:
        assert len(accepted) > 10 * ROUNDS
        stored = await closed(client, queue, listeners, accepted)
    arrived(receiver, stored, repeated=ROUNDS * AT_ONCE)
    await shared(database, 2)
    for server in servers:
        assert await run_sync(server.terminate) == 0
    await run_sync(audit, database)


async def one_round(
    servers: list[Postroom], victim: Postroom, organization: Organization, queue: Queue, kill_after: int
) -> list[str]:
    """Kill one when it has accepted so many, and start it again; all that was accepted by all."""
    loads = {server: Load(server.url, organization.key, queue, each=10) for server in servers}
    async with asyncio.TaskGroup() as group:
        for load in loads.values():
            group.create_task(load.run())
        await loads[victim].reaches(kill_after)
        victim.kill()
        await run_sync(victim.start)
    assert not any(load.refused for load in loads.values())
    assert all(loads[server].unanswered == 0 for server in servers if server is not victim)
    return [message for load in loads.values() for message in load.accepted]


async def test_a_follower_misses_nothing(start: Make, organization: Organization, receiver: Receiver) -> None:
    """Who asks again and again for what came after the last event that he saw, gets all of all processes."""
    servers = [start({**LOADED, **LONG}), start({**LOADED, **LONG})]
    async with Client(servers[0].url, organization.key) as client:
        queue, listeners = await furnish(client, receiver)
        loads = [Load(server.url, organization.key, queue, each=20) for server in servers]
        seen: list[str] = []
        async with asyncio.TaskGroup() as group:
            following = group.create_task(follow(client, seen))
            async with asyncio.TaskGroup() as sending:
                for load in loads:
                    sending.create_task(load.run())
            await closed(client, queue, listeners, [message for load in loads for message in load.accepted])
            every = [event["id"] for event in await pages(client, "/events?limit=1000", "events")]
            await ends_with(seen, every[-1])
            following.cancel()
    assert seen == every


async def follow(client: Client, seen: list[str]) -> None:
    """Ask for more until cancelled."""
    after = ""
    while True:
        events = (await client.get(f"/events?limit=1000{after}"))["events"]
        seen += [event["id"] for event in events]
        if events:
            after = f"&startAfter={events[-1]['stored_at']}&startAfterId={events[-1]['id']}"


async def ends_with(seen: list[str], last: str) -> None:
    """Wait until the last one was seen."""

    async def look() -> str:
        return seen[-1]

    await until(look, lambda one: one == last)
