"""The SQLite driver: durable, undone on error, and clear when it cannot."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from postroom.domain.errors import StoreError, Unavailable
from postroom.store.checkpoints import CHECKPOINT_PAGES
from postroom.store.database import Transaction
from postroom.store.sqlite import SqliteDatabase, connect, translated
from tests.support.hub import beside, database_file, rows, unique

pytestmark = pytest.mark.anyio

PAGE = 4_096
MARKS = "SELECT series, seen_at FROM processes ORDER BY series"


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[SqliteDatabase]:
    """The driver on a file of its own."""
    database = SqliteDatabase(database_file(folder))
    try:
        yield database
    finally:
        await database.close()


async def mark(database: SqliteDatabase, series: int, at: int = 1) -> None:
    """The smallest write there is."""

    async def body(tx: Transaction) -> None:
        await tx.execute("mark_process", series, at)

    await database.transaction(body)


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)],
)
def test_how_a_file_is_opened(tmp_path: Path, pragma: str, value: object) -> None:
    """Write-ahead log, a sync with each commit, foreign keys."""
    connection = connect(database_file(tmp_path))
    assert connection.pragma(pragma) == value
    connection.close()


async def test_foreign_keys_hold(tmp_path: Path) -> None:
    """A delivery of no message is refused, and nothing of its transaction stays."""
    async with opened(tmp_path) as database:

        async def body(tx: Transaction) -> None:
            await tx.execute("mark_process", 1, 1)
            await tx.execute("insert_delivery", "org", "message", "listener", 1)

        with pytest.raises(apsw.ConstraintError):
            await database.transaction(body)
    assert rows(tmp_path, MARKS) == []


async def test_a_strict_column_refuses_what_it_is_not(tmp_path: Path) -> None:
    """Text in a column of numbers is an error, not a number."""
    async with opened(tmp_path) as database:

        async def body(tx: Transaction) -> None:
            await tx.execute("mark_process", 1, "soon")

        with pytest.raises(apsw.ConstraintError):
            await database.transaction(body)


async def test_a_transaction_answers_and_is_seen_by_others(tmp_path: Path) -> None:
    """What is committed is there for another connection when `transaction` returns."""
    async with opened(tmp_path) as database:

        async def body(tx: Transaction) -> list[Any]:
            await tx.execute_many("mark_process", [(2, 20), (1, 10)])
            return await tx.fetch("list_series")

        assert await database.transaction(body) == [(1,), (2,)]
        assert rows(tmp_path, MARKS) == [(1, 10), (2, 20)]
        assert await database.fetch("list_series") == [(1,), (2,)]


async def test_a_transaction_is_undone_on_error(tmp_path: Path) -> None:
    """Whatever the body raises comes out, nothing it wrote stays, and the next one works."""
    async with opened(tmp_path) as database:

        async def body(tx: Transaction) -> None:
            await tx.execute("mark_process", 1, 1)
            raise KeyError("broke")

        with pytest.raises(KeyError, match="broke"):
            await database.transaction(body)
        assert rows(tmp_path, MARKS) == []
        await mark(database, 2)
    assert rows(tmp_path, MARKS) == [(2, 1)]


async def test_a_body_that_waits_for_something_else_is_refused(tmp_path: Path) -> None:
    """It would hold the write lock while anything might happen; it is undone, and its own clean-up runs."""
    cleaned = list[str]()
    async with opened(tmp_path) as database:

        async def body(tx: Transaction) -> None:
            await tx.execute("mark_process", 1, 1)
            try:
                await asyncio.sleep(0)
            finally:
                cleaned.append("up")

        with pytest.raises(RuntimeError, match="waited for something that is not the database"):
            await database.transaction(body)
        assert rows(tmp_path, MARKS) == []
        await mark(database, 2)
    assert cleaned == ["up"]


async def test_transactions_do_not_mingle(tmp_path: Path) -> None:
    """Many at once run one after another, each from begin to commit."""
    async with opened(tmp_path) as database:

        async def body(tx: Transaction) -> int:
            series = len(await tx.fetch("list_series"))
            await tx.execute("mark_process", series, 1)
            return series

        numbers = await asyncio.gather(*(database.transaction(body) for _ in range(20)))
    assert sorted(numbers) == list(range(20))


async def test_a_busy_database_is_unavailable_and_recovers(tmp_path: Path) -> None:
    """While somebody else holds the write lock: reading goes on, writing is refused, the loop runs."""
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.001)

    async with opened(tmp_path) as database:
        with beside(tmp_path) as other:
            other.execute("BEGIN IMMEDIATE")
            turning = asyncio.create_task(turn())
            with pytest.raises(Unavailable, match="busy"):
                await mark(database, 1)
            turning.cancel()
            assert turns > 10
            assert await database.fetch("list_series") == []
            other.execute("COMMIT")
        await mark(database, 2)
    assert rows(tmp_path, MARKS) == [(2, 1)]


async def test_a_write_waits_for_one_that_is_soon_over(tmp_path: Path) -> None:
    """A command that writes beside the server makes nobody fail."""
    async with opened(tmp_path) as database:
        with beside(tmp_path) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("INSERT INTO processes VALUES (1, 1)")
            waiting = asyncio.create_task(mark(database, 2))
            await asyncio.sleep(0)
            assert not waiting.done()
            other.execute("COMMIT")
            await waiting
    assert rows(tmp_path, MARKS) == [(1, 1), (2, 1)]


async def test_the_version_changes_with_what_others_write(tmp_path: Path) -> None:
    """Own commits, and another's reading or undoing, leave it alone; another's commit moves it."""
    async with opened(tmp_path) as database:
        first = await database.version()
        await mark(database, 1)
        assert await database.version() == first
        with beside(tmp_path) as other:
            other.execute("SELECT * FROM processes")
            other.execute("BEGIN IMMEDIATE; DELETE FROM processes; ROLLBACK")
            assert await database.version() == first
            other.execute("INSERT INTO processes VALUES (2, 1)")
        second = await database.version()
        assert second != first
        await mark(database, 3)
        assert await database.version() == second


async def fill(database: SqliteDatabase, pages: int) -> None:
    """Commit, in ten steps, what makes the log longer by at least so many pages."""
    for _ in range(10):
        name = unique("long") + "x" * (pages // 10 * PAGE)

        async def body(tx: Transaction, name: str = name) -> None:
            await tx.fetch("insert_organization", name[:20], name, "UTC", None, 1)

        await database.transaction(body)


async def test_own_checkpoints_are_no_change(tmp_path: Path) -> None:
    """Folding the log into the file is nobody else's write."""
    async with opened(tmp_path) as database:
        before = await database.version()
        for _ in range(3):
            await fill(database, 2 * CHECKPOINT_PAGES)
            await asyncio.sleep(0)
            assert await database.version() == before


async def test_the_log_does_not_grow_without_end(tmp_path: Path) -> None:
    """While writes never pause for long, the log starts anew rather than keep every page."""
    async with opened(tmp_path) as database:
        for _ in range(20):
            await fill(database, CHECKPOINT_PAGES)
            await asyncio.sleep(0)
        assert (tmp_path / "postroom.db-wal").stat().st_size < 8 * CHECKPOINT_PAGES * PAGE


async def test_closing_waits_for_a_checkpoint_under_way(tmp_path: Path) -> None:
    """Nothing breaks when the process stops just then, nothing is lost, and no log is left behind."""
    broken = list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: broken.append(context))
    for _ in range(5):
        async with opened(tmp_path) as database:
            await fill(database, CHECKPOINT_PAGES)
        await asyncio.sleep(0)
        assert sorted(os.listdir(tmp_path)) == ["postroom.db"]
    asyncio.get_running_loop().set_exception_handler(None)
    assert broken == []
    assert rows(tmp_path, "SELECT count(*) FROM organizations") == [(50,)]


async def test_reading_apart(tmp_path: Path) -> None:
    """A long list is read beside the loop: what is committed is seen, and nobody writes through it."""
    async with opened(tmp_path) as database:
        await mark(database, 1)
        reading = asyncio.create_task(database.apart.fetch("list_series"))
        await asyncio.sleep(0)
        assert not reading.done()
        assert await reading == [(1,)]
        await mark(database, 2)
        assert await database.apart.fetch("list_series") == [(1,), (2,)]
        with pytest.raises(StoreError):
            await database.apart.fetch("mark_process", 3, 1)


async def test_a_read_beside_a_long_read_sees_the_newest(tmp_path: Path) -> None:
    """A snapshot that somebody keeps open holds nobody up."""
    async with opened(tmp_path) as database:
        with beside(tmp_path) as other:
            other.execute("BEGIN; SELECT * FROM processes")
            await mark(database, 1)
            assert await database.fetch("list_series") == [(1,)]
            other.execute("COMMIT")


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


async def test_a_closed_database_leaves_one_file(tmp_path: Path) -> None:
    """The last one to close folds the log into the file, which can then be copied alone."""
    async with opened(tmp_path) as database:
        await mark(database, 1)
    assert os.listdir(tmp_path) == ["postroom.db"]
    assert rows(tmp_path, MARKS) == [(1, 1)]
