"""Copies from one database to another, as a test watches and interrupts them."""

from collections.abc import Callable

import pytest

from postroom.domain.clock import system_clock
from postroom.domain.errors import StoreError
from postroom.service import copying
from postroom.service.copying import Verification
from postroom.store import copies
from postroom.store.copying import Piece
from tests.support.clock import MovingClock
from tests.support.everything import furnish
from tests.support.home import Home, SqliteHome

SMALL = Piece(3, 1000)


class Watched:
    """Remembers what it was told; raises Stop when it was told so often."""

    def __init__(self, most: int = 1 << 30) -> None:
        self.totals: dict[str, int] = {}
        self.reached_by_now: list[tuple[str, int]] = []
        self._most = most

    def begin(self, totals: dict[str, int]) -> None:
        self.totals = totals

    def reached(self, table: str, rows: int) -> None:
        self.reached_by_now.append((table, rows))
        if len(self.reached_by_now) >= self._most:
            raise Stop


class Stop(Exception):
    """The copy ends here, as if it had been killed."""


async def copy(
    source: Home, target: Home, watched: Watched | None = None, piece: Piece = SMALL
) -> Verification:
    """One run of a copy."""
    async with copying.opened(source.address, target.address, system_clock, piece) as under_way:
        await under_way.move(watched or Watched())
        return await under_way.verify()


Another = Callable[[str], Home]
_furnished: dict[str, bytes] = {}


async def furnished(another: Another, kind: str) -> Home:
    """A database with everything in it; of files, a copy of one that was made once."""
    home = another(kind)
    if kind not in _furnished:
        await furnish(home, MovingClock())
        if isinstance(home, SqliteHome):
            _furnished[kind] = home.file.read_bytes()
    elif isinstance(home, SqliteHome):
        home.file.write_bytes(_furnished[kind])
    return home


async def refused(target: Home) -> None:
    """Whoever would work on the database is told that the copy is to be run again."""
    database = await target.open()
    try:
        with pytest.raises(StoreError, match="is not finished; run the same postroom copy again"):
            await copies.refuse_unfinished(database)
    finally:
        await database.close()


async def all_but_verified(source: Home, target: Home) -> None:
    """A copy that ends before it is finished."""
    async with copying.opened(source.address, target.address, system_clock) as under_way:
        await under_way.move(Watched())
