"""What is over is swept: messages some time after their last delivery ended; what was counted stays."""

from typing import Final

import pytest
from anyio.to_thread import run_sync

from tests.acceptance.client import (
    Client,
    Listener,
    Queue,
    counted,
    counts,
    make_listener,
    make_queue,
    send,
    send_many,
    state,
    stats,
)
from tests.acceptance.conftest import ON_BOTH, Make
from tests.acceptance.house import Organization, audit, until
from tests.acceptance.receiver import Receiver, answer

pytestmark = pytest.mark.anyio

# A message is over as soon as nobody waits for it.
AT_ONCE: Final = {"message_retention": 0, "sweep_interval": 0.1}


async def stored(client: Client, queue: Queue) -> list[str]:
    """The ids of a queue's messages."""
    return [message["id"] for message in (await client.get(queue.messages))["messages"]]


@ON_BOTH
async def test_messages_are_swept_once_nobody_waits_for_them(
    start: Make, organization: Organization, receiver: Receiver
) -> None:
    """Delivered, missed and ownerless messages go; one that is still owed stays, and is delivered."""
    server = start({**AT_ONCE, "schedule": "0,0.1"})
    async with Client(server.url, organization.key) as client:
        queue, lonely = await make_queue(client), await make_queue(client)
        good = await make_listener(client, queue, receiver.url("/good"))
        off = await make_listener(client, queue, receiver.url("/off"))
        bad = await make_listener(client, queue, receiver.on("/bad", answer(500)))
        await client.put(off.path, status="disabled")
        sent = await send_many(client, queue, 5)
        await send(client, lonely)
        await until(lambda: stored(client, lonely), lambda seen: seen == [])
        await counted(client, good, acknowledged=5)
        await counted(client, bad, missed=5)
        assert await stored(client, queue) == sent[::-1]
        await client.put(off.path, status="enabled")
        await until(lambda: stored(client, queue), lambda seen: seen == [])
        assert {one.message_id for one in receiver.got("/off")} == set(sent)
        await still_counted(client, good, off, bad)
    assert await run_sync(server.terminate) == 0
    await run_sync(audit, server.place)


async def still_counted(client: Client, good: Listener, off: Listener, bad: Listener) -> None:
    """The counts outlive the messages, and the statistics do."""
    assert (await counts(client, good))["acknowledged"] == (await counts(client, off))["acknowledged"] == 5
    assert (await counts(client, bad))["missed"] == 5
    assert (await state(client, bad))["messages"]["missed_count"] == 5
    seen = await stats(client)
    assert (seen["message_added"], seen["message_published_ok"]) == (6, 10)
    assert seen["message_published_not_ok"] == 10


async def test_messages_are_kept_by_default(
    start: Make, organization: Organization, receiver: Receiver
) -> None:
    """With the default retention, sweeping removes nothing that is new."""
    server = start({"sweep_interval": 0.05})
    async with Client(server.url, organization.key) as client:
        queue = await make_queue(client)
        listener = await make_listener(
            client, queue, receiver.on("/hook", answer(500), answer(500), answer())
        )
        sent = await send_many(client, queue, 3)
        await counted(client, listener, acknowledged=3)
        await receiver.received("/alive", 5)
        assert await stored(client, queue) == sent[::-1]
        assert (await stats(client))["message_added"] == 3
