"""The connections that a process has to one PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from postroom.store.trouble import FAILURES

Connection = Any  # asyncpg has no types


class Connections:
    """At most so many; when none is free `connect` makes one; who gets none `within` seconds is told.

    The `first` was made before, by whoever had to know whether the database can be used.

    asyncpg's own pool does the same, for a twentieth of the processor time of a small transaction.
    """

    def __init__(
        self, first: Connection, connect: Callable[[], Awaitable[Connection]], most: int, within: float
    ) -> None:
        self._connect = connect
        self._most = most
        self._within = within
        self._room = asyncio.Semaphore(most)
        self._idle: list[Connection] = [first]

    async def acquire(self) -> Connection:
        """One that nobody else uses until it is given back.

        Raises:
            TimeoutError: none came free.
        """
        if self._room.locked():
            async with asyncio.timeout(self._within):
                await self._room.acquire()
        else:
            await self._room.acquire()
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        try:
            return await self._connect()
        except BaseException:
            self._room.release()
            raise

    def release(self, connection: Connection) -> None:
        """Give one back; it is used again if it can be, and has no transaction open that was not ended."""
        if not connection.is_closed() and connection.is_in_transaction():
            connection.terminate()
        self._idle.append(connection)
        self._room.release()

    def discard(self, connection: Connection, *, with_others: bool) -> None:
        """Close one for good, or with all that are free, as they would be found lost in turn."""
        connection.terminate()
        if with_others:
            self._close_idle()
        self._room.release()

    async def close(self) -> None:
        """Wait until all are given back, but not for long, and close them."""
        with suppress(*FAILURES):
            async with asyncio.timeout(self._within):
                for _ in range(self._most):
                    await self._room.acquire()
                await asyncio.gather(*(each.close() for each in self._idle))
        self._close_idle()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().terminate()
