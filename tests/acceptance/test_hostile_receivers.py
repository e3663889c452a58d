"""Receivers that hang, reset, answer garbage, drip or flood: bounded time and memory, nobody harmed."""

import gzip
from typing import Final

import pytest

from tests.acceptance.client import Client, attempts, counted, make_listener, make_queue, send, send_many
from tests.acceptance.conftest import Make
from tests.acceptance.house import Organization
from tests.acceptance.receiver import (
    MEGABYTE,
    Behaviour,
    Receiver,
    answer,
    dripping,
    garbage,
    hanging,
    huge,
    reset,
)

pytestmark = pytest.mark.anyio

BOMB: Final = gzip.compress(bytes(100 * MEGABYTE), 9)
HOSTILE: Final[dict[str, Behaviour]] = {
    "hanging": hanging(),
    "reset": reset(),
    "garbage": garbage(),
    "empty": garbage(b""),
    "dripping": dripping(),
    "dripping head": dripping(b"HTTP/1.1 200 OK\r\n" + b"x" * 9999),
    "endless head": garbage(b"HTTP/1.1 200 OK\r\nx: " + b"y" * MEGABYTE),
    "many headers": garbage(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000),
    "bad length": garbage(b"HTTP/1.1 500 Oops\r\ncontent-length: -7\r\n\r\nhello"),
    "two lengths": garbage(b"HTTP/1.1 500 Oops\r\ncontent-length: 5\r\ncontent-length: 9\r\n\r\nhello"),
    "bad chunks": garbage(b"HTTP/1.1 500 Oops\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello"),
    "cut short": garbage(b"HTTP/1.1 500 Oops\r\ncontent-length: 500\r\n\r\nhello"),
    "odd status": garbage(b"HTTP/1.1 999 Beyond\r\ncontent-length: 0\r\n\r\n"),
    "informational only": garbage(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "upgrade": garbage(b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nhello"),
    "ten megabytes": huge(500),
    "bomb": answer(500, BOMB, {"content-encoding": "gzip"}),
    "broken gzip": answer(500, b"hello", {"content-encoding": "gzip"}),
    "odd encoding": answer(500, b"hello", {"content-encoding": "kitchen"}),
    "odd charset": answer(500, b"hello", {"content-type": "text/plain; charset=kitchen"}),
    "cookies": answer(500, headers={"set-cookie": "a=b; domain=.example; path=/"}),
}


async def test_hostile_receivers(start: Make, organization: Organization, receiver: Receiver) -> None:
    """Each delivery to each of them ends, in time and in little memory; a healthy listener gets all."""
    server = start({"delivery_timeout": 1, "schedule": "0,0.1"})
    async with Client(server.url, organization.key) as client:
        queue = await make_queue(client)
        healthy = await make_listener(client, queue, receiver.url("/healthy"))
        listeners = [
            await make_listener(client, queue, receiver.on(f"/{number}", behaviour))
            for number, behaviour in enumerate(HOSTILE.values())
        ]
        before = server.peak()
        await send_many(client, queue, 10)
        await counted(client, healthy, acknowledged=10)
        for listener in listeners:
            await counted(client, listener, accepted=10, missed=10, pending=0)
        assert server.peak() - before < 64 * MEGABYTE
        await send(client, queue)
        await counted(client, healthy, acknowledged=11)


@pytest.mark.parametrize("name", [name for name in HOSTILE if not name.startswith(("hanging", "dripping"))])
async def test_a_hostile_receivers_attempts(client: Client, receiver: Receiver, name: str) -> None:
    """Whatever is answered, the attempt is recorded with an error, and with little of the answer."""
    queue = await make_queue(client)
    listener = await make_listener(client, queue, receiver.on("/hook", HOSTILE[name]))
    message = await send(client, queue)
    await counted(client, listener, missed=1)
    record = await attempts(client, queue, message)
    assert len(record) == 3
    assert all(isinstance(one["error"], str) and one["error"] for one in record)
    assert all(len(one["answer"]) <= 20_480 for one in record)


async def test_a_long_answer_acknowledges(client: Client, receiver: Receiver) -> None:
    """A 2xx counts though its 10 MB are not read: the first 20 kB are kept."""
    queue = await make_queue(client)
    listener = await make_listener(client, queue, receiver.on("/hook", huge(200)))
    message = await send(client, queue)
    await counted(client, listener, acknowledged=1)
    (attempt,) = await attempts(client, queue, message)
    assert (attempt["status"], attempt["error"]) == (200, None)
    assert 20_000 <= len(attempt["answer"]) <= 20_480
