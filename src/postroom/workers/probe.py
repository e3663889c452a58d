"""Fetches liveness URLs: often while something is pending or has failed, now and then otherwise."""

import asyncio
from collections.abc import Callable

import structlog

from postroom.domain.clock import SECOND, Clock
from postroom.domain.errors import Unavailable
from postroom.service.liveness import Probed, Probes
from postroom.workers.transport import Transport

log = structlog.get_logger(__name__)

AT_ONCE = 32
SHORTEST_PAUSE, LONGEST_PAUSE = 0.02, 3.0


class Probe:
    """Probes each listener whose id this process `holds` every `busy` or `idle` ms."""

    name = "probe"

    def __init__(
        self,
        probes: Probes,
        transport: Transport,
        clock: Clock,
        busy: int,
        idle: int,
        holds: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._holds = holds
        self._probes = probes
        self._transport = transport
        self._clock = clock
        self._busy = busy
        self._idle = idle
        self._pause = min(max(busy / SECOND / 10, SHORTEST_PAUSE), LONGEST_PAUSE)
        self._places = asyncio.Semaphore(AT_ONCE)
        self._under_way: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """Probe until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    for probed in await self._due():
                        self._under_way.add(probed.key)
                        tasks.create_task(self._probe(probed))
                except Unavailable as error:
                    log.warning("store_unavailable", worker=self.name, detail=error.detail)
                await asyncio.sleep(self._pause)

    async def _due(self) -> list[Probed]:
        # What ends while the store is asked is yet unknown there.
        now, past = self._clock(), set(self._under_way)
        return [
            probed
            for probed in await self._probes.every()
            if self._holds(probed.listener_id)
            and probed.key not in past
            and now >= (probed.checked_at or 0) + (self._busy if probed.busy else self._idle)
        ]

    async def _probe(self, probed: Probed) -> None:
        try:
            async with self._places:
                answer = await self._transport.request("GET", probed.liveness_url)
            await self._probes.found(probed.key, answer.error is None)
        except Unavailable as error:
            log.warning("store_unavailable", worker=self.name, detail=error.detail)
        finally:
            self._under_way.discard(probed.key)
