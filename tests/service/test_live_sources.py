"""Making, changing and deleting live sources, and when each took events in."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from postroom.domain.errors import Invalid, NotFound
from postroom.domain.live_source import Counts, LiveSource
from postroom.service.hub import Hub
from postroom.store import live_sources
from postroom.store.live_sources import Period
from tests.support.clock import NOON, MovingClock
from tests.support.home import Home, PostgresHome
from tests.support.hub import beside, blocked, opened, rows, unique
from tests.support.platforms import SECRET, signed, slack_event

pytestmark = pytest.mark.anyio


async def org(hub: Hub) -> str:
    """A new organization."""
    return (await hub.organizations.create(unique("org"))).id


async def made(hub: Hub, **more: Any) -> LiveSource:
    """A new source of Slack, of a new organization."""
    return await hub.live_sources.create(await org(hub), "slack", **more)


async def test_a_new_source(home: Home) -> None:
    """Switched on, kept under the name of its kind, and without a secret until the platform's is given."""
    async with opened(home, MovingClock()) as hub:
        one = await made(hub)
        assert (one.name, one.kind, one.status, one.secret) == ("slack", "slack", "enabled", "")
        assert (one.created_at, one.updated_at) == (NOON, NOON)
        assert await hub.live_sources.get(one.org_id, one.id) == one
        other = await hub.live_sources.create(one.org_id, "slack", "second workspace", SECRET)
        assert await hub.live_sources.of(one.org_id) == [one, other]
        assert other.secret == SECRET
        assert await hub.live_sources.counts(one.org_id) == {}


@pytest.mark.parametrize("kind", ["matrix", "webex"])
async def test_a_secret_made_here(home: Home, kind: Any) -> None:
    """Of the platforms that are told one; each source has its own, unless one is given."""
    async with opened(home) as hub:
        org_id = await org(hub)
        one, other = [await hub.live_sources.create(org_id, kind) for _ in range(2)]
        assert len(one.secret) == 64
        assert one.secret != other.secret
        assert (await hub.live_sources.create(org_id, kind, secret=SECRET)).secret == SECRET


@pytest.mark.parametrize(
    "changes",
    [{"name": ""}, {"name": "n" * 101}, {"name": "a\nb"}, {"secret": ""}, {"secret": "a b"}, {"secret": "ü"}],
)
async def test_what_breaks_a_rule_changes_nothing(home: Home, changes: dict[str, Any]) -> None:
    """Neither when it is made nor later."""
    async with opened(home) as hub:
        one = await made(hub, secret=SECRET)
        with pytest.raises(Invalid):
            await hub.live_sources.update(one.org_id, one.id, **changes)
        with pytest.raises(Invalid):
            await hub.live_sources.create(one.org_id, "slack", **changes)
        assert await hub.live_sources.of(one.org_id) == [one]


async def test_sources_of_others(home: Home) -> None:
    """Nobody sees, changes or deletes another organization's."""
    async with opened(home) as hub:
        one, foreign = await made(hub), await org(hub)
        assert await hub.live_sources.of(foreign) == []
        with pytest.raises(NotFound):
            await hub.live_sources.get(foreign, one.id)
        with pytest.raises(NotFound):
            await hub.live_sources.update(foreign, one.id, name="mine")
        with pytest.raises(NotFound):
            await hub.live_sources.delete(foreign, one.id)
        assert await hub.live_sources.get(one.org_id, one.id) == one


async def test_periods(home: Home) -> None:
    """A source takes events in from when it is made, but not while it is off; under each name it had."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        one = await made(hub)
        key = one.org_id, one.id
        times = [clock.now]
        for changes in ({"status": "disabled"}, {"status": "enabled"}, {"name": "new"}, {"secret": SECRET}):
            times.append(clock.pass_(minutes=1))
            await hub.live_sources.update(*key, **changes)  # type: ignore[arg-type]
        assert await live_sources.periods(hub.database, one.org_id) == [
            Period("slack", times[0], times[1]),
            Period("slack", times[2], times[3]),
            Period("new", times[3], None),
        ]
        end = clock.pass_(minutes=1)
        await hub.live_sources.delete(*key)
        assert (await live_sources.periods(hub.database, one.org_id))[-1] == Period("new", times[3], end)


async def changed_at_once(
    home: PostgresHome, one: LiveSource, *changing: Coroutine[Any, Any, Any]
) -> list[Any]:
    """What came of changes that come to the source one after another, while somebody holds it."""
    doing = []
    with beside(home) as other:
        other.execute("BEGIN")
        other.execute("SELECT 1 FROM live_sources WHERE id = $1 FOR UPDATE", (one.id,))
        for change in changing:
            doing.append(asyncio.create_task(change))
            await blocked(home, "live_sources", len(doing))
        other.execute("COMMIT")
    return await asyncio.gather(*doing, return_exceptions=True)


async def test_two_who_change_a_source_at_once(postgresql_home: PostgresHome) -> None:
    """Each change holds; and a source that is off in the end takes nothing in, under whatever name."""
    clock = MovingClock()
    async with opened(postgresql_home, clock) as hub, opened(postgresql_home, clock) as other:
        for late in (False, True):
            one = await made(hub)
            key = one.org_id, one.id
            clock.pass_(minutes=1)
            changing = [hub.live_sources.update(*key, name="new"),
                        other.live_sources.update(*key, status="disabled")]  # fmt: skip
            await changed_at_once(postgresql_home, one, *changing[:: -1 if late else 1])
            found = await hub.live_sources.get(*key)
            assert (found.name, found.status) == ("new", "disabled")
            periods = await live_sources.periods(hub.database, one.org_id)
            assert {period.ended_at for period in periods} == {clock.now}


@pytest.mark.parametrize("late", [False, True])
async def test_a_source_that_is_changed_while_it_is_deleted(
    postgresql_home: PostgresHome, late: bool
) -> None:
    """Whichever is first: it is gone in the end, and nobody says that it takes something in."""
    clock = MovingClock()
    async with opened(postgresql_home, clock) as hub, opened(postgresql_home, clock) as other:
        one = await made(hub)
        key = one.org_id, one.id
        await hub.live_sources.update(*key, status="disabled")
        clock.pass_(minutes=1)
        changing = [hub.live_sources.update(*key, status="enabled"), other.live_sources.delete(*key)]
        answers = await changed_at_once(postgresql_home, one, *changing[:: -1 if late else 1])
        assert [isinstance(answer, NotFound) for answer in answers] == [False, late]
        assert await hub.live_sources.of(one.org_id) == []
        periods = await live_sources.periods(hub.database, one.org_id)
        assert [period for period in periods if period.ended_at is None] == []


@pytest.mark.parametrize("late", [False, True])
async def test_a_source_that_is_heard_while_it_is_deleted(postgresql_home: PostgresHome, late: bool) -> None:
    """Whichever is first: no count is left of it, and what it told stays."""
    clock = MovingClock()
    async with opened(postgresql_home, clock) as hub, opened(postgresql_home, clock) as other:
        one = await made(hub, secret=SECRET)
        request = signed("slack", slack_event("1700000000.000100"), clock.now).request(clock.now)
        doing = [hub.hearing.hear(one.id, request), other.live_sources.delete(one.org_id, one.id)]
        assert None in await changed_at_once(postgresql_home, one, *doing[:: -1 if late else 1])
        assert await hub.live_sources.counts(one.org_id) == {}
        assert rows(postgresql_home, "SELECT count(*) FROM activities") == [(1,)]


async def test_off_and_on_within_a_millisecond(home: Home) -> None:
    """Is as if nothing had been."""
    async with opened(home, MovingClock()) as hub:
        one = await made(hub)
        for status in ("disabled", "enabled"):
            await hub.live_sources.update(one.org_id, one.id, status=status)
        assert await live_sources.periods(hub.database, one.org_id) == [Period("slack", NOON, None)]


async def test_a_deleted_source(home: Home) -> None:
    """It takes nothing more in, and is forgotten with its counts; its activity stays."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        one = await made(hub, secret=SECRET)
        request = signed("slack", slack_event("1700000000.000100"), clock.now).request(clock.now)
        await hub.hearing.hear(one.id, request)
        assert (await hub.live_sources.counts(one.org_id))[one.id] == Counts(1, last_event_at=NOON)
        await hub.live_sources.delete(one.org_id, one.id)
        with pytest.raises(NotFound):
            await hub.hearing.hear(one.id, request)
        assert await hub.live_sources.of(one.org_id) == []
        assert await hub.live_sources.counts(one.org_id) == {}
        assert home.rows("SELECT count(*) FROM activities") == [(1,)]
