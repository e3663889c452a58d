"""Whoever sends slowly holds a connection for a bounded time, and nobody else up."""

import asyncio

import pytest

from tests.acceptance.client import Client, make_queue
from tests.acceptance.conftest import Make
from tests.acceptance.house import Organization
from tests.acceptance.refusal import exchange, is_problem

pytestmark = pytest.mark.anyio
SHORT = {"request_timeout": 1}
DEADLINE = 20.0


@pytest.mark.parametrize("beginning", [b"", b"GET /health HTTP/1.1\r\nHo", b"POST"])
async def test_a_head_that_never_ends(start: Make, beginning: bytes) -> None:
    """A connection on which no request comes in is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", start(SHORT).port)
    writer.write(beginning)
    async with asyncio.timeout(DEADLINE):
        assert await reader.read() == b""
    writer.close()


async def test_a_second_head_that_never_ends(start: Make) -> None:
    """Nor does an answered request buy the next one more time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", start(SHORT).port)
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /health HT")
    async with asyncio.timeout(DEADLINE):
        answered = await reader.read()
    assert answered.startswith(b"HTTP/1.1 200")
    assert answered.count(b"HTTP/1.1 200") == 1
    writer.close()


@pytest.mark.parametrize("sent", [b"", b'{"data"'])
async def test_a_body_that_never_ends(start: Make, organization: Organization, sent: bytes) -> None:
    """A body that does not come, or not whole, is 400."""
    server = start(SHORT)
    async with Client(server.url, organization.key) as client:
        queue = await make_queue(client)
        head = (
            f"POST {queue.messages} HTTP/1.1\r\nHost: x\r\nX-API-KEY: {client.key}\r\n"
            "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
        )
        answer = is_problem(*await exchange(server.port, head.encode() + sent), 400)
        assert "1 seconds" in answer.json()["detail"]
