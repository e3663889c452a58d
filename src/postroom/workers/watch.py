"""Notices what other processes write to the same database: the command line, above all."""

import asyncio

import structlog

from postroom.domain.errors import Unavailable
from postroom.service.directory import Directory
from postroom.store.database import Database
from postroom.workers.deliver import Deliver

log = structlog.get_logger(__name__)

PAUSE = 0.25


class Watch:
    """Makes this process look again at what it has in memory."""

    name = "watch"

    def __init__(self, database: Database, directory: Directory, deliver: Deliver) -> None:
        self._database = database
        self._directory = directory
        self._deliver = deliver

    async def run(self) -> None:
        """Watch until cancelled."""
        seen: int | None = None
        while True:
            try:
                version = await self._database.version()
            except Unavailable as error:
                log.warning("store_unavailable", worker=self.name, detail=error.detail)
            else:
                if version != seen:
                    seen = version
                    self._directory.forget()
                    self._deliver.look_everywhere()
            await asyncio.sleep(PAUSE)
