"""A database that is held by somebody else: 503 with Retry-After, and all goes on once it is released."""

import asyncio

import pytest
from anyio.to_thread import run_sync

from tests.acceptance.beside import write_lock
from tests.acceptance.client import Client, attempts, counted, counts, make_listener, make_queue, send, stats
from tests.acceptance.conftest import ON_BOTH, Make
from tests.acceptance.house import Organization, Postroom, audit, until
from tests.acceptance.receiver import Receiver, held
from tests.acceptance.refusal import everything
from tests.support.home import Kind

pytestmark = [pytest.mark.anyio, ON_BOTH]


async def refused(client: Client, method: str, path: str, body: object = None) -> None:
    """The request is answered with 503 and Retry-After."""
    answer = await client.call(method, path, body)
    answer.problem(503)
    assert int(answer.headers["retry-after"]) >= 1


async def test_writing_while_the_database_is_held(
    client: Client, server: Postroom, database_kind: Kind
) -> None:
    """A write is answered with 503 and Retry-After; nothing is changed; reading goes on."""
    queue = await make_queue(client)
    before = await everything(client)
    with write_lock(server.place):
        async with asyncio.TaskGroup() as group:
            group.create_task(refused(client, "POST", queue.messages, {"data": "hello"}))
            group.create_task(refused(client, "DELETE", queue.path))
            # On a server each waits for the lock, but not for all the others before it.
            for _ in range(20 if database_kind == "postgresql" else 0):
                group.create_task(refused(client, "POST", "/queues", {"name": "busy"}))
        assert await everything(client) == before
    assert await everything(client) == before


async def test_service_resumes_by_itself(client: Client, server: Postroom) -> None:
    """GET /ready is 503 while the database cannot be written, GET /health stays 200; then all goes on."""
    queue = await make_queue(client)

    async def ready() -> int:
        return (await client.raw("GET", "/ready", {})).status

    async def again() -> int:
        return (await client.call("POST", queue.messages, {"data": "hello"})).status

    with write_lock(server.place):
        await until(ready, lambda status: status == 503)
        assert (await client.raw("GET", "/health", {})).status == 200
    await until(ready, lambda status: status == 200)
    await until(again, lambda status: status == 200)
    assert len((await client.get(queue.messages))["messages"]) == 1


async def test_an_outcome_that_cannot_be_written_is_kept(
    start: Make, organization: Organization, receiver: Receiver
) -> None:
    """A delivery that is acknowledged while the database is held is recorded once it is not."""
    server = start()
    async with Client(server.url, organization.key) as client:
        queue, gate = await make_queue(client), asyncio.Event()
        listener = await make_listener(client, queue, receiver.on("/hook", held(gate)))
        message = await send(client, queue)
        await receiver.received("/hook")
        with write_lock(server.place):
            gate.set()
            await refused(client, "POST", "/queues", {"name": "busy"})
            assert (await counts(client, listener))["pending"] == 1
        await counted(client, listener, acknowledged=1, pending=0)
        assert {attempt["status"] for attempt in await attempts(client, queue, message)} == {200}
        assert (await stats(client))["message_published_ok"] == len(receiver.got("/hook"))
    assert await run_sync(server.terminate) == 0
    await run_sync(audit, server.place)
