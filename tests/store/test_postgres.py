"""The PostgreSQL driver: tried again where that is safe, in doubt only in the middle of a commit."""

import asyncio
from contextlib import suppress
from typing import Final

import asyncpg
import pytest

from postroom.domain.clock import system_clock
from postroom.domain.errors import StoreError, Unavailable
from postroom.store import drivers
from postroom.store import postgres as driver
from postroom.store.database import Transaction
from postroom.store.postgres import PostgresDatabase
from tests.support.home import PostgresHome
from tests.support.hub import beside, blocked, execute, rows
from tests.support.postgres import HOST, Server
from tests.support.writing import NAMES, insert, names, pooled, write

pytestmark = pytest.mark.anyio

KILL: Final = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name = 'postroom'"
)


async def test_a_lost_connection_starts_the_body_anew(postgresql_home: PostgresHome) -> None:
    """From its first statement, in a new transaction: what it wrote before is gone and written again."""
    seen = list[list[str]]()

    async def body(tx: Transaction) -> str:
        seen.append(await names(tx))
        await insert(tx, f"run {len(seen)}")
        if len(seen) < 3:
            rows(postgresql_home, KILL)
        return f"answer {len(await names(tx))}"

    async with pooled(postgresql_home) as database:
        assert await database.transaction(body) == "answer 1"
    assert seen == [[], [], []]
    assert rows(postgresql_home, NAMES) == [("run 3",)]


async def test_who_always_loses_his_connection_is_told(postgresql_home: PostgresHome) -> None:
    """A few times; then whoever asked may try again later."""
    runs = 0

    async def body(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        rows(postgresql_home, KILL)
        await names(tx)

    async with pooled(postgresql_home) as database:
        with pytest.raises(Unavailable, match="out of reach") as caught:
            await database.transaction(body)
        assert caught.value.retry_after == 2
        assert runs == 5
        assert await write(database, "after")


async def test_connections_that_died_in_the_pool_are_replaced(postgresql_home: PostgresHome) -> None:
    """All of them at once, as when the server is restarted: nobody who reads or writes next notices."""
    async with pooled(postgresql_home, 8) as database:
        for turn in range(3):
            assert all(await asyncio.gather(*(write(database, f"{turn} {n}") for n in range(16))))
            rows(postgresql_home, KILL)
            assert len(await names(database)) == 16 * (turn + 1)


async def test_two_that_lock_each_other_both_come_through(postgresql_home: PostgresHome) -> None:
    """PostgreSQL ends one of them, which is then begun anew."""
    execute(postgresql_home, "INSERT INTO series (number, holder) VALUES (1, 'own'), (2, 'own')")
    execute(postgresql_home, f'ALTER DATABASE "{postgresql_home.name}" SET deadlock_timeout = 20')
    both, runs = asyncio.Barrier(2), list[int]()

    async def cross(tx: Transaction, first: int, second: int) -> None:
        runs.append(first)
        await tx.execute("bump_revision", first, "own", 0)
        if len(runs) <= 2:
            await both.wait()
        await tx.execute("bump_revision", second, "own", 0)

    async with pooled(postgresql_home) as database:
        await asyncio.gather(
            database.transaction(lambda tx: cross(tx, 1, 2)), database.transaction(lambda tx: cross(tx, 2, 1))
        )
    assert len(runs) >= 3  # one more each time that the one begun anew is again in the other's way
    assert rows(postgresql_home, "SELECT revision FROM series") == [(2,), (2,)]


async def test_a_name_that_another_one_takes_meanwhile(postgresql_home: PostgresHome) -> None:
    """What the statement could not see yet is an error of PostgreSQL's; the next look sees it."""
    async with pooled(postgresql_home) as database:
        await write(database, "mine")

        async def rename(tx: Transaction) -> bool:
            return bool(await tx.fetch("rename_organization", "mine", "wanted"))

        with beside(postgresql_home) as other:
            other.execute("BEGIN")
            other.execute("INSERT INTO organizations VALUES ('2', 'wanted', 'UTC', NULL, 1)")
            renaming = asyncio.create_task(database.transaction(rename))
            await blocked(postgresql_home, "UPDATE organizations")
            other.execute("COMMIT")
            assert await renaming is False
    assert rows(postgresql_home, NAMES) == [("mine",), ("wanted",)]


async def test_who_goes_on_after_an_error_has_committed_nothing(postgresql_home: PostgresHome) -> None:
    """PostgreSQL undoes a transaction with its first error, and takes a COMMIT of it without complaint."""

    async def body(tx: Transaction) -> None:
        await insert(tx, "lost")
        with suppress(asyncpg.DataError):
            await tx.fetch("due_deliveries", "", "", 0, -1, 0, 0)

    async with pooled(postgresql_home) as database:
        with pytest.raises(RuntimeError, match="undone"):
            await database.transaction(body)
        assert await write(database, "next")
    assert rows(postgresql_home, NAMES) == [("next",)]


async def test_a_mistake_is_not_tried_again(postgresql_home: PostgresHome) -> None:
    """Whatever the body raises comes out at once; so does what PostgreSQL says of a wrong statement."""
    runs = 0

    async def body(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        await tx.fetch("find_organization", 1)

    async with pooled(postgresql_home) as database:
        with pytest.raises(asyncpg.DataError):
            await database.transaction(body)
    assert runs == 1


async def test_a_missing_reference_is_a_mistake_after_all(postgresql_home: PostgresHome) -> None:
    """It may have come or gone meanwhile, so the body is run again; if it still is missing, that is told."""
    runs = 0

    async def body(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        await tx.execute("insert_queue", "nobody", "id", "name", None, 1)

    async with pooled(postgresql_home) as database:
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await database.transaction(body)
    assert runs == 5


async def test_a_server_that_is_killed_and_started_again() -> None:
    """What was acknowledged is there; meanwhile all are told; after it all goes on by itself."""
    with Server() as server:
        server.create("own")
        home = PostgresHome(server, "own")
        await drivers.migrate(home.address, system_clock)
        async with pooled(home) as database:
            await write(database, "before")
            server.kill()
            for ask in (names(database), write(database, "during")):
                with pytest.raises(Unavailable):
                    await ask
            server.start()
            assert await write(database, "after")
            assert await names(database) == ["after", "before"]


async def test_more_at_once_than_connections(postgresql_home: PostgresHome) -> None:
    """Whoever finds none waits for one."""
    async with pooled(postgresql_home, 2) as database:
        await asyncio.gather(*(write(database, str(number)) for number in range(40)))
        assert len(rows(postgresql_home, KILL)) == 2
    assert len(rows(postgresql_home, NAMES)) == 40


async def test_a_connection_with_an_open_transaction_is_not_used_again(postgresql_home: PostgresHome) -> None:
    """What was begun there and neither committed nor undone must not become part of the next one."""
    async with pooled(postgresql_home, 1) as database:
        connection = await database._connections.acquire()
        await connection.execute("BEGIN")
        await connection.execute("INSERT INTO organizations VALUES ('left', 'left', 'UTC', NULL, 1)")
        database._connections.release(connection)
        assert await write(database, "next")
        assert await names(database) == ["next"]


@pytest.mark.usefixtures("hasty")
async def test_no_connection_is_free_for_long(postgresql_home: PostgresHome) -> None:
    """Whoever waits too long for one is told so."""
    all_held, never = asyncio.Barrier(3), asyncio.Event()

    async def body(tx: Transaction) -> None:
        await all_held.wait()
        await never.wait()

    async with pooled(postgresql_home, 2) as database:
        holding = [asyncio.create_task(database.transaction(body)) for _ in range(2)]
        await all_held.wait()
        with pytest.raises(Unavailable):
            await names(database)
        never.set()
        await asyncio.gather(*holding)
        assert await names(database) == []


async def test_a_statement_that_takes_too_long(
    postgresql_home: PostgresHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends it, and the connection is used again."""
    monkeypatch.setitem(driver._SETTINGS, "statement_timeout", "1s")
    async with pooled(postgresql_home, 1) as database:
        with beside(postgresql_home) as other:
            other.execute("BEGIN")
            other.execute("LOCK TABLE organizations")
            with pytest.raises(Unavailable, match="busy"):
                await write(database, "one")
        assert await write(database, "two")


@pytest.mark.usefixtures("hasty")
async def test_a_snapshot_may_take_long(postgresql_home: PostgresHome) -> None:
    """It is for those who read everything: neither side ends it."""
    async with pooled(postgresql_home) as database:
        with beside(postgresql_home) as other:
            other.execute("BEGIN")
            other.execute("LOCK TABLE organizations")
            reading = asyncio.create_task(database.snapshot(names))
            done, _ = await asyncio.wait([reading], timeout=1)
            assert not done
        assert await reading == []


@pytest.mark.parametrize(
    ("told", "used"), [("off", "on"), ("local", "local"), ("remote_apply", "remote_apply"), ("on", "on")]
)
async def test_a_commit_is_durable_whatever_the_server_was_told(
    postgresql_home: PostgresHome, told: str, used: str
) -> None:
    """A server for caches may be told not to wait for the disk; here it does. What is stricter stays."""
    execute(postgresql_home, f'ALTER DATABASE "{postgresql_home.name}" SET synchronous_commit = {told}')
    async with pooled(postgresql_home) as database:
        connection = await database._connections.acquire()
        assert await connection.fetchval("SHOW synchronous_commit") == used
        database._connections.release(connection)


async def test_a_standby_is_not_written_to(postgresql_home: PostgresHome) -> None:
    """A server that only reads is not the one that is meant; when it becomes that, all goes on."""
    read_only = f'ALTER DATABASE "{postgresql_home.name}" SET default_transaction_read_only = '
    async with pooled(postgresql_home) as database:
        await write(database, "before")
        execute(postgresql_home, read_only + "on")
        rows(postgresql_home, KILL)
        with pytest.raises(Unavailable):
            await write(database, "during")
        with beside(postgresql_home) as other:
            other.execute("SET default_transaction_read_only = off")
            other.execute(read_only + "off")
        assert await write(database, "after")


@pytest.mark.parametrize(
    ("shut", "opened"),
    [
        ("ALTER ROLE {role} NOLOGIN", "ALTER ROLE {role} LOGIN"),
        ("ALTER ROLE {role} PASSWORD 'new'", "ALTER ROLE {role} PASSWORD 'secret'"),
        ("REVOKE CONNECT ON DATABASE {name} FROM public", "GRANT CONNECT ON DATABASE {name} TO public"),
        ("ALTER DATABASE {name} RENAME TO {name}_away", "ALTER DATABASE {name}_away RENAME TO {name}"),
    ],
    ids=["login", "password", "privilege", "database"],
)
async def test_who_was_let_in_before_may_try_again(
    postgres: Server, template: str, shut: str, opened: str
) -> None:
    """At the start it is the operator's to mend; later it is 503 until he has, and nothing is restarted."""
    role, name = "postroom_shut_out", postgres.fresh(template)
    words = {"role": role, "name": name}
    postgres.rows("postgres", f"CREATE ROLE {role} LOGIN PASSWORD 'secret' IN ROLE pg_read_all_data")
    url = f"postgresql://{role}:secret@{HOST}:{postgres.port}/{name}"
    database = await PostgresDatabase.open(url, 2)
    try:
        for connection in database._connections._idle:
            await connection.close()
        postgres.rows("postgres", shut.format(**words))
        with pytest.raises(Unavailable, match="try again") as caught:
            await names(database)
        assert role not in str(caught.value)
        with pytest.raises(StoreError, match="database"):
            await PostgresDatabase.open(url, 2)
        postgres.rows("postgres", opened.format(**words))
        assert await names(database) == []
    finally:
        await database.close()
        postgres.drop(name)
        postgres.rows("postgres", f"DROP ROLE {role}")


async def test_tables_that_are_missing_are_the_operators_to_mend(postgresql_home: PostgresHome) -> None:
    """He is told what to do; trying again would not help."""
    execute(postgresql_home, "ALTER TABLE organizations RENAME TO others")
    async with pooled(postgresql_home) as database:
        with pytest.raises(StoreError, match="postroom migrate"):
            await write(database, "one")
