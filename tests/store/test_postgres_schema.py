"""Bringing a PostgreSQL database to this version's schema."""

import asyncio
import re
import subprocess
from collections.abc import Iterator

import asyncpg
import pytest

from postroom.domain.errors import StoreError, Unavailable
from postroom.store.postgres_schema import exists, migrate, translation
from postroom.store.steps import JOURNAL, known
from tests.support.clock import NOON, MovingClock
from tests.support.home import PostgresHome
from tests.support.postgres import HOST, Server, free_port

pytestmark = pytest.mark.anyio

CLOCK = MovingClock()
NEWER = len(known()) + 1
TABLES = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"


@pytest.fixture
def empty(postgres: Server) -> Iterator[PostgresHome]:
    """A database with nothing in it."""
    home = PostgresHome.fresh(postgres, "template1")
    yield home
    home.close()


def schema(home: PostgresHome) -> str:
    """Everything that the database holds, as it is declared."""
    words = [str(Server.program("pg_dump")), "--schema-only", home.server.url(home.name)]
    done = subprocess.run(words, capture_output=True, check=True, timeout=60, text=True)
    return re.sub(r"^(--|\\(un)?restrict ).*\n", "", done.stdout, flags=re.MULTILINE)


def journal(home: PostgresHome) -> list[tuple[int, str, int, int]]:
    """The migrations that the database says it has had."""
    return [
        (number, name, at, oldest)
        for number, name, at, oldest in home.rows(
            "SELECT number, name, applied_at, oldest FROM migrations ORDER BY number"
        )
    ]


async def apply_first(home: PostgresHome, count: int) -> None:
    """Give an empty database so many of the first steps, as if long ago."""
    connection = await asyncpg.connect(home.address, ssl=False)
    try:
        await connection.execute(translation(JOURNAL))
        for step in known()[:count]:
            await connection.execute(translation(step.sql))
            home.rows("INSERT INTO migrations VALUES ($1, $2, 1, $3)", step.number, step.name, step.oldest)
    finally:
        await connection.close()


async def test_an_empty_database_gets_every_step(empty: PostgresHome, template: str) -> None:
    """Each stands in the journal with its time, and who can work with it."""
    assert not await exists(empty.address)
    assert tuple(await migrate(empty.address, CLOCK)) == known()
    assert journal(empty) == [(step.number, step.name, NOON, step.oldest) for step in known()]
    assert await exists(empty.address)
    assert empty.rows("SELECT count(*), count(holder), min(slot), max(slot) FROM slots") == [(256, 0, 0, 255)]
    assert schema(empty) == schema(PostgresHome(empty.server, template))


@pytest.mark.parametrize("had", range(1, len(known())))
async def test_one_step_at_a_time_equals_all_at_once(empty: PostgresHome, template: str, had: int) -> None:
    """A database that had the first steps long ago ends as a new one does."""
    await apply_first(empty, had)
    assert tuple(await migrate(empty.address, CLOCK)) == known()[had:]
    assert schema(empty) == schema(PostgresHome(empty.server, template))


def test_what_is_for_postgresql_alone() -> None:
    """A comment for SQLite is a statement here; what is a comment for both stays one."""
    sql = (
        "-- both\n--postgresql ALTER TABLE t ADD n INTEGER;\nCREATE TABLE u (b BLOB) STRICT; --postgresql no"
    )
    assert translation(sql) == "\nALTER TABLE t ADD n BIGINT;\nCREATE TABLE u (b BYTEA); "


def test_no_reference_is_looked_up_for_a_message(postgresql_home: PostgresHome) -> None:
    """Neither for it nor for what it is owed to; the attempts that are made for it go with it."""
    found = postgresql_home.rows(
        "SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint"
        " WHERE contype = 'f' AND conrelid::regclass::text IN ('messages', 'deliveries', 'attempts')"
    )
    assert found == [("attempts", "deliveries")]


async def test_beside_a_program_that_could_not_go_on(empty: PostgresHome) -> None:
    """A step that older programs cannot work beside waits until the last of them is gone."""
    had = max(step.number for step in known() if step.oldest == step.number) - 1
    await apply_first(empty, had)
    empty.rows("INSERT INTO processes VALUES ('old', extract(epoch FROM now()) * 1000 + 60000)")
    before = schema(empty), journal(empty)
    with pytest.raises(StoreError, match=r"in use.*stop all of them"):
        await migrate(empty.address, CLOCK)
    assert (schema(empty), journal(empty)) == before
    empty.rows("UPDATE processes SET expires_at = 1")
    assert tuple(await migrate(empty.address, CLOCK)) == known()[had:]


async def test_migrating_again_changes_nothing(postgresql_home: PostgresHome) -> None:
    """A start on a database of this version applies nothing."""
    before = journal(postgresql_home)
    assert await migrate(postgresql_home.address, CLOCK) == []
    assert journal(postgresql_home) == before


@pytest.mark.parametrize("attempt", range(4))
async def test_some_that_start_at_once_apply_each_step_once(empty: PostgresHome, attempt: int) -> None:
    """Processes on the same empty database: one applies, the others wait and find it done."""
    applied = await asyncio.gather(*(migrate(empty.address, CLOCK) for _ in range(4)))
    assert sorted(map(len, applied)) == [0, 0, 0, len(known())]
    assert [number for number, *_ in journal(empty)] == [step.number for step in known()]


async def test_a_newer_database_is_refused_and_untouched(postgresql_home: PostgresHome) -> None:
    """The sentence names both versions, and nothing changes."""
    postgresql_home.rows("INSERT INTO migrations VALUES ($1, 'of_the_future', 1, $1)", NEWER)
    before = schema(postgresql_home), journal(postgresql_home)
    with pytest.raises(StoreError, match=rf"newer Postroom .*schema.* {NEWER},.* knows {NEWER - 1}\b"):
        await migrate(postgresql_home.address, CLOCK)
    assert (schema(postgresql_home), journal(postgresql_home)) == before


async def test_a_newer_database_that_this_version_can_work_with_is_left_as_it_is(
    postgresql_home: PostgresHome,
) -> None:
    """A rolling upgrade: the newer program has changed the schema, and this one is started once more."""
    postgresql_home.rows("INSERT INTO migrations VALUES ($1, 'of_the_future', 1, $2)", NEWER, NEWER - 1)
    before = schema(postgresql_home), journal(postgresql_home)
    assert await migrate(postgresql_home.address, CLOCK) == []
    assert (schema(postgresql_home), journal(postgresql_home)) == before


async def test_a_step_that_fails_leaves_the_schema_as_it_was(empty: PostgresHome) -> None:
    """A database with a table of ours that we did not make: the step is undone as a whole."""
    empty.rows("CREATE TABLE usage_events (mine integer)")
    before = schema(empty)
    with pytest.raises(asyncpg.DuplicateTableError, match="usage_events"):
        await migrate(empty.address, CLOCK)
    assert schema(empty) == before
    assert not await exists(empty.address)
    empty.rows("DROP TABLE usage_events")
    assert len(await migrate(empty.address, CLOCK)) == len(known())


async def test_whoever_dies_while_migrating_holds_nobody_up(empty: PostgresHome) -> None:
    """The lock goes with the connection: a second process that waits takes over."""
    with empty.beside() as holder:
        holder.execute("SELECT pg_advisory_lock($1)", (0x706F7374,))
        waiting = asyncio.create_task(migrate(empty.address, CLOCK))
        done, _ = await asyncio.wait([waiting], timeout=0.1)
        assert not done
        assert empty.rows(TABLES) == [(0,)]
        empty.rows("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
        assert len(await waiting) == len(known())


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    """Nobody listens: it may come."""
    url = f"postgresql://postroom:secret@{HOST}:{free_port()}/postroom"
    for ask in (migrate(url, CLOCK), exists(url)):
        with pytest.raises(Unavailable, match="out of reach") as caught:
            await ask
        assert "secret" not in caught.value.detail


async def test_a_database_that_is_not_there_is_the_operators_to_make(postgres: Server) -> None:
    """The sentence says what to do."""
    for ask in (migrate(postgres.url("nothing"), CLOCK), exists(postgres.url("nothing"))):
        with pytest.raises(StoreError, match="CREATE DATABASE"):
            await ask


async def test_another_program_s_database_is_not_ours(empty: PostgresHome) -> None:
    """Tables of other names do not make it one of Postroom's."""
    empty.rows("CREATE TABLE users (id integer)")
    assert not await exists(empty.address)


def test_text_is_compared_byte_by_byte(postgresql_home: PostgresHome) -> None:
    """Every column of text, in tables and indices, whatever the database's own rules are."""
    found = postgresql_home.rows(
        "SELECT c.relname, a.attname, l.collname FROM pg_attribute AS a"
        " JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_collation AS l ON l.oid = a.attcollation"
        " WHERE c.relnamespace = 'public'::regnamespace"
    )
    assert {collation for *_, collation in found} == {"C"}
    assert len(found) > 40


def test_every_column_has_one_of_three_types(postgresql_home: PostgresHome) -> None:
    """Whole numbers of 64 bits as in SQLite, text, bytes; a narrower one would overflow one day."""
    found = postgresql_home.rows(
        "SELECT DISTINCT data_type FROM information_schema.columns WHERE table_schema = 'public'"
    )
    assert {kind for (kind,) in found} == {"bigint", "text", "bytea"}


def test_the_translation_touches_types_only() -> None:
    """Comments go, `STRICT` and `WITHOUT ROWID` go, all else stays."""
    sql = "CREATE TABLE t (  -- a TEXT\n    id TEXT PRIMARY KEY, n INTEGER, b BLOB\n) STRICT, WITHOUT ROWID;"
    assert translation(sql) == (
        'CREATE TABLE t (  \n    id TEXT COLLATE "C" PRIMARY KEY, n BIGINT, b BYTEA\n);'
    )
    assert translation("CREATE TABLE t (n INTEGER) STRICT;") == "CREATE TABLE t (n BIGINT);"
