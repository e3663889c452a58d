"""Notices what other processes write to the same database: the command line, above all."""

import asyncio

from postroom.service.directory import Directory
from postroom.store.database import Database
from postroom.workers.deliver import Deliver

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
        seen = await self._database.version()
        while True:
            await asyncio.sleep(PAUSE)
            version = await self._database.version()
            if version != seen:
                seen = version
                self._directory.forget()
                self._deliver.look_everywhere()
