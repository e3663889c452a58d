"""News between processes that share a PostgreSQL database: sent after a commit, never part of one.

A notification inside a transaction would make all commits of the server wait for one another, and one that is
lost is made good by polling.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from postroom.store.sessions import begin_session
from postroom.store.trouble import FAILURES, translated

NAME = "postroom"
MOST_BYTES = 7_900  # PostgreSQL takes less than 8000
_WITHIN = 5.0  # seconds
_CHECK_EVERY = 5.0  # seconds


class PostgresChannel:
    """A connection of its own that hears what other processes say, and says what this one has to."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Any = None
        self._turn = asyncio.Lock()  # a connection does one thing at a time

    async def listen(self, heard: Callable[[str], None], ready: Callable[[], None]) -> None:
        """Call `ready` when connected, then `heard` with whatever any process sends, until that ends.

        Raises:
            StoreError: the database lets nobody in.
            Unavailable: the connection is lost.
        """
        with translated():
            connection = await begin_session(self._url, timeout=_WITHIN, command_timeout=_WITHIN)
            try:
                lost = asyncio.Event()
                connection.add_termination_listener(lambda _: lost.set())
                await connection.add_listener(NAME, lambda *said: heard(str(said[3])))
                self._connection = connection
                ready()
                while True:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(lost.wait(), _CHECK_EVERY)
                    async with self._turn:
                        await connection.execute("SELECT 1")
            finally:
                self._connection = None
                connection.terminate()

    async def send(self, text: str) -> None:
        """Tell every process, this one too; dropped while there is no connection."""
        async with self._turn:
            if self._connection is not None:
                with suppress(*FAILURES):
                    await self._connection.execute("SELECT pg_notify($1, $2)", NAME, text)
