"""What a session with PostgreSQL is told, whatever the database and the user were told."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

import pytest

from postroom.domain.clock import system_clock
from postroom.domain.errors import NotFound, StoreError
from postroom.store import drivers
from postroom.store.channel import PostgresChannel
from postroom.store.connections import Connection
from postroom.store.postgres import connect
from postroom.store.steps import known
from tests.acceptance.house import until
from tests.support.home import PostgresHome
from tests.support.hub import Place, execute, opened, place, place_of
from tests.support.postgres import HOST, PASSWORD, Server
from tests.support.writing import pooled

pytestmark = pytest.mark.anyio

HURRY: Final = 200  # ms


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


WAITS_LONG: Final = f"""
    SELECT 1 FROM pg_stat_activity WHERE usename = 'in_a_hurry' AND wait_event_type = 'Lock'
    AND clock_timestamp() > query_start + interval '{4 * HURRY} ms'
"""


@pytest.fixture
def hurried(postgres: Server) -> Iterator[str]:
    """The address of an empty database for a user whose statements and waits are short, as for PgBouncer."""
    postgres.create("hurried")
    postgres.rows("postgres", f"CREATE ROLE in_a_hurry LOGIN PASSWORD '{PASSWORD}'")
    for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        postgres.rows("postgres", f"ALTER ROLE in_a_hurry SET {name} = '{HURRY}ms'")
    postgres.rows("postgres", "ALTER DATABASE hurried OWNER TO in_a_hurry")
    yield f"postgresql://in_a_hurry:{PASSWORD}@{HOST}:{postgres.port}/hurried"
    postgres.drop("hurried")
    postgres.rows("postgres", "DROP ROLE in_a_hurry")


async def test_migrating_is_in_no_hurry(postgres: Server, hurried: str) -> None:
    """What the user was told for short transactions holds for no migration, which may wait and take long."""
    with PostgresHome(postgres, "hurried").beside() as other:
        other.execute("SELECT pg_advisory_lock($1)", (0x706F7374,))
        migrating = asyncio.create_task(drivers.migrate(hurried, system_clock))
        await until(lambda: asyncio.to_thread(postgres.rows, "postgres", WAITS_LONG), bool)
    assert await migrating == list(known())


async def test_sessions_in_no_hurry(hurried: str) -> None:
    """Those that migrate, distribute, and copy."""
    single = await connect(hurried)
    for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        assert await single.fetchval(f"SHOW {name}") == "0"
    await single.close()
