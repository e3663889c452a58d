"""Deleting a message, a listener or a queue ends what is pending and counts it as discarded."""

import asyncio

import pytest
from anyio.to_thread import run_sync

from tests.acceptance.client import (
    Client,
    Listener,
    Queue,
    attempted,
    counted,
    counts,
    make_listener,
    make_queue,
    send,
    send_many,
    stats,
)
from tests.acceptance.conftest import ON_BOTH, Make
from tests.acceptance.house import Organization, Postroom, audit
from tests.acceptance.receiver import Receiver, answer, held

pytestmark = [pytest.mark.anyio, ON_BOTH]

# The second attempt is due when a test has had time to prevent it, the third never within a test.
SLOW = {"schedule": "0,1.5,600"}


async def once_failed(client: Client, receiver: Receiver, path: str) -> tuple[Queue, Listener, str]:
    """A delivery that waits for its second attempt."""
    queue = await make_queue(client)
    listener = await make_listener(client, queue, receiver.on(path, answer(500)))
    message = await send(client, queue)
    await attempted(client, queue, message, 1)
    return queue, listener, message


async def later(client: Client, receiver: Receiver) -> None:
    """A delivery begun now has made its second attempt: so would have any that was begun before."""
    queue, _, message = await once_failed(client, receiver, "/later")
    await attempted(client, queue, message, 2)


async def test_deleting_a_message_discards_its_deliveries(
    start: Make, organization: Organization, receiver: Receiver
) -> None:
    """A deleted message is discarded for those who have not got it, and tried no more."""
    server = start(SLOW)
    async with Client(server.url, organization.key) as client:
        queue, listener, message = await once_failed(client, receiver, "/hook")
        await client.delete(f"{queue.messages}/{message}")
        assert await counts(client, listener) == {
            "accepted": 1,
            "discarded": 1,
            "pending": 0,
            "acknowledged": 0,
            "missed": 0,
        }
        await later(client, receiver)
        assert len(receiver.got("/hook")) == 1
    assert await server.stop() == 0
    audit(server.place)


async def test_deleting_a_delivered_message_changes_no_count(client: Client, receiver: Receiver) -> None:
    """What was acknowledged or missed stays so when the message is deleted."""
    queue = await make_queue(client)
    good = await make_listener(client, queue, receiver.url("/good"))
    bad = await make_listener(client, queue, receiver.on("/bad", answer(500)))
    message = await send(client, queue)
    await counted(client, good, acknowledged=1)
    await counted(client, bad, missed=1)
    await client.delete(f"{queue.messages}/{message}")
    await counted(client, good, accepted=1, acknowledged=1, discarded=0)
    await counted(client, bad, accepted=1, missed=1, discarded=0)


async def test_deleting_a_message_that_is_under_way(
    start: Make, organization: Organization, receiver: Receiver
) -> None:
    """Deleted while its request is under way, a delivery is still counted once."""
    server = start()
    async with Client(server.url, organization.key) as client:
        queue, gate = await make_queue(client), asyncio.Event()
        listener = await make_listener(client, queue, receiver.on("/held", held(gate)))
        message = await send(client, queue)
        await receiver.received("/held")
        await client.delete(f"{queue.messages}/{message}")
        gate.set()
        await send(client, queue)
        seen = await counted(client, listener, accepted=2, pending=0)
        assert seen["acknowledged"] in (1, 2)
        assert seen["missed"] == 0
    assert await server.stop() == 0
    audit(server.place)


async def test_deleting_a_listener(start: Make, organization: Organization, receiver: Receiver) -> None:
    """A deleted listener is sent nothing more; the other listeners of the queue are."""
    server = start(SLOW)
    async with Client(server.url, organization.key) as client:
        queue, listener, _ = await once_failed(client, receiver, "/hook")
        other = await make_listener(client, queue, receiver.url("/other"))
        await client.delete(listener.path)
        await send_many(client, queue, 3)
        await counted(client, other, accepted=3, acknowledged=3)
        await later(client, receiver)
        assert len(receiver.got("/hook")) == 1
        assert len((await client.get(queue.messages))["messages"]) == 4
    assert await server.stop() == 0
    audit(server.place)


async def test_deleting_a_listener_with_requests_under_way(
    start: Make, organization: Organization, receiver: Receiver
) -> None:
    """Deleted while requests are under way and more are pending, the books balance all the same."""
    server = start({"listener_concurrency": 2})
    async with Client(server.url, organization.key) as client:
        queue, gate = await make_queue(client), asyncio.Event()
        listener = await make_listener(client, queue, receiver.on("/held", held(gate)))
        await send_many(client, queue, 20)
        await receiver.received("/held", 2)
        await client.delete(listener.path)
        gate.set()
        await later(client, receiver)
        assert len(receiver.got("/held")) == 2
    assert await server.stop() == 0
    audit(server.place)


async def test_deleting_a_queue(start: Make, organization: Organization, receiver: Receiver) -> None:
    """A deleted queue's deliveries are made no more; it counts as one queue deleted, its listeners do not."""
    server = start(SLOW)
    async with Client(server.url, organization.key) as client:
        queue, _, _ = await once_failed(client, receiver, "/hook")
        before = await stats(client)
        await client.delete(queue.path)
        after = await stats(client)
        changed = {name: after[name] - before[name] for name in after if after[name] != before[name]}
        assert changed == {"queue_deleted": 1}
        await later(client, receiver)
        assert len(receiver.got("/hook")) == 1
    assert await server.stop() == 0
    audit(server.place)


async def test_deleting_a_large_queue(start: Make, organization: Organization, receiver: Receiver) -> None:
    """A queue with much that is pending is gone at once and for good, though the server is killed then."""
    server: Postroom = start(SLOW)
    async with Client(server.url, organization.key) as client:
        queue = await make_queue(client)
        receiver.on("/hook", answer(500))
        for _ in range(3):
            await make_listener(client, queue, receiver.url("/hook"))
        await send_many(client, queue, 300)
        await client.delete(queue.path)
        (await client.call("GET", queue.messages)).problem(404)
        assert (await client.get("/messages"))["messages"] == []
        same = await make_queue(client, queue.name)
        assert (await client.get(same.messages))["messages"] == []
        server.kill()
    audit(server.place)
    await run_sync(server.start)
    async with Client(server.url, organization.key) as client:
        assert (await client.get("/messages"))["messages"] == []
        assert (await client.get("/queues"))["queues"] == [{"id": same.id, "name": same.name}]
    assert await server.stop() == 0
    audit(server.place)
