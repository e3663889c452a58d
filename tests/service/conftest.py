"""Databases of either kind, as many as a test needs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.copies import Another
from tests.support.home import Home, PostgresHome, SqliteHome
from tests.support.postgres import Server


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
