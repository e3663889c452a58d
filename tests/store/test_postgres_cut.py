"""The PostgreSQL driver when the network fails: in doubt only in the middle of a commit."""

import asyncio
from typing import Any, Final

import pytest

from postroom.domain.errors import Unavailable
from postroom.store.database import Transaction
from tests.support.home import PostgresHome
from tests.support.hub import rows
from tests.support.proxy import Proxy
from tests.support.writing import NAMES, insert, names, pooled, write

pytestmark = pytest.mark.anyio

SOON: Final = 20.0  # seconds


async def test_a_commit_without_an_answer_is_in_doubt(far: PostgresHome, proxy: Proxy) -> None:
    """It has happened, but nobody here can know: it is told so, and not done again."""
    runs = 0

    async def body(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        await insert(tx, "once")

    async with pooled(far) as database:
        proxy.stall_answers(to=b"COMMIT")
        writing = asyncio.create_task(database.transaction(body))
        assert await asyncio.to_thread(proxy.held.wait, SOON)
        proxy.cut()
        with pytest.raises(Unavailable, match="middle of a commit"):
            await writing
        proxy.heal()
        assert await names(database) == ["once"]
    assert runs == 1


async def test_a_commit_that_did_not_arrive_is_in_doubt(far: PostgresHome, proxy: Proxy) -> None:
    """The same answer, though nothing has happened."""
    runs, stalled = 0, asyncio.Event()

    async def body(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        await insert(tx, "never")
        await tx.fetch("list_organizations")
        proxy.stall()
        stalled.set()

    async with pooled(far) as database:
        writing = asyncio.create_task(database.transaction(body))
        await stalled.wait()
        done, _ = await asyncio.wait([writing], timeout=0.1)
        assert not done
        proxy.cut()
        with pytest.raises(Unavailable, match="middle of a commit"):
            await writing
        proxy.heal()
        assert await names(database) == []
    assert runs == 1


async def test_a_cut_before_the_commit_is_not_noticed(far: PostgresHome, proxy: Proxy) -> None:
    """Everything is done again on another connection."""
    runs = 0

    async def body(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        await insert(tx, f"run {runs}")
        if runs == 1:
            proxy.cut()
            proxy.heal()
        await insert(tx, "then")

    async with pooled(far) as database:
        await database.transaction(body)
    assert rows(far, NAMES) == [("run 2",), ("then",)]


async def test_a_cut_that_lasts_is_told_and_recovered_from(far: PostgresHome, proxy: Proxy) -> None:
    """Reads and writes are refused within seconds, and succeed as soon as the way is free."""
    async with pooled(far) as database:
        await write(database, "before")
        proxy.cut()
        answers = await asyncio.gather(
            names(database), write(database, "during"), database.snapshot(names), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [Unavailable] * 3
        proxy.heal()
        assert await write(database, "after")
        assert await names(database) == ["after", "before"]


@pytest.mark.usefixtures("hasty")
async def test_a_black_hole_is_told_and_recovered_from(far: PostgresHome, proxy: Proxy) -> None:
    """Where no answer comes and no error either, nobody waits for ever, and closing ends."""
    async with pooled(far) as database:
        await write(database, "before")
        proxy.stall()
        answers = await asyncio.gather(
            *(names(database), write(database, "during"), write(database, "too")), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [Unavailable] * 3
        proxy.heal()
        assert await write(database, "after")
        assert {"after", "before"} <= set(await names(database))
        proxy.stall()


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("what", ["reading", "writing", "committing"])
async def test_who_is_cancelled_in_a_black_hole_ends(far: PostgresHome, proxy: Proxy, what: str) -> None:
    """A process that is to stop does; it is not told Unavailable, which would make it try again."""

    async def body(tx: Transaction) -> None:
        await insert(tx, "one")
        if what == "writing":
            proxy.stall()
            await names(tx)

    async with pooled(far) as database:
        if what == "reading":
            proxy.stall()
            working: asyncio.Task[Any] = asyncio.create_task(names(database))
        else:
            if what == "committing":
                proxy.stall_answers(to=b"COMMIT")
            working = asyncio.create_task(database.transaction(body))
        done, _ = await asyncio.wait([working], timeout=0.1)
        assert not done
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        proxy.heal()
        assert await write(database, "after")
