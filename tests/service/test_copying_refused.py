"""What cannot be copied, or copied into, and who is kept away while it is."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from postroom.domain.clock import system_clock
from postroom.domain.errors import NotFound, StoreError
from postroom.domain.listener import SLOTS
from postroom.service import copying
from postroom.store import lock, steps
from tests.support.copies import Another, Watched, all_but_verified, copy, furnished, refused
from tests.support.everything import content
from tests.support.home import Home, SqliteHome
from tests.support.hub import opened

pytestmark = pytest.mark.anyio


async def test_only_an_empty_database_is_a_target(another: Another) -> None:
    """What holds something is left as it is, also what was copied before."""
    source, full = await furnished(another, "sqlite"), await furnished(another, "postgresql")
    before = content(full)
    with pytest.raises(StoreError, match="is not empty"):
        await copy(source, full)
    assert content(full) == before
    assert full.rows("SELECT * FROM copies") == []
    target = another("postgresql")
    assert (await copy(source, target)).good
    with pytest.raises(StoreError, match="is not empty"):
        await copy(source, target)


async def test_an_unfinished_copy_belongs_to_its_source(another: Another) -> None:
    """Another source cannot finish it, and it can be no source itself."""
    source, other = await furnished(another, "sqlite"), await furnished(another, "sqlite")
    target, last = another("postgresql"), another("sqlite")
    await all_but_verified(source, target)
    with pytest.raises(StoreError, match=f"has a part of {source.address}"):
        await copy(other, target)
    with pytest.raises(StoreError, match=f"is itself a copy of {source.address} that is not finished"):
        await copy(target, last)
    assert (await copy(source, target)).good


async def test_a_database_is_not_copied_into_itself(another: Another, tmp_path: Path) -> None:
    """Whatever the ways to it are called."""
    embedded = await furnished(another, "sqlite")
    (tmp_path / "link").symlink_to(Path(embedded.address.removeprefix("sqlite:")).parent)
    shared = await furnished(another, "postgresql")
    twice = [
        (embedded.address, f"sqlite:{tmp_path / 'link'}"),
        (shared.address, shared.address.replace("127.0.0.1", "localhost") + "?application_name=other"),
    ]
    for address, same in twice:
        with pytest.raises(StoreError, match="are the same database"):
            async with copying.opened(address, same, system_clock):
                pass


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_served_database_is_refused(another: Another, kind: str) -> None:
    """Neither as a source nor as a target; a shared one as long as the lease of the last server is."""
    used, other = another(kind), await furnished(another, "sqlite")
    with serving(used):
        for source, target in ((used, another("sqlite")), (other, used)):
            with pytest.raises(
                StoreError, match=r"is being served; stop every server|is at work on .*; stop it"
            ):
                await copy(source, target)
    assert (await copy(other, used)).good


async def test_whoever_serves_does_not_wait_for_a_copy(another: Another) -> None:
    """It is seen before anything is locked: a commit in the middle of which it comes is in nobody's way."""
    used = await furnished(another, "postgresql")
    with serving(used), used.beside() as server:
        server.execute("BEGIN")
        server.execute("UPDATE series SET revision = revision + 1")
        with pytest.raises(StoreError, match="is being served"):
            await copy(used, another("sqlite"))
        server.execute("UPDATE processes SET expires_at = expires_at + 1")
        server.execute("COMMIT")


@contextmanager
def serving(home: Home) -> Iterator[None]:
    """What a server does with its database for as long as it serves."""
    if isinstance(home, SqliteHome):
        with lock.held(home.folder / "postroom.lock"):
            yield
    else:
        home.rows("INSERT INTO processes (id, expires_at) VALUES ('server', $1)", system_clock() + 60_000)
        home.rows("INSERT INTO processes (id, expires_at) VALUES ('dead', $1)", system_clock() - 60_000)
        yield
        home.rows("UPDATE processes SET expires_at = $1", system_clock() - 60_000)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_nobody_writes_to_the_source(another: Another, kind: str) -> None:
    """While it is copied, writers are told to try again, and readers are served; after it they go on."""
    source, target = await furnished(another, kind), another("sqlite")
    async with copying.opened(source.address, target.address, system_clock) as under_way:
        await under_way.move(Watched())
        async with opened(source) as hub:
            org, *_ = await hub.organizations.every()
            late = [hub.queues.create(org.id, "too late"), hub.membership.renew()]
            told = await asyncio.gather(*late, return_exceptions=True)
            assert [str(each) for each in told] == ["the database is busy; try again"] * 2
        assert (await under_way.verify()).good
    async with opened(source) as hub:
        await hub.queues.create(org.id, "in time")
        assert len((await hub.membership.renew())[0]) == SLOTS


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_one_copy_at_a_time_into_a_database(another: Another, kind: str) -> None:
    """A second one is refused while the first is under way; one source may be copied twice at once."""
    source, target = await furnished(another, "postgresql"), another(kind)
    async with copying.opened(source.address, target.address, system_clock) as first:
        with pytest.raises(StoreError, match=r"is under way|is at work on"):
            await copy(source, target)
        assert (await copy(source, another("sqlite"))).good
        await first.move(Watched())
        assert (await first.verify()).good


async def test_a_server_that_was_quicker(another: Another) -> None:
    """It began between the look for servers and the mark that keeps them away: the copy is not finished."""
    source, target = await furnished(another, "sqlite"), another("postgresql")
    async with copying.opened(source.address, target.address, system_clock) as under_way:
        await under_way.move(Watched())
        with serving(target), pytest.raises(StoreError, match="is being served"):
            await under_way.verify()
    await refused(target)


NEWER = len(steps.known()) + 1


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_both_are_of_this_version(another: Another, kind: str) -> None:
    """An older one is not changed, a newer one not read."""
    other, good = await furnished(another, kind), await furnished(another, "sqlite")
    for sql, told in (
        (f"INSERT INTO migrations (number, name, applied_at, oldest) VALUES ({NEWER}, 'new', 1, 1)", "newer"),
        (f"DELETE FROM migrations WHERE number >= {NEWER - 1}", "older version; bring it up to date"),
    ):
        other.rows(sql)
        for source, target in ((other, another("sqlite")), (good, other)):
            with pytest.raises(StoreError, match=told):
                await copy(source, target)


async def test_there_must_be_a_source(another: Another, tmp_path: Path) -> None:
    """No file, a directory without one, a file with nothing in it, a database that was never prepared."""
    (tmp_path / "none").mkdir()
    (tmp_path / "empty.db").touch()
    target = another("sqlite")
    for place in ("none", "not there", "not.db", "empty.db"):
        with pytest.raises(NotFound, match="there is nothing of Postroom in"):
            async with copying.opened(f"sqlite:{tmp_path / place}", target.address, system_clock):
                pass
    assert sorted(path.name for path in tmp_path.glob("no*")) == ["none"]
