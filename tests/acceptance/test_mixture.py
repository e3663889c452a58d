"""Makers, senders, deleters and switchers side by side; the books balance at every look."""

import asyncio
import random
from typing import Any, Final

import aiohttp
import pytest
from aiohttp import web
from anyio.to_thread import run_sync

from tests.acceptance.books import counted_once
from tests.acceptance.client import Answer, Client, unique
from tests.acceptance.conftest import ON_BOTH, Make
from tests.acceptance.house import Organization, audit, until
from tests.acceptance.receiver import Receiver

pytestmark = [pytest.mark.anyio, ON_BOTH]

WORKERS: Final = 6
STEPS: Final = 60
ENDED: Final = ("acknowledged_count", "missed_count", "discarded_count", "pending_count")


class Worker:
    """Does one random thing after another, to whatever there is; a thing that is gone meanwhile is a 404."""

    def __init__(self, client: Client, receiver: Receiver, seed: int) -> None:
        self.client = client
        self.receiver = receiver
        self.chance = random.Random(seed)
        self.done = 0

    async def run(self, steps: int) -> None:
        """So many steps, or until the server has gone."""
        doings = [self.send] * 6 + [self.make_listener] * 2
        doings += [self.make_queue, self.delete, self.delete_message, self.switch, self.look]
        for _ in range(steps):
            try:
                answer = await self.chance.choice(doings)()
            except (aiohttp.ClientError, ConnectionError):
                return
            assert answer.status in (200, 404), answer
            self.done += 1

    async def some(self, path: str, kind: str) -> Any:
        """One of a list; a queue that is none where there is nothing."""
        listed = (await self.client.call("GET", path)).json().get(kind) or [{"id": "0" * 21}]
        return self.chance.choice(listed)

    async def queue(self) -> str:
        return f"/queues/{(await self.some('/queues', 'queues'))['id']}"

    async def make_queue(self) -> Answer:
        return await self.client.call("POST", "/queues", {"name": unique("queue")})

    async def make_listener(self) -> Answer:
        urls = {"notify_url": self.receiver.url("/hook"), "liveness_url": self.receiver.url("/alive")}
        return await self.client.call(
            "POST", f"{await self.queue()}/listeners", {"name": unique("listener")} | urls
        )

    async def send(self) -> Answer:
        return await self.client.call("POST", f"{await self.queue()}/messages", {"data": "hello"})

    async def delete(self) -> Answer:
        """A listener, or now and then a whole queue."""
        path = await self.queue()
        if self.chance.random() < 0.7:
            path += f"/listeners/{(await self.some(f'{path}/listeners', 'listeners'))['id']}"
        return await self.client.call("DELETE", path)

    async def delete_message(self) -> Answer:
        path = await self.queue()
        message = await self.some(f"{path}/messages?limit=20", "messages")
        return await self.client.call("DELETE", f"{path}/messages/{message['id']}")

    async def switch(self) -> Answer:
        path = await self.queue()
        listener = await self.some(f"{path}/listeners", "listeners")
        status = self.chance.choice(["enabled", "disabled"])
        return await self.client.call("PUT", f"{path}/listeners/{listener['id']}", {"status": status})

    async def look(self) -> Answer:
        """The books of every listener, at this very moment."""
        answer = await self.client.call("GET", "/listeners")
        balanced(answer.json()["listeners"])
        return answer


def balanced(listeners: list[Any]) -> None:
    """accepted = acknowledged + missed + discarded + pending, for each."""
    for messages in (listener["messages"] for listener in listeners):
        assert messages["accepted_count"] == sum(messages[name] for name in ENDED), messages
        assert all(messages[name] >= 0 for name in ENDED), messages


async def busy(receiver: Receiver, working: list[asyncio.Task[None]]) -> bool:
    """Whether there were many requests, or all that there will be."""
    return len(receiver.got("/hook")) >= 30 or all(task.done() for task in working)


def moody(chance: random.Random) -> Any:
    """A receiver that takes most, refuses some, and hesitates now and then."""

    async def behave(request: web.Request) -> web.StreamResponse:
        if chance.random() < 0.1:
            await asyncio.sleep(0.05)
        return web.Response(status=chance.choice([200, 200, 200, 500, 503, 429]))

    return behave


async def settle(client: Client) -> None:
    """Switch everything on and wait until nothing is pending."""
    links = (await client.get("/listeners"))["_links"]
    for name in links.keys() - {"self"}:
        await client.call("PUT", links[name]["href"], {"status": "enabled"})

    async def look() -> list[int]:
        listed = (await client.get("/listeners"))["listeners"]
        balanced(listed)
        return [listener["messages"]["pending_count"] for listener in listed]

    await until(look, lambda pending: not any(pending))


@pytest.mark.parametrize("killed", [False, True], ids=["all done", "killed meanwhile"])
async def test_everything_at_once(
    start: Make, organization: Organization, receiver: Receiver, killed: bool
) -> None:
    """However operations, deliveries and deletions meet, each fact is counted once."""
    server, chance = start({"listener_concurrency": 4}), random.Random(7)
    receiver.on("/hook", moody(chance))
    async with Client(server.url, organization.key) as client:
        workers = [Worker(client, receiver, seed) for seed in range(WORKERS)]
        await workers[0].make_queue()
        async with asyncio.TaskGroup() as group:
            working = [group.create_task(worker.run(STEPS)) for worker in workers]
            if killed:
                await until(lambda: busy(receiver, working), bool)
                server.kill()
    if killed:
        await run_sync(audit, server.place)
        await run_sync(server.start)
    else:
        assert [worker.done for worker in workers] == [STEPS] * WORKERS
    async with Client(server.url, organization.key) as client:
        await settle(client)
        await counted_once(client)
    assert await run_sync(server.terminate) == 0
    await run_sync(audit, server.place)
