"""Notices what other processes write to the same database: the command line, and other servers."""

import asyncio

import structlog

from postroom.domain.errors import Unavailable
from postroom.service.hub import Hub
from postroom.workers.deliver import Deliver

log = structlog.get_logger(__name__)

PAUSE = 0.25
SEARCH_EVERY = 20  # looks


class Watch:
    """Makes this process look again at what it has in memory: every `pause` seconds."""

    name = "watch"

    def __init__(self, hub: Hub, deliver: Deliver, pause: float = PAUSE) -> None:
        self._pause = pause
        self._hub = hub
        self._deliver = deliver
        self._seen: object = None

    async def run(self) -> None:
        """Watch until cancelled."""
        looks = 0
        while True:
            try:
                await self._look()
                looks += 1
                if looks % SEARCH_EVERY == 0 and self._hub.database.channel is not None:
                    await self._search()
            except Unavailable as error:
                log.warning("store_unavailable", worker=self.name, detail=error.detail)
            await asyncio.sleep(self._pause)

    def look_everywhere(self) -> None:
        """Something may have changed that nobody told of."""
        self._hub.directory.forget()
        self._deliver.look_everywhere()

    async def _look(self) -> None:
        revision = await self._hub.revision()
        if revision != self._seen:
            self._seen = revision
            self.look_everywhere()

    async def _search(self) -> None:
        """Whoever accepted something elsewhere has told of it; but what is told may be lost."""
        for key in await self._hub.deliveries.waiting():
            self._deliver.waiting(*key, since=0)
