"""Killed or stopped under load: nothing accepted is lost, little is repeated, the books balance."""

import asyncio
import random
from collections import Counter
from typing import Final

import pytest
from anyio.to_thread import run_sync

from tests.acceptance.books import HESITANT, PROMPT, arrived, closed, furnish, received
from tests.acceptance.client import Client, Queue, counted, make_listener, make_queue, pages, send
from tests.acceptance.conftest import ON_BOTH, Make
from tests.acceptance.house import DEADLINE, Organization, Postroom, audit
from tests.acceptance.load import Load
from tests.acceptance.receiver import Receiver, answer, hanging
from tests.acceptance.refusal import read_answer
from tests.support.home import Kind

pytestmark = [pytest.mark.anyio, ON_BOTH]

# One of several processes over PostgreSQL is killed as often in test_sharing.py.
ROUNDS: Final[dict[Kind, int]] = {"sqlite": 20, "postgresql": 5}
AT_ONCE: Final = 4
SETTINGS: Final = {"listener_concurrency": AT_ONCE, "schedule": "0,0.05,0.1,0.1,0.1,0.1"}


async def loaded(server: Postroom, organization: Organization, queue: Queue, kill_after: int) -> list[str]:
    """Kill the server as soon as so many messages were accepted; all that were."""
    load = Load(server.url, organization.key, queue, each=100)
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run())
        await load.reaches(kill_after)
        server.kill()
    return load.accepted


@pytest.mark.timeout(300)
async def test_killed_under_load(
    start: Make, database_kind: Kind, organization: Organization, receiver: Receiver
) -> None:
    """kill -9, again and again: all that was accepted is stored and delivered; little is repeated."""
    server, moments, rounds = start(SETTINGS), random.Random(20), ROUNDS[database_kind]
    async with Client(server.url, organization.key) as client:
        queue, listeners = await furnish(client, receiver)
    accepted: list[str] = []
    for number in range(rounds):
        accepted += await loaded(server, organization, queue, moments.randrange(80))
        if number % 5 == 4:
            await run_sync(audit, server.place)
        await run_sync(server.start)
    async with Client(server.url, organization.key) as client:
        assert len(accepted) > rounds
        arrived(receiver, await closed(client, queue, listeners, accepted), repeated=rounds * AT_ONCE)
    assert await run_sync(server.terminate) == 0
    await run_sync(audit, server.place)


async def test_stopped_under_load(start: Make, organization: Organization, receiver: Receiver) -> None:
    """SIGTERM: every request is answered or never begun, no accepted message is lost, none is sent twice."""
    server = start(SETTINGS)
    async with Client(server.url, organization.key) as client:
        queue, listeners = await furnish(client, receiver)
    load = Load(server.url, organization.key, queue, each=500)
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run())
        await load.reaches(200)
        assert await run_sync(server.terminate) == 0
    assert load.cut == 0
    assert set(load.refused) <= {503}
    await run_sync(audit, server.place)
    await run_sync(server.start)
    async with Client(server.url, organization.key) as client:
        stored = {message["id"] for message in await pages(client, queue.messages, "messages")}
        assert stored == set(load.accepted)
        for listener in listeners:
            await counted(client, listener, acknowledged=len(stored), pending=0)
    assert received(receiver, PROMPT) == Counter(dict.fromkeys(stored, 1))
    assert received(receiver, HESITANT) == Counter(dict.fromkeys(stored, 2))


async def test_stopped_in_the_middle_of_a_request(start: Make, organization: Organization) -> None:
    """A request that has begun to arrive when SIGTERM comes is answered, and what is answered holds."""
    server = start()
    async with Client(server.url, organization.key) as client:
        queue = await make_queue(client)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        head = f"POST {queue.messages} HTTP/1.1\r\nHost: hub\r\nX-API-KEY: {organization.key}\r\n"
        head += "Content-Type: application/json\r\nContent-Length: 15\r\n\r\n"
        writer.write(head.encode() + b'{"data": ')
        await writer.drain()
        await send(client, queue)
    async with asyncio.TaskGroup() as group:
        stopping = group.create_task(run_sync(server.terminate))
        await refuses(server.port)
        writer.write(b'"abc"}')
        async with asyncio.timeout(DEADLINE):
            status, _, _ = await read_answer(reader)
        writer.close()
    assert stopping.result() == 0
    assert status in (200, 503)
    await run_sync(server.start)
    async with Client(server.url, organization.key) as client:
        assert len((await client.get(queue.messages))["messages"]) == (2 if status == 200 else 1)


async def refuses(port: int) -> None:
    """Wait until nobody listens at the port any more, or requests are refused: the stop is under way."""
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionError:
                return
            writer.close()
            await asyncio.sleep(0.02)


async def test_stopped_with_a_request_under_way(
    start: Make, organization: Organization, receiver: Receiver
) -> None:
    """A receiver that hangs does not keep the server from stopping; its delivery is made after that."""
    server = start({"stop_timeout": 0.3, "delivery_timeout": 600})
    async with Client(server.url, organization.key) as client:
        queue = await make_queue(client)
        listener = await make_listener(client, queue, receiver.on("/hook", hanging()))
        message = await send(client, queue)
        await receiver.received("/hook")
    assert await run_sync(server.terminate) == 0
    await run_sync(audit, server.place)
    receiver.on("/hook", answer())
    await run_sync(server.start)
    async with Client(server.url, organization.key) as client:
        await counted(client, listener, accepted=1, acknowledged=1)
    assert set(received(receiver, "/hook")) == {message}


async def test_stopped_with_a_request_that_never_ends(start: Make, organization: Organization) -> None:
    """Neither half a request nor an idle connection keeps the server from stopping."""
    server = start({"stop_timeout": 0.3})
    async with Client(server.url, organization.key) as client:
        queue = await make_queue(client)
        _, half = await asyncio.open_connection("127.0.0.1", server.port)
        half.write(f"POST {queue.messages} HTTP/1.1\r\nHost: hub\r\nContent-Length: 15\r\n".encode())
        half.write(f"X-API-KEY: {organization.key}\r\nContent-Type: application/json\r\n\r\n".encode())
        _, idle = await asyncio.open_connection("127.0.0.1", server.port)
        await send(client, queue)
        assert await run_sync(server.terminate) == 0
        half.close()
        idle.close()
    await run_sync(audit, server.place)
