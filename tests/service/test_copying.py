"""Everything is moved from one database to another, whatever interrupts it."""

from contextlib import closing
from pathlib import Path

import pytest

from postroom.domain.clock import system_clock
from postroom.domain.errors import StoreError, Unavailable
from postroom.service import copying
from postroom.store.copying import TABLES, Piece
from tests.support.clock import MovingClock
from tests.support.copies import Another, Stop, Watched, all_but_verified, copy, furnished, refused
from tests.support.everything import HELD, STATES, content, furnish
from tests.support.home import PostgresHome
from tests.support.hub import opened
from tests.support.postgres import Server

pytestmark = pytest.mark.anyio


PAIRS = [(one, other) for one in ("sqlite", "postgresql") for other in ("sqlite", "postgresql")]


async def test_there_is_everything(another: Another) -> None:
    """The database that the other tests copy has rows in every table, and deliveries in every state."""
    home = await furnished(another, "sqlite")
    assert [name for name, rows in content(home).items() if not rows] == []
    assert all(home.rows(STATES)[0])
    assert len(home.rows("SELECT number FROM series")) > 1
    assert {kind for (kind,) in home.rows("SELECT kind FROM removals")} == {"queue", "listener"}


@pytest.mark.parametrize(("one", "other"), PAIRS)
async def test_there_and_back(another: Another, one: str, other: str) -> None:
    """Every row comes as it is, in both directions; who serves and who holds what does not."""
    source, target, again = await furnished(another, one), another(other), another(one)
    before = content(source)
    seen = Watched()
    first = await copy(source, target, seen)
    assert content(target) == before
    assert first.good
    assert first.rows == {name: (len(rows), len(rows)) for name, rows in before.items()}
    assert seen.totals == {name: len(rows) for name, rows in before.items()}
    assert (await copy(target, again, piece=Piece())).good
    assert content(again) == content(source) == before
    assert target.rows(HELD) == again.rows(HELD) == [(0, 0, 0, 256)]


@pytest.mark.parametrize("other", ["sqlite", "postgresql"])
async def test_counts_go_on(another: Another, other: str) -> None:
    """The statistics are the same after it, and go on from there."""
    clock = MovingClock()
    source, target = another("sqlite"), another(other)
    await furnish(source, clock)
    async with opened(source, clock) as hub:
        org, *_ = await hub.organizations.every()
        before = await hub.statistics.messages(org.id)
    assert (await copy(source, target)).good
    async with opened(target, clock) as hub:
        assert await hub.statistics.messages(org.id) == before
        await hub.queues.create(org.id, "one more")
        after = await hub.statistics.messages(org.id)
        assert sum(after.last_24_hours) == sum(before.last_24_hours) + 1
        assert await hub.audit.differences() == []


async def test_progress_is_told_table_by_table(another: Another) -> None:
    """From nothing to all rows, never back."""
    source, target, seen = await furnished(another, "sqlite"), another("sqlite"), Watched()
    await copy(source, target, seen)
    assert list(dict.fromkeys(name for name, _ in seen.reached_by_now)) == list(TABLES)
    for name, total in seen.totals.items():
        numbers = [rows for table, rows in seen.reached_by_now if table == name]
        assert numbers == sorted(set(numbers))
        assert (numbers[0], numbers[-1]) == (0, total)


async def test_interrupted_anywhere(another: Another) -> None:
    """Whenever it stops, nothing can work on the target, and the next run completes it."""
    source = await furnished(another, "sqlite")
    before, seen = content(source), Watched()
    target = another("sqlite")
    await copy(source, target, seen)
    for most in range(1, len(seen.reached_by_now), 5):
        target.clear()
        with pytest.raises(Stop):
            await copy(source, target, Watched(most))
        await refused(target)
        assert (await copy(source, target)).good
        assert content(target) == before


@pytest.mark.parametrize(("one", "other"), [("sqlite", "postgresql"), ("postgresql", "sqlite")])
async def test_interrupted_again_and_again(another: Another, one: str, other: str) -> None:
    """Each run goes on where the one before came to."""
    source, target = await furnished(another, one), another(other)
    most, seen = 1, Watched(1)
    while True:
        try:
            found = await copy(source, target, seen)
            break
        except Stop:
            await refused(target)
            most += 9
            seen = Watched(most)
    assert most > 50
    assert found.good
    assert content(target) == content(source)


async def test_interrupted_before_it_is_verified(another: Another) -> None:
    """All rows are there, but nobody has looked at them: it is not finished."""
    source, target = await furnished(another, "sqlite"), another("postgresql")
    await all_but_verified(source, target)
    await refused(target)
    assert (await copy(source, target)).good


CHANGES = [
    "UPDATE messages SET name = 'changed' WHERE name IS NULL",
    "UPDATE deliveries SET state = 1 WHERE state = 0",
    "UPDATE api_keys SET last_used_at = 1",
    "UPDATE series SET revision = revision + 1",
]


@pytest.mark.parametrize("changed", ["source", "target"])
async def test_what_came_before_is_compared(another: Another, changed: str) -> None:
    """Between two runs somebody used one of the databases: that is noticed, wherever it shows."""
    source, target = await furnished(another, "sqlite"), another("postgresql")
    for sql in CHANGES:
        target.clear()
        await all_but_verified(source, target)
        (source if changed == "source" else target).rows(sql)
        with pytest.raises(StoreError, match=r"was changed since its copy into .* began"):
            await copy(source, target)
        await refused(target)


async def test_rows_that_the_source_has_no_more(another: Another) -> None:
    """A table that has become shorter is no beginning of what is there."""
    source, target = await furnished(another, "sqlite"), another("sqlite")
    await all_but_verified(source, target)
    source.rows("DELETE FROM attempts")
    with pytest.raises(StoreError, match=r"was changed since .* began \(table attempts\)"):
        await copy(source, target)


async def test_wrong_counts_are_copied_and_told(another: Another) -> None:
    """The audit finds the same on both sides: the copy is what the source is, which is not good."""
    source, target = await furnished(another, "sqlite"), another("postgresql")
    source.rows("UPDATE listener_counts SET accepted = accepted + 1 WHERE series = 0")
    found = await copy(source, target)
    assert found.alike
    assert not found.good
    assert found.source == found.target != []
    async with opened(target) as hub:
        assert await hub.audit.differences() == found.target


@pytest.mark.parametrize(
    ("sql", "unequal"),
    [
        ("DELETE FROM liveness", {"liveness"}),
        ("UPDATE listener_counts SET accepted = accepted + 1", set()),
        ("DELETE FROM attempts", {"attempts"}),
    ],
)
async def test_a_target_that_is_not_alike(another: Another, sql: str, unequal: set[str]) -> None:
    """Rows that are missing, or counts that are other ones: it stays closed."""
    source, target = await furnished(another, "sqlite"), another("postgresql")
    async with copying.opened(source.address, target.address, system_clock) as under_way:
        await under_way.move(Watched())
        target.rows(sql)
        found = await under_way.verify()
    assert found.unequal.keys() == unequal
    assert bool(found.target) is (not unequal)
    assert (found.alike, found.good) == (False, False)
    await refused(target)


async def test_the_target_is_made(another: Another, tmp_path: Path) -> None:
    """A data directory, or a file whose name ends with .db, and the directories above it."""
    source = await furnished(another, "sqlite")
    for place, file in (("a/data", "a/data/postroom.db"), ("b/x.db", "b/x.db")):
        async with copying.opened(source.address, f"sqlite:{tmp_path / place}", system_clock) as under_way:
            await under_way.move(Watched())
            assert (await under_way.verify()).good
        assert (tmp_path / file).is_file()
        assert (tmp_path / file).parent.stat().st_mode & 0o777 == 0o700


async def test_a_fresh_postgresql_is_prepared(another: Another, postgres: Server) -> None:
    """The tables are made in a database that has none."""
    source = await furnished(another, "sqlite")
    postgres.create("never_prepared")
    with closing(PostgresHome(postgres, "never_prepared")) as target:
        assert (await copy(source, target)).good
        assert content(target) == content(source)


async def test_organizations_in_any_order(another: Another) -> None:
    """One may have been made by another one whose id is higher: clocks of two processes differ a little."""
    source = another("sqlite")
    for created_by in (None, "z"):
        for number in range(5):
            values = f"c{number}" if created_by else "z" * (number + 1)
            source.rows(
                "INSERT INTO organizations (id, name, time_zone, created_by, created_at)"
                " VALUES ($1, $1, 'UTC', $2, 1)",
                values,
                created_by,
            )
    for kind in ("postgresql", "sqlite"):
        target = another(kind)
        assert (await copy(source, target, piece=Piece(1, 1))).good
        assert content(target) == content(source)


async def test_passwords_are_not_kept(another: Another) -> None:
    """What the target knows of its source, and what errors say, is where it is."""
    source, target = await furnished(another, "postgresql"), another("sqlite")
    await copy(source, target)
    ((kept,),) = target.rows("SELECT source FROM copies WHERE finished_at IS NOT NULL")
    assert kept == f"postgresql://{source.address.rpartition('@')[2]}"


async def test_a_target_that_goes_away(another: Another) -> None:
    """Its server is killed in the middle: the copy ends, and another run finishes it."""
    source = await furnished(another, "sqlite")
    with Server() as server:
        server.create("target")
        with closing(PostgresHome(server, "target")) as target:
            with pytest.raises(Unavailable):
                await copy(source, target, Killing(server))
            server.start()
            await refused(target)
            assert (await copy(source, target)).good
            assert content(target) == content(source)


class Killing(Watched):
    """Kills the server when three deliveries are there."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._server = server

    def reached(self, table: str, rows: int) -> None:
        if (table, rows) == ("deliveries", 3):
            self._server.kill()
