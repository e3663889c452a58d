"""What a session with PostgreSQL is told, whatever the database and the user were told."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from postroom.domain.clock import system_clock
from postroom.domain.errors import NotFound, StoreError
from postroom.store import drivers
from postroom.store.channel import PostgresChannel
from postroom.store.connections import Connection
from postroom.store.postgres import connect
from tests.support.home import PostgresHome
from tests.support.hub import Place, execute, opened, place, place_of
from tests.support.postgres import Server
from tests.support.writing import pooled

pytestmark = pytest.mark.anyio


@pytest.fixture
def strict(postgresql_home: PostgresHome) -> PostgresHome:
    """A database that was told to isolate transactions more strictly."""
    told = "SET default_transaction_isolation = 'repeatable read'"
    execute(postgresql_home, f'ALTER DATABASE "{postgresql_home.name}" {told}')
    return postgresql_home


@asynccontextmanager
async def channel_of(home: PostgresHome) -> AsyncIterator[Connection]:
    """The connection over which news comes."""
    channel, ready = PostgresChannel(home.address), asyncio.Event()
    listening = asyncio.create_task(channel.listen(lambda _: None, ready.set))
    await ready.wait()
    yield channel._connection
    listening.cancel()
    await asyncio.wait([listening])


async def test_every_session_reads_what_is_committed(strict: PostgresHome) -> None:
    """Who waited for a lock must see what its holder wrote: the locks rely on it."""
    async with pooled(strict, 2) as database, channel_of(strict) as listening:
        pool = [await database._connections.acquire() for _ in range(2)]
        single = await connect(strict.address)
        for each in (*pool, single, listening):
            assert await each.fetchval("SHOW transaction_isolation") == "read committed"
        await single.close()
        for each in pool:
            database._connections.release(each)


async def test_accepting_beside_deleting_a_listener(strict: PostgresHome) -> None:
    """By two processes, again and again: counts and deliveries never part."""
    async with opened(strict) as one, opened(strict) as other:
        here = await place(one)
        there = await place_of(other, here.org_id, here.queue_id)
        for _ in range(15):
            listener = await here.listener()
            sending = [asyncio.create_task(send_until_deleted(here, listener.id)) for _ in range(8)]
            await here.send()
            await there.hub.listeners.delete(here.org_id, here.queue_id, listener.id)
            await asyncio.gather(*sending)
        assert await one.audit.differences() == []


async def send_until_deleted(here: Place, listener_id: str) -> None:
    """Accept one message after another, for as long as the listener is there."""
    while True:
        await here.send()
        try:
            await here.hub.listeners.get(here.org_id, here.queue_id, listener_id)
        except NotFound:
            return


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
def narrow(request: pytest.FixtureRequest, postgres: Server) -> Iterator[PostgresHome]:
    """A database of another encoding than UTF-8."""
    home = PostgresHome(postgres, f"narrow_{request.param.lower()}")
    postgres.rows("postgres", f"CREATE DATABASE {home.name} ENCODING '{request.param}' TEMPLATE template0")
    yield home
    home.close()


async def test_a_database_that_does_not_hold_all_text(narrow: PostgresHome) -> None:
    """It is refused before anything is written there; the sentence says how to make another one."""
    ways = (
        drivers.migrate(narrow.address, system_clock),
        drivers.distribute(narrow.address, system_clock, lambda _: None),
        drivers.exists(narrow.address),
        drivers.open_database(narrow.address, 2),
    )
    for way in ways:
        with pytest.raises(StoreError, match=r"encoding (LATIN1|SQL_ASCII), .* ENCODING 'UTF8'"):
            await way
    tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    assert narrow.rows(tables) == [(0,)]
