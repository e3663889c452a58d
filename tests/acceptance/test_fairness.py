"""One bad listener harms nobody else: fair turns between listeners."""

import asyncio
from typing import Final

import pytest
from aiohttp import web

from tests.acceptance.client import Client, counted, make_listener, make_queue, send, send_many
from tests.acceptance.conftest import Make
from tests.acceptance.house import Organization
from tests.acceptance.receiver import Receiver, hanging, held

pytestmark = pytest.mark.anyio

HANGING: Final = 50
# Hanging receivers are never given up: whoever waits for that would wait longer than the test.
PATIENT: Final = {"delivery_timeout": 600, "liveness_interval_busy": 600, "stop_timeout": 0.1}


async def test_a_healthy_listener_beside_fifty_that_hang(
    start: Make, organization: Organization, receiver: Receiver
) -> None:
    """With the default limits, a healthy listener gets all its messages while fifty others hold theirs."""
    server = start(PATIENT)
    async with Client(server.url, organization.key) as client:
        crowd = await make_queue(client)
        paths = [f"/hanging/{number}" for number in range(HANGING)]
        for path in paths:
            await make_listener(client, crowd, receiver.on(path, hanging()))
        queue = await make_queue(client)
        healthy = await make_listener(client, queue, receiver.url("/healthy"))
        await send_many(client, crowd, 20)
        for path in paths:
            await receiver.received(path)
        for number in range(30):
            await send(client, queue, str(number))
            await receiver.received("/healthy", number + 1)
        await send_many(client, queue, 30)
        await counted(client, healthy, accepted=60, acknowledged=60)
        assert [receiver.open_at(path) for path in paths] == [len(receiver.got(path)) for path in paths]
        assert all(1 <= receiver.open_at(path) <= 16 for path in paths)
        assert sum(receiver.open_at(path) for path in paths) <= 512


async def test_a_backlog_leaves_others_their_turn(
    start: Make, organization: Organization, receiver: Receiver
) -> None:
    """A listener with one message is served before one with hundreds is done."""
    server = start({"listener_concurrency": 2, "delivery_concurrency": 2})
    async with Client(server.url, organization.key) as client:
        gate, ahead = asyncio.Event(), list[int]()

        async def note(request: web.Request) -> web.StreamResponse:
            ahead.append(len(receiver.got("/large")))
            return web.Response()

        large, small = await make_queue(client), await make_queue(client)
        first = await make_listener(client, large, receiver.on("/large", held(gate)))
        second = await make_listener(client, small, receiver.on("/small", note))
        await send_many(client, large, 300)
        await send(client, small)
        gate.set()
        await counted(client, second, acknowledged=1)
        await counted(client, first, acknowledged=300)
        assert ahead[0] < 100
