"""Taking series of running totals: whoever begins, and however many at once, each gets one of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import pytest

from postroom.domain.errors import Unavailable
from postroom.store import processes
from postroom.store.database import Database
from tests.support.home import CONNECTIONS, Home
from tests.support.hub import beside, rows

pytestmark = pytest.mark.anyio

PROCESSES: Final = 9
TAKERS: Final = PROCESSES * CONNECTIONS
LASTS, LATER = 10, 100
# As if its holder were quicker than each other one.
TAKES_BACK: Final = {
    "sqlite": ["CREATE TRIGGER back BEFORE UPDATE ON series BEGIN SELECT raise(IGNORE); END"],
    "postgresql": [
        "CREATE FUNCTION back() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER back BEFORE UPDATE ON series FOR EACH ROW EXECUTE FUNCTION back()",
    ],
}


@asynccontextmanager
async def several(home: Home) -> AsyncIterator[list[Database]]:
    """Processes on the database, each with connections of its own."""
    async with AsyncExitStack() as stack:
        databases = []
        for _ in range(PROCESSES):
            databases.append(await home.open())
            stack.push_async_callback(databases[-1].close)
        yield databases


async def take(database: Database, holder: str, now: int) -> int:
    """A series for this holder; its number."""
    number, _ = await database.transaction(lambda tx: processes.take_series(tx, holder, now, now + LASTS))
    return number


async def all_take(databases: list[Database], turn: int = 0) -> set[int]:
    """Each of that turn's takers takes one, through a connection of its own."""
    takers = [(databases[number % PROCESSES], name) for number, name in enumerate(names(turn))]
    return set(await asyncio.gather(*(take(database, name, turn * LATER) for database, name in takers)))


def names(turn: int) -> list[str]:
    """Of the takers of that turn."""
    return [f"taker {number} of turn {turn}" for number in range(TAKERS)]


async def release(database: Database, turn: int) -> None:
    """All that was taken in that turn is free."""
    await database.transaction(lambda tx: processes.release_series(tx, names(turn)))


@pytest.mark.usefixtures("crowded")
async def test_all_that_take_at_once_get_one(home: Home) -> None:
    """On an empty database, and when all are free again: none is refused, and no two have the same."""
    async with several(home) as databases:
        for _ in range(3):
            assert await all_take(databases) == set(range(TAKERS))
            await release(databases[0], 0)


@pytest.mark.usefixtures("crowded")
async def test_there_are_no_more_series_than_takers(home: Home) -> None:
    """However often they are given up, or left by the dead, and taken by others, all at once."""
    async with several(home) as databases:
        for turn in range(4):
            assert len(await all_take(databases, turn)) == TAKERS
            if turn % 2:
                await release(databases[0], turn)
        assert rows(home, "SELECT count(*) FROM series") == [(TAKERS,)]


async def test_where_none_can_be_had(home: Home) -> None:
    """Each that is free is taken back before it is taken: whoever asked is told to try again."""
    async with several(home) as databases:
        await take(databases[0], "gone", 0)
        with beside(home) as other:
            for statement in TAKES_BACK[home.kind]:
                other.execute(statement)
        with pytest.raises(Unavailable, match="try again"):
            await take(databases[0], "new", LATER)
