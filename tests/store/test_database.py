"""The port to a database: what every driver promises, whichever it is."""

import asyncio
from typing import Any, Final

import apsw
import asyncpg
import pytest

from postroom.domain.clock import system_clock
from postroom.domain.errors import Unavailable
from postroom.store import messages
from postroom.store.database import NotMet, Reader, Transaction
from tests.support.home import Home
from tests.support.hub import beside, execute, rows
from tests.support.writing import NAMES, insert, names, opened, write

pytestmark = pytest.mark.anyio

BROKEN: Final = (apsw.ConstraintError, asyncpg.ForeignKeyViolationError)


async def test_a_transaction_answers_and_is_seen_by_others(home: Home) -> None:
    """Inside it sees what it wrote; what is committed is there for another connection when it returns."""
    async with opened(home) as database:

        async def body(tx: Transaction) -> list[str]:
            await insert(tx, "two")
            await insert(tx, "one")
            return await names(tx)

        assert await database.transaction(body) == ["one", "two"]
        assert rows(home, NAMES) == [("one",), ("two",)]
        assert await names(database) == await names(database.apart) == ["one", "two"]


async def test_rows_are_tuples(home: Home) -> None:
    """They can be compared, taken apart and be keys."""
    async with opened(home) as database:
        await write(database, "one")
        (row,) = await database.fetch("find_organization", "one")
        assert row == ("one", "one", "UTC", None, 1)
        assert {tuple(row): 1} == {("one", "one", "UTC", None, 1): 1}


async def test_a_transaction_is_undone_on_error(home: Home) -> None:
    """Whatever the body raises comes out, nothing it wrote stays, and the next one works."""
    async with opened(home) as database:

        async def body(tx: Transaction) -> None:
            await insert(tx, "one")
            raise KeyError("broke")

        with pytest.raises(KeyError, match="broke"):
            await database.transaction(body)
        assert rows(home, NAMES) == []
        await write(database, "two")
    assert rows(home, NAMES) == [("two",)]


async def test_what_is_cancelled_is_undone(home: Home) -> None:
    """A transaction broken off halfway leaves nothing, neither rows nor a lock nor a broken connection."""
    inside, never = asyncio.Event(), asyncio.Event()

    async def body(tx: Transaction) -> None:
        await insert(tx, "one")
        if home.kind == "sqlite":  # nothing can break it off there: it does not wait
            raise asyncio.CancelledError
        inside.set()
        await never.wait()

    async with opened(home) as database:
        working = asyncio.create_task(database.transaction(body))
        if home.kind == "postgresql":
            await inside.wait()
            working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert rows(home, NAMES) == []
        await asyncio.gather(*(write(database, name) for name in ("one", "two", "three")))
    assert rows(home, NAMES) == [("one",), ("three",), ("two",)]


async def test_others_do_not_see_what_is_not_committed(home: Home) -> None:
    """Neither through the same driver's reading side nor from outside."""
    async with opened(home) as database, opened(home) as other:
        seen = list[list[str]]()

        async def body(tx: Transaction) -> None:
            await insert(tx, "one")
            seen.append([name for (name,) in rows(home, NAMES)])

        await database.transaction(body)
        assert seen == [[]]
        assert await names(other) == ["one"]


async def test_what_is_committed_is_there_after_reopening(home: Home) -> None:
    """Closing loses nothing."""
    async with opened(home) as database:
        await write(database, "one")
    async with opened(home) as database:
        assert await names(database) == ["one"]


async def test_transactions_do_not_mingle(home: Home) -> None:
    """Many at once that change the same row: none is lost."""
    execute(home, "INSERT INTO series (number, holder) VALUES (0, 'own')")
    async with opened(home) as database, opened(home) as other:

        async def body(tx: Transaction) -> None:
            await tx.execute("bump_revision", 0, "own", 0)

        await asyncio.gather(*(each.transaction(body) for each in (database, other) * 20))
    assert rows(home, "SELECT revision FROM series") == [(40,)]


async def test_foreign_keys_hold(home: Home) -> None:
    """An attempt of no delivery is refused, and nothing of its transaction stays."""
    async with opened(home) as database:

        async def body(tx: Transaction) -> None:
            await insert(tx, "one")
            await tx.execute("insert_attempt", "one", "message", "listener", 1, 1, 1, 200, None, b"")

        with pytest.raises(BROKEN):
            await database.transaction(body)
    assert rows(home, NAMES) == []


async def test_deletions_cascade(home: Home) -> None:
    """A message takes its deliveries and attempts along, a queue its listeners and schemas."""
    made = [
        ("insert_queue", ("org", "queue", "queue", None, 1)),
        ("insert_schema", ("org", "queue", "schema", "{}")),
        ("insert_listener", ("org", "listener", "queue", "listener", "url", "url", "x", "enabled", 1, 1)),
        ("insert_message", ("org", "message", "queue", None, b"data")),
        ("insert_delivery", ("org", "message", "listener", 1)),
        ("insert_attempt", ("org", "message", "listener", 1, 1, 1, 200, None, b"")),
    ]

    async def make(tx: Transaction) -> None:
        await tx.execute("insert_organization", "org", "org", "UTC", None, 1)
        for query, params in made:
            await tx.execute(query, *params)

    async def delete(tx: Transaction) -> None:
        await messages.delete(tx, "org", ["message"])
        await tx.execute("delete_queue", "org", "queue")

    tables = ("queues", "schemas", "listeners", "messages", "deliveries", "attempts")
    async with opened(home) as database:
        await database.transaction(make)
        assert [rows(home, f"SELECT count(*) FROM {table}") for table in tables] == [[(1,)]] * 6
        await database.transaction(delete)
        assert [rows(home, f"SELECT count(*) FROM {table}") for table in tables] == [[(0,)]] * 6


async def test_messages_take_their_deliveries_along(home: Home) -> None:
    """With the attempts made for them; those of other queues and organizations stay."""
    kept = [("org", "m4", "q2"), ("other", "m1", "q")]
    made = [("org", f"m{number}", "q") for number in range(1, 4)] + kept

    async def make(tx: Transaction) -> None:
        await tx.execute_many("insert_organization", [(o, o, "UTC", None, 1) for o in ("org", "other")])
        await tx.execute_many("insert_message", [(o, m, q, None, b"") for o, m, q in made])
        rows = [(o, m, listener) for o, m, _ in made for listener in ("l1", "l2")]
        await tx.execute_many("insert_delivery", [(*row, 1) for row in rows])
        await tx.execute_many("insert_attempt", [(*row, 1, 1, 1, 200, None, b"") for row in rows])

    async def delete(tx: Transaction) -> tuple[int, int]:
        first, last = [await messages.delete_some_of_queue(tx, "org", "q", 2) for _ in range(2)]
        return first, last

    async with opened(home) as database:
        await database.transaction(make)
        assert await database.transaction(delete) == (2, 1)
    for table, column in (("messages", "id"), ("deliveries", "message_id"), ("attempts", "message_id")):
        found = rows(home, f"SELECT DISTINCT org_id, {column} FROM {table} ORDER BY org_id")
        assert found == [(org_id, message_id) for org_id, message_id, _ in kept]


async def test_many_rows_in_one_statement(home: Home) -> None:
    """Each row of parameters is for itself; those without an answer have none; no rows, nothing."""

    async def body(tx: Transaction) -> list[Any]:
        await tx.execute_many("insert_organization", [(n, n, "UTC", None, 1) for n in ("a", "b", "c")])
        await tx.execute_many("insert_queue", [("a", q, q, None, 1) for q in ("q1", "q2")])
        await tx.execute_many("insert_queue", [])
        assert await tx.fetch_many("share_queue", []) == []
        asked = [("a", "q1"), ("a", "q2"), ("b", "q1"), ("none", "q1")]
        return await tx.fetch_many("share_queue", asked)

    async with opened(home) as database:
        answered = await database.transaction(body)
        assert sorted(map(tuple, answered)) == [("a", "q1", 0), ("a", "q2", 0)]
    assert rows(home, NAMES) == [("a",), ("b",), ("c",)]


async def test_inserted_rows_are_there_for_all_that_follows(home: Home) -> None:
    """Though a driver may keep them back to send them together: reading, changing, inserting again."""

    async def body(tx: Transaction) -> list[Any]:
        await tx.execute("insert_organization", "org", "org", "UTC", None, 1)
        await tx.execute_many("insert_message", [("org", m, "q", None, b"") for m in ("m1", "m2")])
        await tx.execute_many("insert_delivery", [("org", m, "l", 5) for m in ("m1", "m2")])
        await tx.execute_many("insert_message", [("org", "m3", "q", None, b"")])
        await tx.execute("rename_message", "org", "m3", "renamed")
        await messages.delete(tx, "org", ["m1"])
        return await tx.fetch("due_deliveries", "org", "l", 9, 9, 9, 0)

    async with opened(home) as database:
        assert await database.transaction(body) == [("m2", 0, b"", 5)]
    assert rows(home, "SELECT id, name FROM messages ORDER BY id") == [("m2", None), ("m3", "renamed")]


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("insert_organization", ("other", "taken", "UTC", None, 1)),
        ("rename_organization", ("free", "taken")),
        ("insert_queue", ("org", "new", "taken", None, 1)),
        ("update_queue", ("org", "free", "taken", None)),
        ("insert_listener", ("org", "new", "free", "taken", "u", "u", "x", "enabled", 1, 1)),
        ("update_listener", ("org", "free", "taken", "u", "u", "enabled")),
        ("insert_api_key", ("org", "new", "taken", b"3", "p", "enabled", "[]", 1, None)),
        ("update_api_key", ("org", "free", "taken", "enabled", "[]", 1, None)),
    ],
)
async def test_a_taken_name_answers_no_row(home: Home, query: str, params: tuple[Any, ...]) -> None:
    """No error, so that the transaction can go on; and nothing is changed."""

    async def body(tx: Transaction) -> list[Any]:
        for number, word in enumerate(("taken", "free")):
            await tx.execute("insert_organization", word, word, "UTC", None, 1)
            if number == 0:
                await tx.execute("insert_organization", "org", "org", "UTC", None, 1)
            await tx.execute("insert_queue", "org", word, word, None, 1)
            listener = ("org", word, word, word, "u", "u", "x", "enabled", 1, 1)
            await tx.execute("insert_listener", *listener)
            key = ("org", word, word, word.encode(), "p", "enabled", "[]", 1, None)
            await tx.execute("insert_api_key", *key)
        answer = await tx.fetch(query, *params)
        await tx.execute("insert_organization", "after", "after", "UTC", None, 1)
        return answer

    async with opened(home) as database:
        assert await database.transaction(body) == []
    assert rows(home, NAMES) == [("after",), ("free",), ("org",), ("taken",)]
    for table in ("queues", "listeners", "api_keys"):
        assert rows(home, f"SELECT id, name FROM {table} ORDER BY id") == [("free",) * 2, ("taken",) * 2]


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("holder", ["mine", "another's", None])
@pytest.mark.parametrize("when", ["first", "between", "last", "alone", "before reading"])
@pytest.mark.parametrize("at_once", [False, True])
async def test_what_is_required_holds_or_nothing_is_written(
    home: Home, holder: str | None, when: str, at_once: bool
) -> None:
    """Wherever in the transaction it is required, whatever is written before or after; it is run once."""
    execute(home, "INSERT INTO series (number, holder) VALUES (3, $1)", holder)
    runs = 0

    async def body(tx: Transaction) -> str:
        nonlocal runs
        runs += 1
        for place, name in (("first", "one"), ("between", "two"), ("last", None)):
            if when == place or (when, place) in {("alone", "last"), ("before reading", "between")}:
                await tx.require("hold_series", [(3, "mine", 0)])
            if name and when != "alone":
                await tx.execute("insert_organization", name, name, "UTC", None, 1)
                await tx.execute("insert_message", name, "m", "q", None, b"")
        if when == "before reading":
            await names(tx)
        return "done"

    async with opened(home) as database:
        if holder == "mine":
            assert await database.transaction(body, at_once=at_once) == "done"
        else:
            with pytest.raises(NotMet):
                await database.transaction(body, at_once=at_once)
    written = [("one",), ("two",)] if holder == "mine" and when != "alone" else []
    assert rows(home, NAMES) == written
    assert len(rows(home, "SELECT id FROM messages")) == len(written)
    assert runs == 1


async def test_a_snapshot_is_one_state(home: Home) -> None:
    """What others commit meanwhile does not show in it, and shows right after."""
    async with opened(home) as database:
        await write(database, "one")

        async def body(reader: Reader) -> list[list[str]]:
            before = await names(reader)
            execute(
                home, "INSERT INTO organizations (id, name, time_zone, created_at) VALUES ('2', '2', '', 1)"
            )
            return [before, await names(reader)]

        assert await database.snapshot(body) == [["one"], ["one"]]
        assert await names(database) == ["2", "one"]


async def test_a_snapshot_holds_up_no_writer(home: Home) -> None:
    """However long it reads, the others go on."""
    async with opened(home) as database, opened(home) as other:

        async def body(reader: Reader) -> int:
            await names(reader)
            execute(home, "UPDATE series SET revision = 1")
            return len(await names(reader))

        assert await database.snapshot(body) == 0
        await write(other, "one")


async def test_reading_apart(home: Home) -> None:
    """A long list is read beside the loop: what is committed is seen."""
    async with opened(home) as database:
        await write(database, "one")
        reading = asyncio.create_task(names(database.apart))
        await asyncio.sleep(0)
        assert not reading.done()
        assert await reading == ["one"]
        await write(database, "two")
        assert await names(database.apart) == ["one", "two"]


async def test_a_write_waits_for_one_that_is_soon_over(home: Home) -> None:
    """A command that writes beside the server makes nobody fail."""
    async with opened(home) as database:
        with beside(home) as other:
            other.execute("BEGIN")
            other.execute(
                "INSERT INTO organizations (id, name, time_zone, created_at) VALUES ('1', '1', '', 1)"
            )
            waiting = asyncio.create_task(database.transaction(lambda tx: insert(tx, "1")))
            done, _ = await asyncio.wait([waiting], timeout=0.05)
            assert not done
            other.execute("COMMIT")
            assert await waiting is False
    assert rows(home, NAMES) == [("1",)]


@pytest.mark.usefixtures("impatient")
async def test_a_busy_database_is_unavailable_and_recovers(home: Home) -> None:
    """While somebody else holds what is to be written: reading goes on, writing is refused, the loop runs."""
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.001)

    async with opened(home) as database:
        with beside(home) as other:
            other.execute("BEGIN")
            other.execute(
                "INSERT INTO organizations (id, name, time_zone, created_at) VALUES ('1', '1', '', 1)"
            )
            turning = asyncio.create_task(turn())
            with pytest.raises(Unavailable, match="busy"):
                await write(database, "1")
            turning.cancel()
            assert turns > 10
            assert await names(database) == []
            other.execute("ROLLBACK")
        await write(database, "1")
    assert rows(home, NAMES) == [("1",)]


async def test_the_time_is_the_databases(home: Home) -> None:
    """Whole milliseconds since the epoch, from a clock that all processes on the database share."""
    async with opened(home) as database:
        before = system_clock()
        now = await database.now()
        assert before - 1 <= now <= system_clock() + 1  # rounded differently
        assert isinstance(now, int)


async def test_whether_others_write_can_be_told_or_news_can_be_sent(home: Home) -> None:
    """A file says whether somebody else wrote, and has no news; with a server it is the reverse."""
    async with opened(home) as database:
        version = await database.version()
        assert (version is None) == (database.channel is not None) == (home.kind == "postgresql")


async def test_an_unknown_query_is_a_mistake_of_ours(home: Home) -> None:
    """Not something that trying again would mend."""
    async with opened(home) as database:
        with pytest.raises(KeyError):
            await database.fetch("no_such_query")
