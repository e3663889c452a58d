"""Making, changing, watching and deleting listeners."""

import base64
from typing import Any, Final

import pytest

from postroom.domain.errors import Invalid, NameTaken, NotFound
from postroom.domain.listener import Counts, Status, slot_of
from postroom.domain.liveness import Liveness
from postroom.service.listeners import HASTENED
from tests.support.clock import NOON, MovingClock
from tests.support.home import Home
from tests.support.hub import NOWHERE, listed, opened, place, rows

pytestmark = pytest.mark.anyio

ON_AS_IT_IS_THEN_OFF: Final[tuple[Status, ...]] = ("enabled", "disabled")


async def test_a_new_listener(home: Home) -> None:
    """Switched on, with a secret of its own, and nothing owed to it."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        await here.send()
        one, other = await here.listener(), await here.listener()
        assert (one.status, one.slot, one.created_at) == ("enabled", slot_of(one.id), NOON)
        assert len(base64.b64decode(one.secret.removeprefix("whsec_"))) == 32
        assert one.secret != other.secret
        report = await hub.listeners.report(one)
        assert (report.counts, report.missed, report.liveness) == (Counts(), [], Liveness())
        assert await hub.listeners.get(here.org_id, here.queue_id, one.id) == one
        assert await hub.listeners.of(here.org_id) == [one, other]


async def test_lists_of_a_queue_and_of_all(home: Home) -> None:
    """Oldest first."""
    async with opened(home, MovingClock()) as hub:
        here, foreign = await place(hub), await place(hub)
        other = await hub.queues.create(here.org_id, "other")
        one, three = await here.listener(), await here.listener()
        two = await hub.listeners.create(here.org_id, other.id, "two", NOWHERE, NOWHERE)
        await foreign.listener()
        assert await hub.listeners.of(here.org_id, here.queue_id) == [one, three]
        assert await hub.listeners.of(here.org_id, other.id) == [two]
        assert listed(await hub.listeners.of(here.org_id), "id") == sorted([one.id, two.id, three.id])


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"name": "taken"}, NameTaken),
        ({"name": ""}, Invalid),
        ({"notify_url": "ftp://example.com/"}, Invalid),
        ({"liveness_url": "http://user:secret@example.com/"}, Invalid),
    ],
)
async def test_what_breaks_a_rule_changes_nothing(
    home: Home, changes: dict[str, Any], error: type[Exception]
) -> None:
    """Neither the listener nor a counter, when it is made and when it is changed."""
    good = {"name": "new", "notify_url": NOWHERE, "liveness_url": NOWHERE}
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        one = await here.listener()
        await hub.listeners.create(here.org_id, here.queue_id, "taken", NOWHERE, NOWHERE)
        before = await hub.statistics.messages(here.org_id)
        with pytest.raises(error):
            await hub.listeners.update(here.org_id, here.queue_id, one.id, **changes)
        with pytest.raises(error):
            await hub.listeners.create(here.org_id, here.queue_id, **(good | changes))
        assert await hub.listeners.get(here.org_id, here.queue_id, one.id) == one
        assert len(await hub.listeners.of(here.org_id)) == 2
        assert await hub.statistics.messages(here.org_id) == before


async def test_an_update_changes_what_is_given(home: Home) -> None:
    """Each alone; the secret, the id and what is owed stay."""
    changes: list[dict[str, Any]] = [
        {"name": "renamed"},
        {"notify_url": "https://example.com/notify"},
        {"liveness_url": "https://example.com/live"},
        {"status": "disabled"},
    ]
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        before = await here.listener()
        await here.send()
        for change in changes:
            after = await hub.listeners.update(here.org_id, here.queue_id, before.id, **change)
            assert {f for f in after.__struct_fields__ if getattr(after, f) != getattr(before, f)} == set(
                change
            )
            assert await hub.listeners.get(here.org_id, here.queue_id, before.id) == after
            before = after
        assert await here.counts(before) == Counts(accepted=1)


async def test_unknown_queues_and_listeners(home: Home) -> None:
    """A listener is found in its own queue and organization only."""
    async with opened(home, MovingClock()) as hub:
        here, foreign = await place(hub), await place(hub)
        other = await hub.queues.create(here.org_id, "other")
        one = await here.listener()
        for org_id, queue_id in ((here.org_id, other.id), (foreign.org_id, here.queue_id)):
            with pytest.raises(NotFound):
                await hub.listeners.get(org_id, queue_id, one.id)
            with pytest.raises(NotFound):
                await hub.listeners.update(org_id, queue_id, one.id, name="mine")
            with pytest.raises(NotFound):
                await hub.listeners.delete(org_id, queue_id, one.id)
        with pytest.raises(NotFound):
            await hub.listeners.create(foreign.org_id, here.queue_id, "x", NOWHERE, NOWHERE)
        assert await hub.listeners.of(here.org_id) == [one]


async def test_deleting_a_listener(home: Home) -> None:
    """What is pending counts as discarded; nothing more is owed to it; its name and liveness are gone."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        one, stays = await here.listener(), await here.listener()
        await hub.probes.found((here.org_id, one.id), True)
        await here.send_many(3)
        (first, *_) = await here.due(one)
        await here.try_all(stays, 200)
        await hub.listeners.delete(here.org_id, here.queue_id, one.id)
        await here.send()
        assert await here.counts(one) == Counts(accepted=3, discarded=3)
        assert (await here.counts(stays)).accepted == 4
        assert await hub.deliveries.data(here.org_id, first.message_id) == b"0"
        assert rows(home, "SELECT count(*) FROM liveness") == [(0,)]
        with pytest.raises(NotFound):
            await hub.listeners.get(here.org_id, here.queue_id, one.id)
        await hub.listeners.create(here.org_id, here.queue_id, one.name, NOWHERE, NOWHERE)
        assert await hub.audit.differences() == []


async def test_what_waited_is_due_when_it_is_switched_on(home: Home) -> None:
    """Though nobody who delivers has seen it off: what fits into the commit, the soonest of them first."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
        listener = await here.listener()
        for count in (HASTENED, 1):
            await here.send_many(count)
            await here.try_all(listener, 500)
            clock.pass_(ms=10)
        later = await here.next_due(listener)
        for status in ON_AS_IT_IS_THEN_OFF:
            await hub.listeners.update(here.org_id, here.queue_id, listener.id, status=status)
            assert await here.due(listener) == []
            assert await here.next_due(listener) == later
        await hub.listeners.update(here.org_id, here.queue_id, listener.id, status="enabled")
        assert len(await here.due(listener)) == HASTENED
        assert later is not None
        assert await here.next_due(listener) == later + 10
        assert await here.counts(listener) == Counts(accepted=HASTENED + 1)
