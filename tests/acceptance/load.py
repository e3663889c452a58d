"""Senders that post messages side by side until they have sent enough, or the server has gone."""

import asyncio
import time
from collections import Counter
from typing import Final

import aiohttp

from tests.acceptance.client import Client, Queue

SENDERS: Final = 8
REST: Final = 0.05  # seconds, after a refusal


class Load:
    """Load on one queue, and what became of each request.

    Each sender sends `each` messages, or until `stop`, and rests for `pause` seconds after each of them.
    """

    def __init__(self, url: str, key: str, queue: Queue, each: int = 1_000_000, pause: float = 0.0) -> None:
        self.url = url
        self.key = key
        self.queue = queue
        self.each = each
        self.pause = pause
        self.accepted: list[str] = []
        self.refused: Counter[int] = Counter()
        self.unanswered = 0
        self.cut = 0
        self.slowest = 0.0  # seconds until an answer
        self._stopped = False
        self._done = False
        self._news = asyncio.Condition()

    async def run(self) -> None:
        """Send until done, until told to stop, or until the server no longer answers."""
        async with asyncio.TaskGroup() as group:
            for _ in range(SENDERS):
                group.create_task(self._send())
        async with self._news:
            self._done = True
            self._news.notify_all()

    async def stop(self) -> None:
        """Send no more; returns when all is answered."""
        self._stopped = True
        async with self._news:
            await self._news.wait_for(lambda: self._done)

    async def reaches(self, count: int) -> None:
        """Wait until so many messages were accepted, or all senders are done."""
        async with self._news:
            await self._news.wait_for(lambda: self._done or len(self.accepted) >= count)

    async def goes_on(self, count: int = 50) -> None:
        """Wait until so many more messages were accepted."""
        await self.reaches(len(self.accepted) + count)
        assert not self._done, "all senders are done"

    async def is_refused(self, count: int = 1) -> None:
        """Wait until so many more messages were refused with 503."""
        wanted = self.refused[503] + count
        async with self._news:
            await self._news.wait_for(lambda: self._done or self.refused[503] >= wanted)
        assert not self._done, "all senders are done"

    async def _send(self) -> None:
        async with Client(self.url, self.key) as client:
            for number in range(self.each):
                if self._stopped or not await self._one(client, f"message {number}"):
                    return

    async def _one(self, client: Client, data: str) -> bool:
        """One message; false when the server has gone."""
        begun = time.monotonic()
        try:
            answer = await client.call("POST", self.queue.messages, {"data": data})
        except aiohttp.ClientPayloadError:
            self.cut += 1
            return False
        except (aiohttp.ClientConnectionError, ConnectionError):
            self.unanswered += 1
            return False
        self.slowest = max(self.slowest, time.monotonic() - begun)
        async with self._news:
            if answer.status == 200:
                self.accepted.append(answer.json()["message"]["id"])
            else:
                self.refused[answer.status] += 1
            self._news.notify_all()
        if answer.status == 503:
            assert int(answer.headers["retry-after"]) >= 1
            await asyncio.sleep(REST)
        await asyncio.sleep(self.pause)
        return True
