"""A database on a disk that fails now and then."""

from collections.abc import Awaitable, Callable

from postroom.domain.errors import Unavailable
from postroom.store.database import Channel, Database, Reader, Row, T, Transaction, Value


class Faulty:
    """The port to a real database, of which one access, the `fails`th, is refused.

    SQLite reports an error while reading where a disk is full or broken; no test can break a disk.
    """

    def __init__(self, database: Database, fails: int) -> None:
        self._database = database
        self._left = fails

    @property
    def channel(self) -> Channel | None:
        """The database's own, which never fails."""
        return self._database.channel

    @property
    def apart(self) -> "Faulty":
        """Counted together with the others."""
        return self

    @property
    def has_failed(self) -> bool:
        """Whether it has come to that."""
        return self._left <= 0

    async def fetch(self, query: str, *params: Value) -> list[Row]:
        """As the database does, unless it is the one that fails."""
        self._pass()
        return await self._database.fetch(query, *params)

    async def transaction(self, body: Callable[[Transaction], Awaitable[T]], *, at_once: bool = False) -> T:
        """As the database does, unless it is the one that fails."""
        self._pass()
        return await self._database.transaction(body, at_once=at_once)

    async def snapshot(self, body: Callable[[Reader], Awaitable[T]]) -> T:
        """As the database does, unless it is the one that fails."""
        self._pass()
        return await self._database.snapshot(body)

    async def version(self) -> int | None:
        """As the database does, unless it is the one that fails."""
        self._pass()
        return await self._database.version()

    async def settled(self) -> int | None:
        """As the database does, unless it is the one that fails."""
        self._pass()
        return await self._database.settled()

    async def now(self) -> int:
        """As the database does, unless it is the one that fails."""
        self._pass()
        return await self._database.now()

    async def close(self) -> None:
        """Nothing; the database is somebody else's."""

    def _pass(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise Unavailable("the disk is broken")
