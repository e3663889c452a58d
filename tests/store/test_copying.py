"""The rows of whole tables, read by key and written in bulk, on every database."""

from collections.abc import AsyncIterator
from itertools import pairwise

import apsw
import asyncpg
import pytest

from postroom.domain.errors import StoreError
from postroom.store.copying import TABLES, Piece, Table, Tables, open_tables
from postroom.store.database import Row
from postroom.store.sqlite_copying import SqliteTables
from tests.support.home import Home, PostgresHome, SqliteHome

pytestmark = pytest.mark.anyio

LEFT_BEHIND = {"processes", "slots", "migrations", "copies"}
INSERT = "INSERT INTO liveness VALUES ($1, $2, 1, 2, $3, NULL)"


@pytest.fixture
async def tables(home: Home) -> AsyncIterator[Tables]:
    """The home's tables."""
    opened = await open_tables(home.address)
    yield opened
    await opened.close()


def row(number: int, recent: str = "1") -> tuple[str, str, int, int, str, None]:
    """A row of `liveness`."""
    return f"org {number // 10}", f"listener {number % 10}", 1, 2, recent, None


async def all_in(tables: Tables, table: Table, piece: Piece) -> list[list[Row]]:
    """Every piece of a table, each from behind the last key of the one before."""
    pieces: list[list[Row]] = []
    after: Row | None = None
    while some := await tables.some(table, after, piece):
        after = table.key_of(some[-1])
        pieces.append(some)
    return pieces


def test_every_table_is_copied(sqlite_home: SqliteHome) -> None:
    """But those that say who serves, and what this database itself went through."""
    found = sqlite_home.rows(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    assert {name for (name,) in found} == {*TABLES, *LEFT_BEHIND}


def test_what_is_referred_to_comes_first(sqlite_home: SqliteHome) -> None:
    """A row never comes before the one that it refers to; organizations, which may, come all at once."""
    for place, name in enumerate(TABLES):
        others = {row[2] for row in sqlite_home.rows(f"PRAGMA foreign_key_list({name})")}
        assert others - {name} <= set(TABLES[:place])
        assert (name in others) == (name == "organizations")
    of_one, whole = (Table(name, (), (), ()).piece(Piece(1, 1)) for name in ("queues", "organizations"))
    assert of_one == Piece(1, 1)
    assert min(whole) > 1 << 30


async def test_tables_as_they_are_declared(home: Home, tables: Tables) -> None:
    """Columns, the key's in its order, and those of any length; who holds a series is left out."""
    assert await tables.table("attempts") == Table(
        "attempts",
        ("org_id", "message_id", "listener_id", "number", "at", "duration", "status", "error", "answer"),
        ("org_id", "message_id", "listener_id", "number"),
        ("org_id", "message_id", "listener_id", "error", "answer"),
    )
    assert await tables.table("series") == Table("series", ("number", "revision"), ("number",), ())
    assert (await tables.table("usage_totals")).key == ("org_id", "series", "started_at")


@pytest.mark.parametrize("rows", [1, 7, 10, 200])
async def test_pieces_by_rows(home: Home, tables: Tables, rows: int) -> None:
    """In the order of the bytes of their keys, each row once, none larger than it may be."""
    table = await tables.table("liveness")
    names = ["B", "a", "é", "Z", "_", "-", "z", "0", "~", "a b", "ab", "aB"]
    for number, name in enumerate(names * 5):
        home.rows(INSERT, name, f"{name} {number // len(names)}", "1")
    pieces = await all_in(tables, table, Piece(rows))
    assert max(map(len, pieces)) == min(rows, 60)
    found = [row for piece in pieces for row in piece]
    assert len(found) == await tables.count("liveness") == 60
    keys = [tuple(part.encode() for part in table.key_of(row)) for row in found]
    assert all(one < other for one, other in pairwise(keys))


async def test_pieces_by_size(home: Home, tables: Tables) -> None:
    """A piece ends with the row that makes it large enough, so it has one row at least."""
    table = await tables.table("liveness")
    for number, size in enumerate([10, 5_000, 10, 10, 950, 60, 10]):
        home.rows(INSERT, *row(number, "1" * size)[:2], "1" * size)
    assert list(map(len, await all_in(tables, table, Piece(100, 1_000)))) == [2, 3, 2]


async def test_rows_are_written_together_or_not_at_all(home: Home, tables: Tables) -> None:
    """A row that cannot be written takes the others of its piece with it."""
    table = await tables.table("liveness")
    await tables.add(table, [row(number) for number in range(3)])
    with pytest.raises((apsw.ConstraintError, asyncpg.UniqueViolationError)):
        await tables.add(table, [row(number) for number in (5, 4, 2)])
    assert home.rows("SELECT count(*) FROM liveness") == [(3,)]
    await tables.add(table, [row(number) for number in (5, 4)])
    assert await all_in(tables, table, Piece()) == [[row(number) for number in (0, 1, 2, 4, 5)]]


async def test_references_are_checked(home: Home, tables: Tables) -> None:
    """As for everybody who writes."""
    table = await tables.table("attempts")
    with pytest.raises((apsw.ConstraintError, asyncpg.ForeignKeyViolationError)):
        await tables.add(table, [("org", "message", "listener", 1, 1, 1, 200, None, b"")])
    assert home.rows("SELECT * FROM attempts") == []


async def test_frozen(home: Home, tables: Tables) -> None:
    """Others read, and cannot write until it is closed."""
    home.rows(INSERT, "org", "listener", "1")
    await tables.freeze()
    with home.beside() as other:
        if isinstance(home, PostgresHome):
            other.execute("SET lock_timeout = '100ms'")
        assert other.execute("SELECT count(*) FROM liveness") == [(1,)]
        with pytest.raises((apsw.BusyError, asyncpg.LockNotAvailableError)):
            other.execute("DELETE FROM liveness")
        assert await tables.count("liveness") == 1
        await tables.close()
        other.execute("DELETE FROM liveness")


async def test_claimed(home: Home, tables: Tables) -> None:
    """Once at a time; others read and write."""
    await tables.claim()
    second = await open_tables(home.address)
    try:
        with pytest.raises(StoreError, match=r"is under way|process \d+ is at work on"):
            await second.claim()
        home.rows(INSERT, "org", "listener", "1")
        assert await second.count("liveness") == 1
        await tables.close()
        await second.claim()
    finally:
        await second.close()


async def test_identity(home: Home, tables: Tables, sqlite_home: SqliteHome) -> None:
    """The same for each that opens the database, and other for another database."""
    again = await open_tables(home.address)
    assert await again.identity() == await tables.identity()
    await again.close()
    other = SqliteTables(sqlite_home.file.with_name("other.db"))
    assert await other.identity() != await tables.identity()
    await other.close()


async def test_two_databases_of_a_server(postgresql_home: PostgresHome) -> None:
    """They are different ones."""
    one = await open_tables(postgresql_home.address)
    other = await open_tables(postgresql_home.server.url())
    assert await one.identity() != await other.identity()
    assert (await one.schema() > 0, await other.schema()) == (True, 0)
    await one.close()
    await other.close()
