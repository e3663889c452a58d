"""Senders that post messages side by side until they have sent enough or the server has gone."""

import asyncio
from collections import Counter
from typing import Final

import aiohttp

from tests.acceptance.client import Client, Queue

SENDERS: Final = 8


class Load:
    """Bounded load on one queue, and what became of each request."""

    def __init__(self, url: str, key: str, queue: Queue, each: int) -> None:
        self.url = url
        self.key = key
        self.queue = queue
        self.each = each
        self.accepted: list[str] = []
        self.refused: Counter[int] = Counter()
        self.unanswered = 0
        self.cut = 0
        self._news = asyncio.Condition()

    async def run(self) -> None:
        """Send until done, or until the server no longer answers."""
        async with asyncio.TaskGroup() as group:
            for _ in range(SENDERS):
                group.create_task(self._send())
        async with self._news:
            self._news.notify_all()

    async def reaches(self, count: int) -> None:
        """Wait until so many messages were accepted, or all senders are done."""
        async with self._news:
            await self._news.wait_for(lambda: len(self.accepted) >= count)

    async def _send(self) -> None:
        async with Client(self.url, self.key) as client:
            for number in range(self.each):
                if not await self._one(client, f"message {number}"):
                    return

    async def _one(self, client: Client, data: str) -> bool:
        """One message; false when the server has gone."""
        try:
            answer = await client.call("POST", self.queue.messages, {"data": data})
        except aiohttp.ClientPayloadError:
            self.cut += 1
            return False
        except (aiohttp.ClientConnectionError, ConnectionError):
            self.unanswered += 1
            return False
        if answer.status == 200:
            await self._accept(answer.json()["message"]["id"])
        else:
            self.refused[answer.status] += 1
        return True

    async def _accept(self, message_id: str) -> None:
        async with self._news:
            self.accepted.append(message_id)
            self._news.notify_all()
