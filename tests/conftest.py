"""What every test can ask for."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from hypothesis import settings

from postroom.store import postgres as postgres_driver
from postroom.store import sqlite
from tests.support.home import KINDS, Home, PostgresHome, SqliteHome, migrated
from tests.support.postgres import Missing, Server, binaries

# How long an example takes says something about the machine, and nothing about Postroom.
settings.register_profile("postroom", deadline=None)
settings.load_profile("postroom")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on the event loop that the server runs on."""
    return "asyncio"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL that the tests share, each with databases of its own; under CI it must be there."""
    try:
        binaries()
    except Missing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    with Server() as server:
        yield server


@pytest.fixture(scope="session")
def template(postgres: Server) -> str:
    """The database that new ones are copies of; its name."""
    return migrated(postgres)


@pytest.fixture
def sqlite_home(tmp_path: Path) -> SqliteHome:
    """A file of the test's own."""
    return SqliteHome(tmp_path)


@pytest.fixture
def postgresql_home(postgres: Server, template: str) -> Iterator[PostgresHome]:
    """A database of the test's own on the server."""
    home = PostgresHome.fresh(postgres, template)
    yield home
    home.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Databases opened from now on do not wait for long for what somebody else holds."""
    monkeypatch.setattr(sqlite, "BUSY_WAIT", 1)
    monkeypatch.setitem(postgres_driver._SETTINGS, "lock_timeout", "1s")


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing begins too late, however busy the machine is."""
    monkeypatch.setattr(postgres_driver, "LATE_BY", 60_000)


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connecting may take as long as it takes where very many do so at once."""
    monkeypatch.setattr(postgres_driver, "CONNECT_WITHIN", 60)


@pytest.fixture(params=KINDS)
def home(request: pytest.FixtureRequest) -> Home:
    """A database of the test's own, once of each kind: what holds on one holds on the other."""
    return cast(Home, request.getfixturevalue(f"{request.param}_home"))
