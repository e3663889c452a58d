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
        self._withdrawn = False
        self._left = False
        self._kept: frozenset[int] | None = None  # when it withdrew, and the others were told
        self._waiter: asyncio.Task[None] | None = None
        self._end: asyncio.TimerHandle | None = None

    def look(self) -> None:
        """Another process gave some up: look now."""
        self._wake.set()

    async def run(self) -> None:
        """Renew until `leave` is called, or cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while not self._left:
                pause = self._lease / BEATS
                try:
                    async with self._turn:
                        self._look_when_some_end(tasks, await self._beat())
                except Unavailable as error:
                    log.warning("store_unavailable", worker=self.name, detail=error.detail)
                    pause = min(pause, FIRST_PAUSE)
                await self._sleep(pause)

    def withdraw(self) -> None:
        """Take no part any more, and give up each slot as soon as nothing is under way for it."""
        self._withdrawn = True
        self._until(None)
        self.look()

    async def leave(self) -> None:
        """Renew no more, give everything up, and tell the others.

        Raises:
            Unavailable: the database does not take it now; the lease will end by itself.
        """
        self._left = True
        self.look()
        async with self._turn:
            self._until(None)
            await self._membership.leave()
        await self._say()

    async def _beat(self) -> frozenset[int]:
        """Answers the slots to give up that something is still under way for."""
        begun = asyncio.get_running_loop().time()
        await self._keep_time()
        if not self._withdrawn:
            held, give = await self._membership.renew()
            if not self._withdrawn:  # meanwhile
                return await self._deliver_for(held, give, begun + self._lease)
        return await self._hand_over()

    async def _deliver_for(self, held: frozenset[int], give: frozenset[int], end: float) -> frozenset[int]:
        self._deliver.hold(held - give)
        self._until(end)
        busy = self._deliver.busy()
        if give - busy:
            await self._membership.give(give - busy)
            await self._say()
        return give & busy

    async def _hand_over(self) -> frozenset[int]:
        busy = self._deliver.busy()
        await self._membership.withdraw(busy)
        if busy != self._kept:
            self._kept = busy
            await self._say()
        return busy

    def _until(self, end: float | None) -> None:
        """Nothing is delivered after the time `end` of the loop; or from now on."""
        if self._end:
            self._end.cancel()
        if end is None:
            self._deliver.hold(frozenset())
        else:
            self._end = asyncio.get_running_loop().call_at(end, self._deliver.hold, frozenset())

    def _look_when_some_end(self, tasks: asyncio.TaskGroup, busy: frozenset[int]) -> None:
        """One listener that takes its time holds up its own slot, and no other."""

        async def wait() -> None:
            await self._deliver.ended(busy)
            self.look()

        if self._waiter:
            self._waiter.cancel()
        self._waiter = tasks.create_task(wait()) if busy else None

    async def _sleep(self, pause: float) -> None:
        alarm = asyncio.get_running_loop().call_later(pause, self._wake.set)
        await self._wake.wait()
        self._wake.clear()
        alarm.cancel()
