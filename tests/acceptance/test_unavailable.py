"""A database that is held by somebody else: 503 with Retry-After, and all goes on once it is released."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.client import Client, attempts, counted, counts, make_listener, make_queue, send, stats
from tests.acceptance.conftest import Make
from tests.acceptance.house import DEADLINE, Organization, Postroom, audit, until
from tests.acceptance.receiver import Receiver, held
from tests.acceptance.refusal import everything

pytestmark = pytest.mark.anyio


@contextmanager
def write_lock(database: Path) -> Iterator[None]:
    """Hold the database's write lock, as another process would."""
    connection = sqlite3.connect(database, isolation_level=None, timeout=DEADLINE)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
    finally:
        connection.close()


async def test_writing_while_the_database_is_busy(client: Client, server: Postroom) -> None:
    """A write is answered with 503 and Retry-After; nothing is changed; reading goes on."""
    queue = await make_queue(client)
    before = await everything(client)
    with write_lock(server.database):
        for method, path, body in (
            ("POST", queue.messages, {"data": "hello"}),
            ("POST", "/queues", {"name": "busy"}),
            ("PUT", queue.path, {"name": "busy"}),
            ("DELETE", queue.path, None),
        ):
            answer = await client.call(method, path, body)
            answer.problem(503)
            assert int(answer.headers["retry-after"]) >= 1
        assert await everything(client) == before
    assert await everything(client) == before


async def test_service_resumes_by_itself(client: Client, server: Postroom) -> None:
    """Once the lock is released, the same request is taken."""
    queue = await make_queue(client)
    with write_lock(server.database):
        (await client.call("POST", queue.messages, {"data": "hello"})).problem(503)

    async def again() -> int:
        return (await client.call("POST", queue.messages, {"data": "hello"})).status

    await until(again, lambda status: status == 200)
    assert len((await client.get(queue.messages))["messages"]) == 1


async def test_readiness_follows_the_database(client: Client, server: Postroom) -> None:
    """GET /ready is 503 while the database cannot be written, GET /health stays 200."""

    async def ready() -> int:
        return (await client.raw("GET", "/ready", {})).status

    with write_lock(server.database):
        await until(ready, lambda status: status == 503)
        assert (await client.raw("GET", "/health", {})).status == 200
    await until(ready, lambda status: status == 200)


async def test_an_outcome_that_cannot_be_written_is_kept(
    start: Make, organization: Organization, receiver: Receiver
) -> None:
    """A delivery that is acknowledged while the database is busy is recorded once it is not."""
    server = start()
    async with Client(server.url, organization.key) as client:
        queue, gate = await make_queue(client), asyncio.Event()
        listener = await make_listener(client, queue, receiver.on("/hook", held(gate)))
        message = await send(client, queue)
        await receiver.received("/hook")
        with write_lock(server.database):
            gate.set()
            (await client.call("POST", "/queues", {"name": "busy"})).problem(503)
            assert (await counts(client, listener))["pending"] == 1
        await counted(client, listener, acknowledged=1, pending=0)
        assert {attempt["status"] for attempt in await attempts(client, queue, message)} == {200}
        assert (await stats(client))["message_published_ok"] == len(receiver.got("/hook"))
    assert server.terminate() == 0
    audit(server.data)
