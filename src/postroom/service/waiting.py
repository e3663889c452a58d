"""Who waits for a commit, and who shares the next one: a commit costs as much as reading many requests."""

import asyncio
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from postroom.domain.errors import Unavailable

MOST_WAITING = 20_000
MOST_TOGETHER = 1_000
SEVERAL = 8
PATIENCE = 0.001  # seconds


class Waiting(NamedTuple):
    """What `write` is to write, and its answer. Nobody waits for that of one who is `patient`."""

    write: Callable[..., Any]
    item: Any
    future: "asyncio.Future[Any]"
    patient: bool


class WaitingRoom:
    """Lets those who commit have what waits, all of it and one after another.

    Those who were answered are likely to come again. Where the last commits answered several, the next one
    gives as many of them `turns` of the loop to come back, before each of which other processes may have this
    core: the clients on this machine, the database. Else whoever comes first would make a small commit, the
    others the next small one, and so on. Where no process waits for a core, this takes microseconds.

    What is `patient` is neither counted nor waited for, and waits for others itself: up to `patience` seconds
    from the last commit on.
    """

    def __init__(self, turns: int, patience: float = PATIENCE) -> None:
        self.turns = turns
        self.patience = patience
        self._waiting: list[Waiting] = []
        self._expected = 0  # how many are likely to come who are not patient
        self._idle: list[asyncio.Future[None]] = []  # of those who wait to be called
        self._called = False  # one of them, who has not yet taken what waits
        self._committed_at = 0.0
        self._closed = False

    def enter(self, waiting: Waiting) -> None:
        """Have it written; what is patient some time after the last commit, for others to share the next.

        Raises:
            Unavailable: the process is stopping, or too much is waiting.
        """
        if self._closed:
            raise Unavailable("this process is stopping; try again")
        if len(self._waiting) >= MOST_WAITING:
            raise Unavailable("too many writes are waiting; try again")
        self._waiting.append(waiting)
        if waiting.patient:
            self._call_soon()
        else:
            self._call()

    async def next(self) -> list[Waiting]:
        """What is to be committed now; nothing when the room is closed and empty."""
        if (self._called or not self._waiting) and not self._closed:
            await self._rest()
        self._called = True
        await self._while_more_comes()
        await self._while_others_come_back()
        self._called = False
        return self._take()

    def committed(self) -> None:
        """What was taken is durable, and answered."""
        self._committed_at = asyncio.get_running_loop().time()

    def close(self) -> None:
        """Let nobody in any more."""
        self._closed = True
        while self._idle:
            answer(self._idle.pop(), None)

    async def _rest(self) -> None:
        called = asyncio.get_running_loop().create_future()
        self._idle.append(called)
        await called

    def _call_soon(self) -> None:
        loop, due = asyncio.get_running_loop(), self._committed_at + self.patience
        if loop.time() < due:
            loop.call_at(due, self._call)
        else:
            self._call()

    def _call(self) -> None:
        """Have one who rests take what waits, unless somebody is about to."""
        if self._idle and self._waiting and not self._called:
            self._called = True
            answer(self._idle.pop(), None)

    async def _while_more_comes(self) -> None:
        """Let the loop turn while each turn brings more."""
        seen = 0
        while seen < len(self._waiting) < MOST_TOGETHER:
            seen = len(self._waiting)
            await asyncio.sleep(0)

    async def _while_others_come_back(self) -> None:
        for _ in range(self.turns):
            if self._closed or self._expected < SEVERAL or _eager(self._waiting) >= self._expected:
                return
            os.sched_yield()
            await asyncio.sleep(0)

    def _take(self) -> list[Waiting]:
        batch, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
        eager = _eager(batch)
        self._expected = max(eager, (self._expected + eager) // 2)
        self._call()
        return batch


def answer(future: "asyncio.Future[Any]", result: Any) -> None:
    """Give whoever waits the result, or raise it there; nothing where nobody waits any more."""
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def _eager(some: list[Waiting]) -> int:
    """How many of them are not patient."""
    return sum(not waiting.patient for waiting in some)
