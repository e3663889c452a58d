"""News between processes: heard by all who listen, lost where nobody is connected."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

import pytest

from postroom.domain.errors import StoreError, Unavailable
from postroom.store import channel as driver
from postroom.store.channel import MOST_BYTES, PostgresChannel
from tests.support.home import PostgresHome
from tests.support.hub import rows
from tests.support.postgres import HOST, Server
from tests.support.proxy import Proxy

pytestmark = pytest.mark.anyio

SOON: Final = 20.0  # seconds


class Listening:
    """A process that listens: what it hears, one after another."""

    def __init__(self, channel: PostgresChannel) -> None:
        self.channel = channel
        self.heard = asyncio.Queue[str]()
        self._ready = asyncio.Event()
        self.task = asyncio.create_task(channel.listen(self.heard.put_nowait, self._ready.set))

    async def ready(self) -> None:
        """Return when it is connected, or it has failed."""
        waiting = asyncio.create_task(self._ready.wait())
        await asyncio.wait([waiting, self.task], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()

    async def next(self) -> str:
        """What it hears next."""
        return await asyncio.wait_for(self.heard.get(), SOON)


@asynccontextmanager
async def listening(home: PostgresHome) -> AsyncIterator[Listening]:
    """One that is connected."""
    found = Listening(PostgresChannel(home.address))
    await found.ready()
    try:
        yield found
    finally:
        found.task.cancel()
        await asyncio.wait([found.task])


@pytest.fixture
def proxy(postgres: Server) -> Iterator[Proxy]:
    """A proxy before the shared server."""
    with Proxy(HOST, postgres.port) as proxy:
        yield proxy


@pytest.mark.parametrize("text", ["news", "", "é'\"\\$1; -- 👋", "x" * MOST_BYTES])
async def test_all_who_listen_hear_it(postgresql_home: PostgresHome, text: str) -> None:
    """The one that says it, too, as it was said."""
    async with listening(postgresql_home) as one, listening(postgresql_home) as other:
        await one.channel.send(text)
        assert await one.next() == await other.next() == text


async def test_news_come_in_the_order_in_which_they_were_said(postgresql_home: PostgresHome) -> None:
    """Also where many are said at once."""
    async with listening(postgresql_home) as one, listening(postgresql_home) as other:
        await asyncio.gather(*(one.channel.send(str(number)) for number in range(50)))
        assert [await other.next() for _ in range(50)] == [str(number) for number in range(50)]


async def test_other_databases_have_their_own(postgresql_home: PostgresHome, postgres: Server) -> None:
    """Nothing comes over from a neighbour on the same server."""
    neighbour = PostgresHome.fresh(postgres, "template1")
    async with listening(postgresql_home) as one, listening(neighbour) as other:
        await one.channel.send("mine")
        await other.channel.send("yours")
        assert await one.next() == "mine"
        assert await other.next() == "yours"
        assert one.heard.empty()
    neighbour.close()


async def test_nobody_is_connected(postgresql_home: PostgresHome) -> None:
    """What is said then is lost, and that is no error."""
    silent = PostgresChannel(postgresql_home.address)
    await silent.send("lost")
    async with listening(postgresql_home) as one:
        await silent.send("lost, too")
        await one.channel.send("heard")
        assert await one.next() == "heard"


async def test_a_connection_that_is_lost_ends_the_listening(
    postgresql_home: PostgresHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever listens is told, and can begin anew; what is said meanwhile is lost."""
    monkeypatch.setattr(driver, "_CHECK_EVERY", 0.05)
    async with listening(postgresql_home) as one:
        rows(
            postgresql_home,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        with pytest.raises(Unavailable):
            await asyncio.wait_for(one.task, SOON)
        await one.channel.send("lost")
    async with listening(postgresql_home) as one:
        await one.channel.send("heard")
        assert await one.next() == "heard"


async def test_a_black_hole_ends_the_listening(
    postgresql_home: PostgresHome, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where neither news nor errors come, it is noticed that the other side is gone."""
    monkeypatch.setattr(driver, "_CHECK_EVERY", 0.05)
    monkeypatch.setattr(driver, "_WITHIN", 0.3)
    async with listening(postgresql_home.through(proxy.port)) as one:
        proxy.stall()
        sending = asyncio.create_task(one.channel.send("lost"))
        with pytest.raises(Unavailable):
            await asyncio.wait_for(one.task, SOON)
        await asyncio.wait_for(sending, SOON)


async def test_a_database_that_is_not_there(postgres: Server) -> None:
    """The operator's to mend, and not to be waited for."""
    found = Listening(PostgresChannel(postgres.url("nothing")))
    with pytest.raises(StoreError):
        await asyncio.wait_for(found.task, SOON)
