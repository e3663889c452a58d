"""A transaction on PostgreSQL that asks for nothing is one statement: what that may and may not do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import asyncpg
import pytest

from postroom.domain.errors import Unavailable
from postroom.store import postgres as driver
from postroom.store import postgres_transaction
from postroom.store.database import Database, NotMet, Transaction
from postroom.store.postgres_transaction import MANY
from tests.support.home import PostgresHome
from tests.support.hub import rows
from tests.support.proxy import Proxy

pytestmark = pytest.mark.anyio

MESSAGES: Final = "SELECT id FROM messages ORDER BY id"
SOON: Final = 20.0  # seconds


@asynccontextmanager
async def opened(home: PostgresHome) -> AsyncIterator[Database]:
    """The driver on a database with an organization."""
    database = await home.open()
    try:
        await database.transaction(lambda tx: tx.execute("insert_organization", "org", "org", "UTC", None, 1))
        yield database
    finally:
        await database.close()


async def accept(tx: Transaction, message_id: str) -> None:
    """What can be done at once: it asks for nothing."""
    await tx.execute("insert_message", "org", message_id, "queue", None, b"")
    await tx.execute("insert_delivery", "org", message_id, "listener", 1)


@pytest.mark.usefixtures("unhurried")
async def test_it_is_whole_or_nothing(postgresql_home: PostgresHome) -> None:
    """References are checked, and what fails leaves nothing; it is run again as any transaction is."""
    runs = 0

    async def body(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        await accept(tx, "two")
        await tx.execute("insert_attempt", "org", "none", "listener", 1, 1, 1, 200, None, b"")

    async with opened(postgresql_home) as database:
        await database.transaction(lambda tx: accept(tx, "one"), at_once=True)
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await database.transaction(body, at_once=True)
    assert runs == 5
    assert rows(postgresql_home, MESSAGES) == [("one",)]
    assert rows(postgresql_home, "SELECT message_id FROM deliveries") == [("one",)]


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("count", [1, 2, MANY - 1, MANY, MANY + 1])
async def test_many_rows_come_out_as_they_went_in(postgresql_home: PostgresHome, count: int) -> None:
    """Those in which all is the same but the id, and those in which something differs."""
    given: list[tuple[str, str, str, str | None, bytes]] = [
        ("org", f"{sort}{number}", queue_id, name, data)
        for number in range(count)
        for sort, queue_id, name, data in (
            ("a", "queue", None, b"data"),
            ("b", f"queue {number}", "name" if number else None, bytes([number])),
        )
    ]
    async with opened(postgresql_home) as database:
        for sort in ("a", "b"):
            of_sort = [row for row in given if row[1].startswith(sort)]
            await database.transaction(partial(insert, of_sort), at_once=True)
    assert sorted(rows(postgresql_home, "SELECT * FROM messages")) == sorted(given)
    owed = rows(postgresql_home, "SELECT message_id, due_at FROM deliveries")
    assert sorted(owed) == sorted((message_id, 5) for _, message_id, *_ in given)


async def insert(given: list[tuple[str, str, str, str | None, bytes]], tx: Transaction) -> None:
    """Messages, each owed to one listener."""
    await tx.execute_many("insert_message", given)
    await tx.execute_many("insert_delivery", [("org", row[1], "listener", 5) for row in given])


@pytest.mark.usefixtures("unhurried")
async def test_as_many_sorts_of_rows_as_there_may_be(
    postgresql_home: PostgresHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts of statements are forgotten when they become too many."""
    monkeypatch.setattr(postgres_transaction, "MOST_TEXTS", 2)
    async with opened(postgresql_home) as database:
        for start, same in enumerate((True, False, True, False)):
            many = [("org", f"{start}{n}", "q", None if same else str(n), b"") for n in range(MANY)]
            await database.transaction(partial(insert, many), at_once=True)
            await database.transaction(
                partial(insert, [("org", f"one {start}", "q", None, b"")]), at_once=True
            )
    assert rows(postgresql_home, "SELECT count(*) FROM messages") == [(4 * (MANY + 1),)]


@pytest.mark.usefixtures("unhurried")
async def test_what_asks_begins_then(postgresql_home: PostgresHome) -> None:
    """From there on it is a transaction as any: what was written before is undone with the rest."""

    async def body(tx: Transaction) -> None:
        await accept(tx, "two")
        assert len(await tx.fetch("list_messages", "org", "z", 9)) == 0  # of a queue that there is
        await accept(tx, "three")
        raise ValueError("enough")

    async with opened(postgresql_home) as database:
        with pytest.raises(ValueError, match="enough"):
            await database.transaction(body, at_once=True)
        await database.transaction(lambda tx: accept(tx, "one"), at_once=True)
    assert rows(postgresql_home, MESSAGES) == [("one",)]


@pytest.mark.usefixtures("unhurried")
async def test_a_statement_without_an_answer_is_in_doubt(postgresql_home: PostgresHome, proxy: Proxy) -> None:
    """It has happened, but nobody here can know: it is told so, and not done again."""
    runs = 0

    async def body(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        await accept(tx, "marked")

    async with opened(postgresql_home.through(proxy.port)) as database:
        await database.transaction(lambda tx: accept(tx, "one"), at_once=True)
        proxy.stall_answers(to=b"marked")
        writing = asyncio.create_task(database.transaction(body, at_once=True))
        assert await asyncio.to_thread(proxy.held.wait, SOON)
        proxy.cut()
        with pytest.raises(Unavailable, match="middle of a commit"):
            await writing
        proxy.heal()
        await database.transaction(lambda tx: accept(tx, "two"), at_once=True)
    assert runs == 1
    assert rows(postgresql_home, MESSAGES) == [("marked",), ("one",), ("two",)]


@pytest.mark.parametrize("asks", [False, True])
async def test_what_begins_too_late_is_not_done(postgresql_home: PostgresHome, asks: bool) -> None:
    """Whoever lists what is older than a time counts on it; it may be done the other way."""

    async def body(tx: Transaction) -> None:
        now = asyncio.get_running_loop().time
        deadline = now() + driver.LATE_BY / 1000 + 0.01
        while now() < deadline:
            pass  # it waits for nothing but the database, but it may be slow
        if asks:
            await tx.fetch("list_organizations")
        await accept(tx, "one")

    async with opened(postgresql_home) as database:
        with pytest.raises(NotMet):
            await database.transaction(body, at_once=True)
        assert rows(postgresql_home, MESSAGES) == []
        await database.transaction(body)
    assert rows(postgresql_home, MESSAGES) == [("one",)]
