"""Keeps the process a member of those that share the work, with its part of the slots."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from postroom.domain.errors import Unavailable
from postroom.service.membership import Membership
from postroom.workers.deliver import Deliver

log = structlog.get_logger(__name__)

BEATS = 5  # in each lease
FIRST_PAUSE = 0.2


class Member:
    """Renews a lease of `lease` seconds, and gives `deliver` the slots that go with it.

    When the lease could not be renewed in time, others may have taken the slots: nothing more is delivered
    until it is. The clock is set each time by `keep_time`; `say` tells the others that slots are free.
    """

    name = "member"

    def __init__(
        self,
        membership: Membership,
        deliver: Deliver,
        lease: float,
        keep_time: Callable[[], Awaitable[None]],
        say: Callable[[], Awaitable[None]],
    ) -> None:
        self._keep_time = keep_time
        self._membership = membership
        self._deliver = deliver
        self._lease = lease
        self._say = say
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self._giving: asyncio.Task[None] | None = None
        self._end: asyncio.TimerHandle | None = None

    def look(self) -> None:
        """Another process gave some up: look now."""
        self._wake.set()

    async def run(self) -> None:
        """Renew until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                pause = self._lease / BEATS
                try:
                    await self._renew(tasks)
                except Unavailable as error:
                    log.warning("store_unavailable", worker=self.name, detail=error.detail)
                    pause = min(pause, FIRST_PAUSE)
                await self._sleep(pause)

    async def _renew(self, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await self._keep_time()
        async with self._turn:
            held, give = await self._membership.renew()
            self._deliver.hold(held - give)
        if self._end:
            self._end.cancel()
        self._end = loop.call_at(begun + self._lease, self._deliver.hold, frozenset())
        if give and (self._giving is None or self._giving.done()):
            self._giving = tasks.create_task(self._give(give))

    async def _give(self, slots: frozenset[int]) -> None:
        """When the last request to a listener of these slots has ended, let others take them."""
        await self._deliver.ended(slots)
        try:
            async with self._turn:
                await self._membership.give(slots - self._deliver.held)
            await self._say()
        except Unavailable as error:  # they are given up the next time
            log.warning("store_unavailable", worker=self.name, detail=error.detail)

    async def _sleep(self, pause: float) -> None:
        alarm = asyncio.get_running_loop().call_later(pause, self._wake.set)
        await self._wake.wait()
        self._wake.clear()
        alarm.cancel()
