"""Databases of either kind, as many as a test needs."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.copies import Another
from tests.support.home import Home, PostgresHome, SqliteHome
from tests.support.postgres import Server
from tests.support.two import Two, working


@pytest.fixture
def another(postgres: Server, template: str, tmp_path: Path) -> Iterator[Another]:
    """Makes homes of either kind."""
    made: list[Home] = []

    def make(kind: str) -> Home:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(SqliteHome(folder) if kind == "sqlite" else PostgresHome.fresh(postgres, template))
        return made[-1]

    yield make
    for home in made:
        home.close()


@pytest.fixture
async def two(postgresql_home: PostgresHome) -> AsyncIterator[Two]:
    """Two processes at work."""
    async with working(postgresql_home) as found:
        yield found
