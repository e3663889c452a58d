"""What PostgreSQL's errors mean, each of them made by a real server."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple

import asyncpg
import pytest

from postroom.domain.errors import StoreError, Unavailable
from postroom.store.postgres import connect
from postroom.store.trouble import explained, is_lost, passes, translated
from tests.support.home import PostgresHome
from tests.support.postgres import HOST, PASSWORD, Server, free_port

pytestmark = pytest.mark.anyio

NOBODY: Final = "postroom_reader"


class Meaning(NamedTuple):
    """Whether the same is tried again, whether the connection is given up, and what the caller is told."""

    passes: bool
    lost: bool
    told: type[Exception] | None
    words: str = ""


AGAIN: Final = Meaning(True, False, None)
BUSY: Final = Meaning(False, False, Unavailable, "busy")
GONE: Final = Meaning(True, True, Unavailable, "out of reach")
MISTAKE: Final = Meaning(False, False, None)


def meaning(error: Exception) -> Meaning:
    """What the error is taken for."""
    told = explained(error)
    detail = getattr(told, "detail", "")
    return Meaning(passes(error), is_lost(error), type(told) if told else None, detail)


def check(error: Exception, expected: Meaning) -> None:
    """It means that, and the caller is told so in words."""
    found = meaning(error)
    assert (found[:3], error.__class__.__name__) == (expected[:3], error.__class__.__name__)
    assert expected.words in found.words


@asynccontextmanager
async def connected(home: PostgresHome, **options: Any) -> AsyncIterator[Any]:
    """A connection of the driver's, without what Postroom puts around it."""
    connection = await asyncpg.connect(home.address, ssl=False, **options)
    try:
        yield connection
    finally:
        connection.terminate()


async def failure(work: Awaitable[Any]) -> Exception:
    """The error that it ends with."""
    try:
        await work
    except Exception as error:
        return error
    raise AssertionError("nothing went wrong")


def raising(state: str) -> str:
    """SQL that ends with the error of this code, which no test can bring about."""
    return f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("INSERT INTO slots VALUES (0)", AGAIN),
        ("INSERT INTO queues VALUES ('none', 'id', 'name', NULL, 1)", AGAIN),
        ("SET statement_timeout = 1; SELECT pg_sleep(5)", BUSY),
        ("SET transaction_timeout = 1; SELECT pg_sleep(5)", Meaning(True, True, Unavailable)),
        ("SELECT pg_terminate_backend(pg_backend_pid())", GONE),
        ("BEGIN READ ONLY; DELETE FROM copies", GONE),
        ("SET ROLE postroom_reader; DELETE FROM copies", Meaning(False, False, StoreError, "privilege")),
        ("SELECT * FROM nowhere", Meaning(False, False, StoreError, "postroom migrate")),
        (raising("53100"), Meaning(False, False, Unavailable, "full")),
        (raising("53200"), BUSY),
        (raising("57P02"), GONE),
        (raising("57P03"), GONE),
        ("SELEC 1", MISTAKE),
        ("SELECT 1 / 0", MISTAKE),
        ("SELECT nothing", MISTAKE),
        ("INSERT INTO slots VALUES (NULL)", MISTAKE),
        ("INSERT INTO api_keys VALUES ('o', 'i', 'n', '', '', 'odd', '', 1, 1, 1)", MISTAKE),
    ],
)
async def test_errors_of_a_statement(postgresql_home: PostgresHome, sql: str, expected: Meaning) -> None:
    """Tried again, told, or let through as a mistake of ours."""
    with suppress(asyncpg.DuplicateObjectError):
        postgresql_home.rows(f"CREATE ROLE {NOBODY}")
    async with connected(postgresql_home) as connection:
        check(await failure(connection.execute(sql)), expected)


async def test_a_serialization_failure_passes(postgresql_home: PostgresHome) -> None:
    """Two that count on the same state."""
    async with connected(postgresql_home) as one, connected(postgresql_home) as other:
        begun = one.transaction(isolation="serializable")
        await begun.start()
        await one.fetch("SELECT * FROM slots")
        await other.execute("UPDATE slots SET holder = 'x'")
        error = await failure(one.execute("UPDATE slots SET holder = 'y'"))
        assert isinstance(error, asyncpg.SerializationError)
        check(error, Meaning(True, False, Unavailable, "busy"))


async def test_a_deadlock_passes(postgresql_home: PostgresHome) -> None:
    """Two that want each other's rows: one of them may go on."""
    async with connected(postgresql_home) as one, connected(postgresql_home) as other:
        for connection, slot in ((one, 1), (other, 2)):
            await connection.execute("SET deadlock_timeout = '20ms'; BEGIN")
            await connection.execute("UPDATE slots SET holder = 'x' WHERE slot = $1", slot)
        crossing = (
            connection.execute("UPDATE slots SET holder = 'x' WHERE slot = $1", slot)
            for connection, slot in ((one, 2), (other, 1))
        )
        errors = [
            e for e in await asyncio.gather(*crossing, return_exceptions=True) if isinstance(e, Exception)
        ]
        assert [type(error) for error in errors] == [asyncpg.DeadlockDetectedError]
        check(errors[0], Meaning(True, False, Unavailable, "busy"))


async def test_a_lock_that_is_not_given_up_is_busy(postgresql_home: PostgresHome) -> None:
    """Not tried again at once: whoever waits has waited."""
    async with connected(postgresql_home) as one, connected(postgresql_home) as other:
        await one.execute("BEGIN; LOCK TABLE copies")
        check(await failure(other.execute("SET lock_timeout = 1; DELETE FROM copies")), BUSY)


async def test_a_connection_that_is_closed_is_lost(postgresql_home: PostgresHome) -> None:
    """Before a statement and in the middle of one, by either side."""
    async with connected(postgresql_home) as closed:
        await closed.close()
        check(await failure(closed.execute("SELECT 1")), GONE)
    async with connected(postgresql_home) as connection:
        sleeping = asyncio.create_task(connection.execute("SELECT pg_sleep(60)"))
        await asyncio.sleep(0)
        connection.terminate()
        check(await failure(sleeping), GONE)


async def test_an_answer_that_does_not_come_is_not_waited_for_twice(postgresql_home: PostgresHome) -> None:
    """The connection is of no more use; trying again at once would take as long again."""
    async with connected(postgresql_home, command_timeout=0.05) as connection:
        check(await failure(connection.execute("SELECT pg_sleep(60)")), Meaning(False, True, Unavailable))


@pytest.fixture
def reader(postgresql_home: PostgresHome) -> Iterator[str]:
    """The address for somebody who may connect once at a time; a password would be needed."""
    home = postgresql_home
    home.rows("CREATE ROLE postroom_guest LOGIN CONNECTION LIMIT 1 PASSWORD 'right'")
    yield f"postgresql://postroom_guest:right@{HOST}:{home.server.port}/{home.name}"
    home.rows("DROP ROLE postroom_guest")


Address = Callable[[Server, PostgresHome], str]


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        (lambda s, h: s.url("nothing"), StoreError, "CREATE DATABASE"),
        (lambda s, h: f"postgresql://postroom:wrong@{HOST}:{s.port}/{h.name}", StoreError, "password"),
        (lambda s, h: f"postgresql://stranger:wrong@{HOST}:{s.port}/{h.name}", StoreError, "password"),
        (
            lambda s, h: f"postgresql://postroom:wrong@{HOST}:{free_port()}/x",
            Unavailable,
            rf"{HOST}:\d+/x is out of reach \(.*failed",
        ),
        (
            lambda s, h: "postgresql://postroom:wrong@nobody.invalid:5433/x",
            Unavailable,
            r"nobody.invalid:5433/x is out of reach \(",
        ),
        (lambda s, h: s.url(h.name) + "?sslmode=verify-full", StoreError, "address of the database"),
        (lambda s, h: s.url(h.name) + "?sslmode=sometimes", StoreError, "address of the database"),
        (lambda s, h: s.url(h.name) + "?sslmode=require", StoreError, rf"{HOST}:\d+/\w+\?.* offers no TLS"),
    ],
)
async def test_errors_of_connecting(
    postgres: Server, postgresql_home: PostgresHome, address: Address, error: type[Exception], words: str
) -> None:
    """What the operator has to mend is a StoreError; what may be mended by waiting is not, and says where."""
    with pytest.raises(error, match=words) as caught:
        await connect(address(postgres, postgresql_home))
    assert "wrong" not in str(caught.value)
    assert PASSWORD not in str(caught.value)


async def test_too_many_connections_are_a_busy_server(reader: str) -> None:
    """Somebody will leave."""
    first = await connect(reader)
    with pytest.raises(Unavailable, match="busy"):
        await connect(reader)
    await first.close()
    await (await connect(reader)).close()


async def test_a_server_that_says_nothing_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that is open, with nobody behind it."""
    monkeypatch.setattr("postroom.store.postgres.CONNECT_WITHIN", 0.1)
    with socket.create_server((HOST, 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(Unavailable, match="out of reach"):
            await connect(f"postgresql://postroom:x@{HOST}:{port}/x")


def test_what_is_not_translated_comes_out_as_it_was() -> None:
    """Also errors of Postroom's own."""
    for error in (Unavailable("ours"), KeyError("theirs")):
        with pytest.raises(type(error)) as caught, translated():
            raise error
        assert caught.value is error
