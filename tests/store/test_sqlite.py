"""The SQLite driver: durable, undone on error, and clear when it cannot."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import apsw
import pytest

from postroom.domain.errors import StoreError, Unavailable
from postroom.store.checkpoints import CHECKPOINT_PAGES
from postroom.store.database import Reader, Transaction
from postroom.store.sqlite import SqliteDatabase, connect, translated
from tests.acceptance.house import DEADLINE
from tests.support.home import SqliteHome
from tests.support.hub import beside, rows, unique

pytestmark = pytest.mark.anyio

PAGE = 4_096
NAMES = "SELECT name FROM organizations ORDER BY name"


@asynccontextmanager
async def opened(home: SqliteHome) -> AsyncIterator[SqliteDatabase]:
    """The driver on a file of its own."""
    database = SqliteDatabase(home.file)
    try:
        yield database
    finally:
        await database.close()


async def write(database: SqliteDatabase, name: str) -> None:
    """The smallest write there is."""

    async def body(tx: Transaction) -> None:
        await insert(tx, name)

    await database.transaction(body)


async def names(database: Reader) -> list[str]:
    """The organizations that are there."""
    return [row[1] for row in await database.fetch("list_organizations")]


async def insert(tx: Transaction, name: str) -> None:
    """A new organization."""
    await tx.fetch("insert_organization", name, name, "UTC", None, 1)


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)],
)
def test_how_a_file_is_opened(sqlite_home: SqliteHome, pragma: str, value: object) -> None:
    """Write-ahead log, a sync with each commit, foreign keys."""
    connection = connect(sqlite_home.file)
    assert connection.pragma(pragma) == value
    connection.close()


async def test_a_body_that_waits_for_something_else_is_refused(sqlite_home: SqliteHome) -> None:
    """It would hold the write lock while anything might happen; it is undone, and its own clean-up runs."""
    cleaned = list[str]()
    async with opened(sqlite_home) as database:

        async def body(tx: Transaction) -> None:
            await insert(tx, "1")
            try:
                await asyncio.sleep(0)
            finally:
                cleaned.append("up")

        with pytest.raises(RuntimeError, match="waited for something that is not the database"):
            await database.transaction(body)
        assert rows(sqlite_home, NAMES) == []
        await write(database, "2")
    assert cleaned == ["up"]


async def test_the_version_changes_with_what_others_write(sqlite_home: SqliteHome) -> None:
    """Own commits, and another's reading or undoing, leave it alone; another's commit moves it."""
    async with opened(sqlite_home) as database:
        first = await database.version()
        await write(database, "1")
        assert await database.version() == first
        with beside(sqlite_home) as other:
            other.execute(NAMES)
            other.execute("BEGIN IMMEDIATE; DELETE FROM organizations; ROLLBACK")
            assert await database.version() == first
            other.execute("DELETE FROM organizations")
        second = await database.version()
        assert second != first
        await write(database, "3")
        assert await database.version() == second


async def fill(database: SqliteDatabase, pages: int) -> None:
    """Commit, in ten steps, what makes the log longer by at least so many pages."""
    for _ in range(10):
        name = unique("long") + "x" * (pages // 10 * PAGE)

        async def body(tx: Transaction, name: str = name) -> None:
            await tx.fetch("insert_organization", name[:20], name, "UTC", None, 1)

        await database.transaction(body)


async def test_own_checkpoints_are_no_change(sqlite_home: SqliteHome) -> None:
    """Folding the log into the file is nobody else's write."""
    async with opened(sqlite_home) as database:
        before = await database.version()
        for _ in range(3):
            await fill(database, 2 * CHECKPOINT_PAGES)
            await asyncio.sleep(0)
            assert await database.version() == before


async def test_the_log_does_not_grow_without_end(sqlite_home: SqliteHome) -> None:
    """While writes never pause for long, the log starts anew rather than keep every page."""
    async with opened(sqlite_home) as database:
        for _ in range(20):
            await fill(database, CHECKPOINT_PAGES)
            await asyncio.sleep(0)
        assert sqlite_home.file.with_name("postroom.db-wal").stat().st_size < 8 * CHECKPOINT_PAGES * PAGE


async def test_closing_waits_for_a_checkpoint_under_way(sqlite_home: SqliteHome) -> None:
    """Nothing breaks when the process stops just then, nothing is lost, and no log is left behind."""
    broken = list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: broken.append(context))
    for _ in range(5):
        async with opened(sqlite_home) as database:
            await fill(database, CHECKPOINT_PAGES)
        await asyncio.sleep(0)
        assert sorted(os.listdir(sqlite_home.folder)) == ["postroom.db"]
    asyncio.get_running_loop().set_exception_handler(None)
    assert broken == []
    assert rows(sqlite_home, "SELECT count(*) FROM organizations") == [(50,)]


async def test_nobody_writes_through_the_connection_for_reading(sqlite_home: SqliteHome) -> None:
    """Its thread can be in no writer's way."""
    async with opened(sqlite_home) as database:
        with pytest.raises(StoreError):
            await database.apart.fetch("insert_organization", "1", "1", "UTC", None, 1)
    assert rows(sqlite_home, NAMES) == []


async def test_a_read_beside_a_long_read_sees_the_newest(sqlite_home: SqliteHome) -> None:
    """A snapshot that somebody keeps open holds nobody up."""
    async with opened(sqlite_home) as database:
        with beside(sqlite_home) as other:
            other.execute("BEGIN; SELECT * FROM organizations")
            await write(database, "1")
            assert await names(database) == ["1"]
            other.execute("COMMIT")


async def test_a_long_read_of_this_process_holds_up_no_other(sqlite_home: SqliteHome) -> None:
    """While a snapshot is still being read, lists are read."""
    enough = threading.Event()

    async def read(reader: Reader) -> list[str]:
        found = await names(reader)
        assert enough.wait(DEADLINE)
        return found

    async with opened(sqlite_home) as database:
        await write(database, "1")
        slow = asyncio.create_task(database.snapshot(read))
        await write(database, "2")
        assert await names(database.apart) == ["1", "2"]
        assert not slow.done()
        enough.set()
        assert set(await slow) <= {"1", "2"}


@pytest.mark.parametrize(
    ("foreign", "ours"),
    [
        (apsw.BusyError, Unavailable),
        (apsw.LockedError, Unavailable),
        (apsw.FullError, Unavailable),
        (apsw.IOError, Unavailable),
        (apsw.CantOpenError, StoreError),
        (apsw.NotADBError, StoreError),
        (apsw.CorruptError, StoreError),
        (apsw.ReadOnlyError, StoreError),
        (apsw.ConstraintError, apsw.ConstraintError),
        (ValueError, ValueError),
    ],
)
def test_foreign_errors_are_translated_in_one_place(foreign: type[Exception], ours: type[Exception]) -> None:
    """What the operator or a second try can mend has a class of ours; what only a bug makes has not."""
    with pytest.raises(ours), translated():
        raise foreign("told by SQLite")


async def test_a_closed_database_leaves_one_file(sqlite_home: SqliteHome) -> None:
    """The last one to close folds the log into the file, which can then be copied alone."""
    async with opened(sqlite_home) as database:
        await write(database, "1")
    assert os.listdir(sqlite_home.folder) == ["postroom.db"]
    assert rows(sqlite_home, NAMES) == [("1",)]
