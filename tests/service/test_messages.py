"""Accepting, listing and deleting messages."""

import pytest

from postroom.domain.errors import Invalid, NotFound
from postroom.domain.ids import LATEST, lowest
from postroom.domain.listener import Counts
from postroom.domain.usage import Kind
from postroom.service.hub import Hub
from tests.support.clock import MovingClock
from tests.support.home import Home
from tests.support.hub import Place, listed, opened, place, rows

pytestmark = pytest.mark.anyio

NEWEST = lowest(LATEST)


async def names_of(hub: Hub, here: Place, queue_id: str | None, limit: int = 10) -> list[str]:
    """The newest messages' names."""
    return listed(await hub.messages.newest(here.org_id, queue_id, NEWEST, limit))


async def test_accepting_writes_everything_in_one_transaction(home: Home) -> None:
    """The message, a delivery for each listener, the event, the totals and the listeners' counts."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        one, two = await here.listener(), await here.listener()
        message_id = await hub.messages.accept(here.org_id, here.queue_id, "Grüße", "hello")
        message = await hub.messages.get(here.org_id, here.queue_id, message_id)
        assert (message.name, message.data) == ("hello", "Grüße".encode())
        owed = rows(home, "SELECT message_id, listener_id, state, attempts FROM deliveries ORDER BY 2")
        assert owed == [(message_id, one.id, 0, 0), (message_id, two.id, 0, 0)]
        assert await here.counts(one) == await here.counts(two) == Counts(accepted=1)
        (event,) = await hub.statistics.events(here.org_id, "messages", None, 10)
        assert event.kind is Kind.MESSAGE_ADDED
        assert event.message is not None
        assert (event.message.id, event.message.name) == (message_id, "hello")
        assert (await hub.statistics.messages(here.org_id)).last_1_hours[Kind.MESSAGE_ADDED] == 1


@pytest.mark.parametrize(("data", "name"), [("half \ud800", None), ("x", ""), ("x", "a\nb")])
async def test_what_breaks_a_rule_is_not_accepted(home: Home, data: str, name: str | None) -> None:
    """Nothing is written and nothing counted."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        listener = await here.listener()
        with pytest.raises(Invalid):
            await hub.messages.accept(here.org_id, here.queue_id, data, name)
        assert rows(home, "SELECT count(*) FROM messages") == [(0,)]
        assert await here.counts(listener) == Counts()
        assert await hub.statistics.events(here.org_id, "messages", None, 10) == []


@pytest.mark.parametrize("data", ["", "\x00", "x" * 100_000, "{broken", "null"])
async def test_any_text_is_data(home: Home, data: str) -> None:
    """Kept as it was sent."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        message_id = await here.send(data)
        assert (await hub.messages.get(here.org_id, here.queue_id, message_id)).data == data.encode()


async def test_lists_are_newest_first_and_read_on_from_a_cursor(home: Home) -> None:
    """Of one queue or of all; pages neither repeat nor skip."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
        other = await hub.queues.create(here.org_id, "other")
        for number in range(7):
            queue_id = other.id if number % 3 == 2 else here.queue_id
            await hub.messages.accept(here.org_id, queue_id, "x", str(number))
            clock.pass_(ms=number % 2)
        assert await names_of(hub, here, None) == ["6", "5", "4", "3", "2", "1", "0"]
        assert await names_of(hub, here, here.queue_id) == ["6", "4", "3", "1", "0"]
        assert await names_of(hub, here, other.id, 1) == ["5"]
        read, below = list[str](), NEWEST
        while page := await hub.messages.newest(here.org_id, None, below, 2):
            read, below = read + listed(page), page[-1].id
        assert read == ["6", "5", "4", "3", "2", "1", "0"]


async def test_renaming_is_all_that_can_change(home: Home) -> None:
    """To a name or to none; names of messages need not be unique, and no event is counted."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        one, other = await here.send(), await here.send()
        for message_id in (one, other):
            renamed = await hub.messages.rename(here.org_id, here.queue_id, message_id, "same")
            assert (renamed.name, renamed.data) == ("same", b"hello")
        assert (await hub.messages.rename(here.org_id, here.queue_id, one, None)).name is None
        assert (await hub.messages.get(here.org_id, here.queue_id, one)).name is None
        with pytest.raises(Invalid):
            await hub.messages.rename(here.org_id, here.queue_id, one, "")
        assert len(await hub.statistics.events(here.org_id, "messages", None, 10)) == 2


async def test_deleting_discards_what_is_pending(home: Home) -> None:
    """Only that: what was delivered or missed stays counted as such."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        pending, done = await here.listener(), await here.listener()
        message_id = await here.send()
        await here.try_all(done, 200)
        await hub.messages.delete(here.org_id, here.queue_id, message_id)
        assert await here.counts(pending) == Counts(accepted=1, discarded=1)
        assert await here.counts(done) == Counts(accepted=1, delivered=1)
        assert await here.due(pending) == []
        with pytest.raises(NotFound):
            await hub.messages.delete(here.org_id, here.queue_id, message_id)
        assert rows(home, "SELECT count(*) FROM attempts") == [(0,)]
        assert await hub.audit.differences() == []


async def test_deleting_after_its_listener_discards_once(home: Home) -> None:
    """What its listener was owed was counted with its deletion, though the rows are still there."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        listener = await here.listener()
        message_id = await here.send()
        await hub.listeners.delete(here.org_id, here.queue_id, listener.id)
        await hub.messages.delete(here.org_id, here.queue_id, message_id)
        assert await here.counts(listener) == Counts(accepted=1, discarded=1)
        assert await hub.audit.differences() == []


async def test_a_message_is_found_in_its_queue_only(home: Home) -> None:
    """Elsewhere it does not exist."""
    async with opened(home, MovingClock()) as hub:
        here, foreign = await place(hub), await place(hub)
        other = await hub.queues.create(here.org_id, "other")
        message_id = await here.send()
        for org_id, queue_id in ((here.org_id, other.id), (foreign.org_id, here.queue_id)):
            with pytest.raises(NotFound):
                await hub.messages.get(org_id, queue_id, message_id)
            with pytest.raises(NotFound):
                await hub.messages.attempts(org_id, queue_id, message_id)
            with pytest.raises(NotFound):
                await hub.messages.rename(org_id, queue_id, message_id, "mine")
            with pytest.raises(NotFound):
                await hub.messages.delete(org_id, queue_id, message_id)
        with pytest.raises(NotFound):
            await hub.messages.newest(foreign.org_id, here.queue_id, NEWEST, 10)
        assert await hub.messages.newest(foreign.org_id, None, NEWEST, 10) == []
