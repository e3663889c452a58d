"""Making, changing and deleting queues."""

from typing import Any

import pytest

from postroom.domain.errors import Invalid, NameTaken, NotFound
from postroom.domain.listener import Counts
from postroom.domain.schema import schema_id
from tests.support.clock import MovingClock
from tests.support.home import Home
from tests.support.hub import listed, opened, place, rows

pytestmark = pytest.mark.anyio

NUMBER = {"amount": {"type": "number", "min": 1}}
STRING = {"amount": {"type": "string"}}


async def test_a_queue_by_its_id_and_by_its_name(home: Home) -> None:
    """`named` takes either."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        queue = await hub.queues.create(here.org_id, "orders", NUMBER)
        assert await hub.queues.get(here.org_id, queue.id) == queue
        assert await hub.queues.named(here.org_id, "orders") == queue
        assert await hub.queues.named(here.org_id, queue.id) == queue
        with pytest.raises(NotFound):
            await hub.queues.named(here.org_id, "nothing")


async def test_every_version_of_a_schema_is_kept(home: Home) -> None:
    """As it was written, under its own id, while the queue is there."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        queue = await hub.queues.create(here.org_id, "orders", NUMBER)
        await hub.queues.update(here.org_id, queue.id, raw_schema=STRING)
        await hub.queues.update(here.org_id, queue.id, raw_schema=NUMBER)
        for raw in (NUMBER, STRING):
            assert await hub.queues.get_schema(here.org_id, queue.id, schema_id(raw)) == raw
        with pytest.raises(NotFound):
            await hub.queues.get_schema(here.org_id, here.queue_id, schema_id(NUMBER))
        await hub.queues.delete(here.org_id, queue.id)
        with pytest.raises(NotFound):
            await hub.queues.get_schema(here.org_id, queue.id, schema_id(NUMBER))


async def test_a_schema_holds_from_the_next_message_on(home: Home) -> None:
    """Changed, taken away and kept by a change of the name, though queues are kept in memory."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        await here.send("anything")
        await hub.queues.update(here.org_id, here.queue_id, raw_schema=NUMBER)
        await here.send('{"amount": 1}')
        with pytest.raises(Invalid, match="amount"):
            await here.send('{"amount": 0}')
        await hub.queues.update(here.org_id, here.queue_id, name="renamed")
        with pytest.raises(Invalid):
            await here.send("anything")
        await hub.queues.update(here.org_id, here.queue_id, raw_schema=None)
        await here.send("anything")
        assert rows(home, "SELECT count(*) FROM messages") == [(3,)]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"name": "taken"}, NameTaken),
        ({"name": " "}, Invalid),
        ({"raw_schema": {"amount": {"type": "colour"}}}, Invalid),
        ({"name": "taken", "raw_schema": STRING}, NameTaken),
    ],
)
async def test_a_change_that_breaks_a_rule_changes_nothing(
    home: Home, changes: dict[str, Any], error: type[Exception]
) -> None:
    """Neither the queue, nor its schemas, nor a counter."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        queue = await hub.queues.create(here.org_id, "orders", NUMBER)
        await hub.queues.create(here.org_id, "taken")
        before = await hub.statistics.messages(here.org_id)
        with pytest.raises(error):
            await hub.queues.update(here.org_id, queue.id, **changes)
        with pytest.raises(error):
            await hub.queues.create(here.org_id, **({"name": "new"} | changes))
        assert await hub.queues.get(here.org_id, queue.id) == queue
        assert listed(await hub.queues.of(here.org_id))[1:] == ["orders", "taken"]
        assert rows(home, "SELECT count(*) FROM schemas") == [(1,)]
        assert await hub.statistics.messages(here.org_id) == before


async def test_another_organizations_queue_does_not_exist(home: Home) -> None:
    """And its name is free here."""
    async with opened(home, MovingClock()) as hub:
        here, other = await place(hub), await place(hub)
        queue = await hub.queues.create(here.org_id, "orders")
        await hub.queues.get(here.org_id, queue.id)
        with pytest.raises(NotFound):
            await hub.queues.get(other.org_id, queue.id)
        with pytest.raises(NotFound):
            await hub.queues.delete(other.org_id, queue.id)
        with pytest.raises(NotFound):
            await hub.queues.update(other.org_id, queue.id, name="mine")
        with pytest.raises(NotFound):
            await hub.messages.accept(other.org_id, queue.id, "x")
        await hub.queues.create(other.org_id, "orders")


async def test_deleting_a_queue_takes_its_listeners_along(home: Home) -> None:
    """One event; what was pending counts as discarded; name and listeners' names are free again."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        queue = await hub.queues.get(here.org_id, here.queue_id)
        one, other = await here.listener(), await here.listener()
        await here.send_many(4)
        await here.try_all(one, 200)
        await hub.queues.delete(here.org_id, here.queue_id)
        assert await hub.listeners.of(here.org_id) == []
        assert await here.counts(one) == Counts(4, 4, 0, 0)
        assert await here.counts(other) == Counts(4, 0, 0, 4)
        last = (await hub.statistics.events(here.org_id, "all", None, 100))[-1]
        assert last.kind.name == "QUEUE_DELETED"
        deleted = (await hub.statistics.messages(here.org_id)).last_1_hours
        assert (deleted[5], deleted[8]) == (1, 0)
        again = await hub.queues.create(here.org_id, queue.name)
        await hub.listeners.create(here.org_id, again.id, one.name, one.notify_url, one.liveness_url)
        assert await hub.audit.differences() == []
