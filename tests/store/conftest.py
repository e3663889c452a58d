"""A database behind a network that a test cuts."""

from collections.abc import Iterator

import pytest

from postroom.store import postgres as driver
from tests.support.home import PostgresHome
from tests.support.postgres import HOST, Server
from tests.support.proxy import Proxy


@pytest.fixture
def proxy(postgres: Server) -> Iterator[Proxy]:
    """A proxy before the shared server."""
    with Proxy(HOST, postgres.port) as proxy:
        yield proxy


@pytest.fixture
def far(postgresql_home: PostgresHome, proxy: Proxy) -> PostgresHome:
    """The same database, through the proxy."""
    return postgresql_home.through(proxy.port)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver's times are short, and long enough for what is to succeed."""
    monkeypatch.setattr(driver, "ANSWER_WITHIN", 1.5)
    monkeypatch.setattr(driver, "ACQUIRE_WITHIN", 1.5)
    monkeypatch.setattr(driver, "CONNECT_WITHIN", 1.5)
