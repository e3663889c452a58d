"""The proxy between Postroom and PostgreSQL does what the fault tests take for granted."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
from anyio.to_thread import run_sync

from tests.support.postgres import Server
from tests.support.proxy import Proxy

pytestmark = pytest.mark.anyio

DEADLINE = 30.0
Connection = Any  # asyncpg has no types
LOST = (OSError, asyncpg.PostgresConnectionError)


@pytest.fixture
def proxy(postgres: Server) -> Iterator[Proxy]:
    """A proxy before the shared server."""
    with Proxy("127.0.0.1", postgres.port) as proxy:
        yield proxy


@pytest.fixture
def database(postgres: Server) -> Iterator[str]:
    """A database with an empty table `notes`."""
    postgres.create("proxied")
    postgres.rows("proxied", "CREATE TABLE notes (note TEXT)")
    yield "proxied"
    postgres.drop("proxied")


@pytest.fixture
def url(postgres: Server, proxy: Proxy, database: str) -> str:
    """The database through the proxy."""
    return postgres.url(database, proxy.port)


@pytest.fixture
async def connection(url: str) -> AsyncIterator[Connection]:
    """A connection through the proxy."""
    connection = await asyncpg.connect(url)
    yield connection
    connection.terminate()


@pytest.fixture
async def direct(postgres: Server, database: str) -> AsyncIterator[Connection]:
    """A connection that does without the proxy."""
    connection = await asyncpg.connect(postgres.url(database))
    yield connection
    connection.terminate()


async def is_unanswered(work: "asyncio.Task[Any]", direct: Connection) -> bool:
    """Whether there is no answer while the server answers another connection many times over."""
    for _ in range(100):
        await direct.execute("SELECT 1")
    return not work.done()


async def until(direct: Connection, sql: str) -> None:
    """Wait until the query answers true."""
    async with asyncio.timeout(DEADLINE):
        while not await direct.fetchval(sql):
            await asyncio.sleep(0.01)


async def test_all_passes(proxy: Proxy, connection: Connection) -> None:
    """Both ways, also more than goes in one piece; connections are counted."""
    large = "x" * 3_000_000
    assert await connection.fetchval("SELECT $1::text", large) == large
    assert (proxy.accepted, proxy.open) == (1, 1)


async def test_cut(url: str, proxy: Proxy, connection: Connection, direct: Connection) -> None:
    """A request under way fails, new connections too, until it is healed."""
    asked = asyncio.create_task(connection.execute("SELECT pg_sleep(600)"))
    await until(direct, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)')")
    proxy.cut()
    with pytest.raises(LOST):
        await asked
    with pytest.raises(LOST):
        await asyncpg.connect(url)
    proxy.heal()
    again = await asyncpg.connect(url)
    assert await again.fetchval("SELECT 1") == 1
    assert (proxy.accepted, proxy.open) == (3, 1)
    await again.close()


async def test_stall(url: str, proxy: Proxy, connection: Connection, direct: Connection) -> None:
    """Connections stay, and new ones are made, but nothing is answered; all of it is once it is healed."""
    proxy.stall()
    asked = asyncio.create_task(connection.fetchval("SELECT 1"))
    joining = asyncio.create_task(asyncpg.connect(url))
    assert await is_unanswered(asked, direct)
    assert not joining.done()
    assert (proxy.accepted, proxy.open) == (2, 2)
    proxy.heal()
    async with asyncio.timeout(DEADLINE):
        assert await asked == 1
        await (await joining).close()


async def test_stalled_statement_is_late(proxy: Proxy, connection: Connection, direct: Connection) -> None:
    """What went into the black hole is carried out when that is healed, though its client has gone."""
    proxy.stall()
    write = asyncio.create_task(connection.execute("INSERT INTO notes VALUES ('late')"))
    assert await is_unanswered(write, direct)
    connection.terminate()
    with pytest.raises(LOST):
        await write
    assert await direct.fetchval("SELECT count(*) FROM notes") == 0
    proxy.heal()
    await until(direct, "SELECT count(*) = 1 FROM notes")


async def test_answer_to_commit_is_lost(
    url: str, proxy: Proxy, connection: Connection, direct: Connection
) -> None:
    """The COMMIT arrives, and its client never learns of it; other connections are answered meanwhile."""
    proxy.stall_answers(to=b"COMMIT")
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("INSERT INTO notes VALUES ('kept')")
    commit = asyncio.create_task(transaction.commit())
    assert await run_sync(proxy.held.wait, DEADLINE)
    assert await direct.fetchval("SELECT count(*) FROM notes") == 1
    other = await asyncpg.connect(url)
    assert await other.fetchval("SELECT count(*) FROM notes") == 1
    assert not commit.done()
    proxy.cut()
    with pytest.raises(LOST):
        await commit
    other.terminate()


async def test_answers_are_held(url: str, proxy: Proxy, connection: Connection, direct: Connection) -> None:
    """Requests pass, and no answer does from now on, nor to a new connection."""
    proxy.stall_answers()
    write = asyncio.create_task(connection.execute("INSERT INTO notes VALUES ('kept')"))
    joining = asyncio.create_task(asyncpg.connect(url))
    await until(direct, "SELECT count(*) = 1 FROM notes")
    assert await is_unanswered(write, direct)
    assert not joining.done()
    proxy.heal()
    async with asyncio.timeout(DEADLINE):
        assert await write == "INSERT 0 1"
        await (await joining).close()


async def test_server_ends_behind_a_stall(postgres: Server, proxy: Proxy, direct: Connection) -> None:
    """The client does not hear of the server's end before the stall is healed; then it does."""
    with Server() as server:
        proxy.target = ("127.0.0.1", server.port)
        connection = await asyncpg.connect(server.url(port=proxy.port))
        asked = asyncio.create_task(connection.execute("SELECT pg_sleep(600)"))
        proxy.stall()
        await run_sync(server.kill)
        assert await is_unanswered(asked, direct)
        proxy.heal()
        with pytest.raises(LOST):
            await asked
        proxy.target = ("127.0.0.1", postgres.port)
        again = await asyncpg.connect(postgres.url(port=proxy.port))
        await again.close()
