"""What a listener is sent, to whom a message goes, and what an answer means."""

import asyncio
import json
import time
from typing import Final

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.acceptance.client import (
    Client,
    Listener,
    Queue,
    attempted,
    attempts,
    counted,
    counts,
    make_listener,
    make_queue,
    send,
    send_many,
    state,
    stats,
)
from tests.acceptance.conftest import Make
from tests.acceptance.house import Organization
from tests.acceptance.receiver import Received, Receiver, answer, held, huge

pytestmark = pytest.mark.anyio

TEXTS: Final = [
    "",
    "hello",
    "Grüße, 世界 \U0001f4ee",
    "{not json",
    "line\r\nline\n\ttab",
    "nul \x00 inside",
    " \ufeff ",
    "NaN",
    "Infinity",
    "[1,]",
    "01",
]
JSONS: Final = [
    "{}",
    '{"a": [1, 2.50, null, "ü"]}',
    " [1]\n",
    "1",
    '"x"',
    "null",
    "true",
    '{"a": 1, "a": 2}',
]


def verified(received: Received, listener: Listener) -> None:
    """The signature is good by the library of the standard; and only by this secret and for this body."""
    headers = dict(received.headers)
    Webhook(listener.secret).verify(received.body, headers, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(listener.secret).verify(received.body + b" ", headers, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 43 + "=").verify(received.body, headers, json_parse=False)


async def delivered(client: Client, receiver: Receiver, path: str, data: str) -> tuple[Received, Listener]:
    """Send `data` through a queue of its own; what arrives."""
    queue = await make_queue(client)
    listener = await make_listener(client, queue, receiver.url(path))
    before = len(receiver.got(path))
    await send(client, queue, data)
    return (await receiver.received(path, before + 1))[-1], listener


async def test_the_request(client: Client, receiver: Receiver) -> None:
    """A POST with the Standard Webhooks headers and those of Postroom."""
    queue = await make_queue(client)
    listener = await make_listener(client, queue, receiver.url("/a/hook"))
    message = await send(client, queue, '{"n": 1}', name="order")
    (received,) = await receiver.received("/a/hook")
    assert received.method == "POST"
    assert received.body == b'{"n": 1}'
    assert received.message_id == message
    assert received.headers["postroom-attempt"] == "1"
    assert received.headers["postroom-queue"] in (queue.id, queue.name)
    assert received.headers["postroom-listener"] in (listener.id, listener.name)
    assert abs(int(received.headers["webhook-timestamp"]) - time.time()) < 300
    assert received.headers["webhook-signature"].startswith("v1,")
    verified(received, listener)


@pytest.mark.parametrize("data", TEXTS, ids=ascii)
async def test_text_goes_as_it_is(client: Client, receiver: Receiver, data: str) -> None:
    """Data that is not JSON goes byte for byte, as text/plain in UTF-8, and signed."""
    received, listener = await delivered(client, receiver, "/hook", data)
    assert received.body == data.encode()
    assert received.headers["content-type"].replace(" ", "").lower() == "text/plain;charset=utf-8"
    verified(received, listener)


@pytest.mark.parametrize("data", JSONS, ids=ascii)
async def test_json_goes_as_it_is(client: Client, receiver: Receiver, data: str) -> None:
    """Data that parses as JSON goes byte for byte, as application/json, and signed."""
    received, listener = await delivered(client, receiver, "/hook", data)
    assert received.body == data.encode()
    assert received.headers["content-type"].partition(";")[0] == "application/json"
    verified(received, listener)


async def test_a_large_message_arrives_whole(client: Client, receiver: Receiver) -> None:
    """A message of nearly the largest size arrives byte for byte."""
    data = json.dumps({"x": "ü" * 150_000}, ensure_ascii=False)
    received, listener = await delivered(client, receiver, "/hook", data)
    assert received.body == data.encode()
    verified(received, listener)


async def test_the_urls_path_and_query_are_kept(client: Client, receiver: Receiver) -> None:
    """The request goes to the notify URL as it was given."""
    queue = await make_queue(client)
    await make_listener(client, queue, receiver.url("/a%2Fb/%C3%BC?x=%20y&z"))
    await send(client, queue)
    (received,) = await receiver.received("/a/b/ü")
    assert received.target == "/a%2Fb/%C3%BC?x=%20y&z"


async def test_each_listener_has_its_own_secret(client: Client, receiver: Receiver) -> None:
    """A message goes to every listener of its queue, to each with its own signature, under the same id."""
    queue, other = await make_queue(client), await make_queue(client)
    listeners = [await make_listener(client, queue, receiver.url(f"/{number}")) for number in range(3)]
    stranger = await make_listener(client, other, receiver.url("/stranger"))
    assert len({listener.secret for listener in (*listeners, stranger)}) == 4
    message = await send(client, queue)
    for number, listener in enumerate(listeners):
        (received,) = await receiver.received(f"/{number}")
        assert received.message_id == message
        verified(received, listener)
        await counted(client, listener, accepted=1, acknowledged=1)
    assert (await counts(client, stranger))["accepted"] == 0
    assert receiver.got("/stranger") == []


async def test_later_listeners_get_later_messages_only(client: Client, receiver: Receiver) -> None:
    """A message goes to the listeners that were made before it, and to no others."""
    queue = await make_queue(client)
    early = await make_listener(client, queue, receiver.url("/early"))
    first = await send(client, queue, "first")
    late = await make_listener(client, queue, receiver.url("/late"))
    second = await send(client, queue, "second")
    await counted(client, early, accepted=2, acknowledged=2)
    await counted(client, late, accepted=1, acknowledged=1)
    assert {received.message_id for received in receiver.got("/early")} == {first, second}
    assert [received.message_id for received in receiver.got("/late")] == [second]


async def test_a_message_without_listeners(client: Client) -> None:
    """A queue without listeners takes messages; they are owed to nobody."""
    queue = await make_queue(client)
    message = await send(client, queue)
    assert await attempts(client, queue, message) == []


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_acknowledges(client: Client, receiver: Receiver, status: int) -> None:
    """A 2xx ends the delivery with the first attempt."""
    queue = await make_queue(client)
    listener = await make_listener(client, queue, receiver.on("/hook", answer(status)))
    message = await send(client, queue)
    await counted(client, listener, acknowledged=1, pending=0, missed=0, discarded=0)
    (attempt,) = await attempts(client, queue, message)
    assert (attempt["number"], attempt["status"], attempt["error"]) == (1, status, None)
    assert len(receiver.got("/hook")) == 1


async def test_the_answer_is_kept(client: Client, receiver: Receiver) -> None:
    """An attempt keeps the first 20 kB of the answer, whatever its size."""
    queue = await make_queue(client)
    receiver.on("/hook", huge(500), answer(500, bytes(range(256)) * 4), answer(200, "grüß".encode()))
    listener = await make_listener(client, queue, receiver.url("/hook"))
    message = await send(client, queue)
    await counted(client, listener, acknowledged=1)
    kept = [attempt["answer"] for attempt in await attempts(client, queue, message)]
    assert set(kept[0]) == {"y"}
    assert 20_000 <= len(kept[0]) <= 20_480
    assert "ABCDEFG" in kept[1]
    assert kept[2] == "grüß"


async def test_a_long_answer_of_characters_cut_in_two(client: Client, receiver: Receiver) -> None:
    """An answer cut within a character is still shown."""
    queue = await make_queue(client)
    await make_listener(client, queue, receiver.on("/hook", answer(200, ("a" + "€" * 10_000).encode())))
    (attempt,) = await attempted(client, queue, await send(client, queue), 1)
    assert attempt["answer"].startswith("a€€€")


async def test_a_changed_url_is_used_at_once(client: Client, receiver: Receiver) -> None:
    """After PUT with another notify_url, messages go there."""
    queue = await make_queue(client)
    listener = await make_listener(client, queue, receiver.url("/old"))
    await send(client, queue)
    await receiver.received("/old")
    await client.put(listener.path, notify_url=receiver.url("/new"))
    await send(client, queue)
    await receiver.received("/new")
    await counted(client, listener, acknowledged=2)
    assert len(receiver.got("/old")) == 1


async def test_at_most_so_many_at_once(start: Make, organization: Organization, receiver: Receiver) -> None:
    """No more requests to one listener are under way than the setting says; and as many as it says."""
    server = start({"listener_concurrency": 3})
    async with Client(server.url, organization.key) as client:
        queue, gate = await make_queue(client), asyncio.Event()
        listener = await make_listener(client, queue, receiver.on("/held", held(gate)))
        await send_many(client, queue, 12)
        await receiver.received("/held", 3)
        await beside(client, receiver)
        assert len(receiver.got("/held")) == 3
        gate.set()
        await counted(client, listener, acknowledged=12)
        assert receiver.most_open("/held") == 3


async def test_at_most_so_many_at_once_in_all(
    start: Make, organization: Organization, receiver: Receiver
) -> None:
    """No more requests are under way in all than the setting says."""
    server = start({"delivery_concurrency": 5, "listener_concurrency": 4})
    async with Client(server.url, organization.key) as client:
        queue, gate = await make_queue(client), asyncio.Event()
        receiver.on("/held", held(gate))
        listeners = [await make_listener(client, queue, receiver.url("/held")) for _ in range(4)]
        await send_many(client, queue, 6)
        await receiver.received("/held", 2)
        gate.set()
        for listener in listeners:
            await counted(client, listener, acknowledged=6)
        assert receiver.most_open("/held") <= 5


async def beside(client: Client, receiver: Receiver) -> None:
    """Messages to another listener go through: the server has had its chance to do more."""
    queue = await make_queue(client)
    listener = await make_listener(client, queue, receiver.url("/beside"))
    await send_many(client, queue, 3)
    await counted(client, listener, acknowledged=3)


async def test_one_at_a_time_keeps_the_order(
    start: Make, organization: Organization, receiver: Receiver
) -> None:
    """With one request at once to a listener, messages arrive in the order in which they were accepted."""
    server = start({"listener_concurrency": 1})
    async with Client(server.url, organization.key) as client:
        queue = await make_queue(client)
        await make_listener(client, queue, receiver.url("/hook"))
        sent = await send_many(client, queue, 50)
        received = await receiver.received("/hook", 50)
        assert [one.message_id for one in received] == sent


async def test_every_attempt_is_counted(client: Client, receiver: Receiver) -> None:
    """message_published_ok and message_published_not_ok count attempts, not messages."""
    queue: Queue = await make_queue(client)
    before = await stats(client)
    listener = await make_listener(client, queue, receiver.on("/hook", answer(500), answer(404), answer(200)))
    await send(client, queue)
    await counted(client, listener, acknowledged=1)
    after = await stats(client)
    assert after["message_added"] - before["message_added"] == 1
    assert after["message_published_not_ok"] - before["message_published_not_ok"] == 2
    assert after["message_published_ok"] - before["message_published_ok"] == 1
    assert (await state(client, listener))["messages"]["missed"] == []
