"""Two processes on one database, at the same moment at the same rows: whoever is first, counts are right."""

import asyncio
import random
from collections.abc import Awaitable

import pytest

from postroom.domain.delivery import Outcome
from postroom.domain.errors import NotFound
from postroom.domain.ids import LATEST, lowest
from postroom.domain.listener import Counts, Listener
from postroom.domain.usage import Kind
from postroom.service.hub import Hub
from tests.support.clock import MovingClock
from tests.support.home import PostgresHome
from tests.support.hub import (
    NOWHERE,
    answered,
    beside,
    blocked,
    opened,
    place,
    place_of,
    rows,
    unique,
)
from tests.support.two import (
    ACCEPTING,
    DELIVERIES,
    HOLDING,
    QUEUE,
    SETTLING,
    Doing,
    Two,
    in_order,
    in_turn,
    outcome,
    remembered,
)

pytestmark = pytest.mark.anyio


async def test_a_writer_that_waits_holds_up_no_other(two: Two) -> None:
    """A process commits side by side: what does not want the same rows goes on."""
    elsewhere = await place(two.here.hub)
    with beside(two.home) as other:
        other.execute("BEGIN")
        other.execute("SELECT 1 FROM queues WHERE id = $1 FOR UPDATE", (two.here.queue_id,))
        waiting = asyncio.create_task(two.here.send())
        await blocked(two.home, ACCEPTING)
        assert await elsewhere.send()
        assert await two.here.hub.queues.create(two.here.org_id, "new")
        assert not waiting.done()
        other.execute("COMMIT")
    await waiting
    await two.check()


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("known", [False, True])
async def test_accepting_while_the_listener_is_deleted(two: Two, late: bool, known: bool) -> None:
    """What was accepted before is discarded; what is accepted after is not owed to it. Nothing in between."""
    here, listener, other = two.here, two.listener, await two.here.listener()
    key, before = (here.org_id, here.queue_id, listener.id), await remembered(here, known)
    acts = (HOLDING, lambda: two.there.hub.listeners.delete(*key)), (ACCEPTING, here.send)
    assert None in await in_turn(two, QUEUE, *in_order(late, *acts))
    count = before + int(late)
    assert await here.counts(listener) == Counts(accepted=count, discarded=count)
    assert await here.counts(other) == Counts(accepted=before + 1)
    assert rows(two.home, "SELECT count(*) FROM deliveries") == [(before + 1 + count,)]
    await two.check()


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("known", [False, True])
async def test_accepting_while_the_queue_is_deleted(two: Two, late: bool, known: bool) -> None:
    """Either it was accepted before, and is gone with the queue, or the queue is not there any more."""
    here, before = two.here, await remembered(two.here, known)
    acts = (HOLDING, lambda: two.there.hub.queues.delete(here.org_id, here.queue_id)), (ACCEPTING, here.send)
    answers = await in_turn(two, QUEUE, *in_order(late, *acts))
    assert [type(answer) for answer in answers] == ([str, type(None)] if late else [type(None), NotFound])
    assert rows(two.home, "SELECT count(*) FROM messages") == [(before + int(late),)]
    assert await two.stats(Kind.MESSAGE_ADDED, Kind.QUEUE_DELETED) == [before + int(late), 1]
    await two.check()


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("known", [False, True])
async def test_accepting_while_a_listener_is_added(two: Two, late: bool, known: bool) -> None:
    """Whichever is first: it is owed the message, or it is not, and its counts say which."""
    here = two.here
    await remembered(here, known)
    acts = (("INSERT INTO listeners", two.there.listener), (ACCEPTING, here.send))
    answers = await in_turn(two, QUEUE, *in_order(late, *acts))
    added = next(answer for answer in answers if isinstance(answer, Listener))
    owed = len(await here.due(added))
    assert await here.counts(added) == Counts(accepted=owed)
    await two.check()


async def test_what_others_change_of_the_listeners_is_known_at_once(two: Two) -> None:
    """From the moment on in which the other process was told that it is done, whatever is in memory here."""
    here, there = two.here, two.there
    for number in range(3):
        await asyncio.gather(here.send_many(2), there.send_many(2))
        added = await there.listener()
        await here.send_many(2)
        assert await here.counts(added) == Counts(accepted=2)
        await there.hub.listeners.delete(here.org_id, here.queue_id, added.id)
        await here.send_many(2)
        assert await here.counts(added) == Counts(accepted=2, discarded=2)
        assert await here.counts(two.listener) == Counts(accepted=8 * (number + 1))
    await there.hub.queues.delete(here.org_id, here.queue_id)
    with pytest.raises(NotFound):
        await here.send()
    await two.check()


async def test_messages_to_several_queues_in_one_commit(two: Two) -> None:
    """One of which has other listeners now, and one is gone: each message is as if it had come alone."""
    here = two.here
    same, gone = [await place_of(here.hub, here.org_id, (await here.hub.queues.create(here.org_id, name)).id)
                  for name in ("same", "gone")]  # fmt: skip
    listeners = [await each.listener() for each in (same, gone)]
    for _ in range(2):
        await asyncio.gather(here.send(), same.send(), gone.send())
    added = await two.there.listener()
    await two.there.hub.queues.delete(gone.org_id, gone.queue_id)
    sending = (each.send() for each in (here, same, gone, here))
    answers = await asyncio.gather(*sending, return_exceptions=True)
    assert [type(answer) for answer in answers] == [str, str, NotFound, str]
    found = [await here.counts(each) for each in (two.listener, added, *listeners)]
    assert found == [Counts(4), Counts(2), Counts(3), Counts(accepted=2, discarded=2)]
    await two.check()


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("what", ["listener", "queue"])
@pytest.mark.parametrize("status", [200, 500])
async def test_settling_while_the_listener_is_deleted(two: Two, what: str, status: int, late: bool) -> None:
    """The attempt was made, so it is counted; what becomes of the delivery is what came first."""
    here, hub = two.here, two.there.hub
    settling = outcome(two, await here.send(), status)
    key = here.org_id, here.queue_id

    async def delete() -> None:
        await (hub.queues.delete(*key) if what == "queue" else hub.listeners.delete(*key, two.listener.id))

    acts = (HOLDING, delete), (SETTLING, lambda: here.hub.deliveries.settle(settling))
    assert await in_turn(two, QUEUE, *in_order(late, *acts)) == [None, None]
    ended = Counts(1, 1, 0, 0) if status == 200 else Counts(1, 0, 1, 0)
    assert await here.counts(two.listener) == (ended if late else Counts(1, 0, 0, 1))
    published = [1, 0] if status == 200 else [0, 1]
    assert await two.stats(Kind.MESSAGE_PUBLISHED_OK, Kind.MESSAGE_PUBLISHED_NOT_OK) == published
    await two.check()


@pytest.mark.parametrize("late", [False, True])
async def test_settling_while_the_message_is_deleted(two: Two, late: bool) -> None:
    """It is delivered, or it is discarded, and not both."""
    here, message_id = two.here, await two.here.send()
    settling = outcome(two, message_id)
    acts = (
        ("SET state = 3", lambda: two.there.hub.messages.delete(here.org_id, here.queue_id, message_id)),
        ("SET attempts", lambda: here.hub.deliveries.settle(settling)),
    )
    assert await in_turn(two, DELIVERIES, *in_order(late, *acts)) == [None, None]
    assert await here.counts(two.listener) == (Counts(1, 1, 0, 0) if late else Counts(1, 0, 0, 1))
    assert rows(two.home, "SELECT count(*) FROM deliveries") == [(0,)]
    assert await two.stats(Kind.MESSAGE_PUBLISHED_OK) == [1]
    await two.check()


async def test_a_message_that_both_delete(two: Two) -> None:
    """What was owed is discarded once."""
    here, message_id = two.here, await two.here.send()

    def delete(hub: Hub) -> tuple[str, Doing]:
        return "SET state = 3", lambda: hub.messages.delete(here.org_id, here.queue_id, message_id)

    answers = await in_turn(two, DELIVERIES, delete(here.hub), delete(two.there.hub))
    assert answers[0] is None
    assert await here.counts(two.listener) == Counts(accepted=1, discarded=1)
    await two.check()


async def test_an_outcome_that_both_write(two: Two) -> None:
    """A process that was taken for dead had made the same attempt: both are counted, one of them decides."""
    here, message_id = two.here, await two.here.send()
    one = outcome(two, message_id)
    two.clock.pass_(ms=3)
    other = outcome(two, message_id, 500)

    def settle(hub: Hub, made: Outcome) -> tuple[str, Doing]:
        return "SET attempts", lambda: hub.deliveries.settle(made)

    acts = settle(here.hub, one), settle(two.there.hub, other)
    assert await in_turn(two, DELIVERIES, *acts) == [None, None]
    assert await here.counts(two.listener) == Counts(accepted=1, delivered=1)
    assert await two.stats(Kind.MESSAGE_PUBLISHED_OK, Kind.MESSAGE_PUBLISHED_NOT_OK) == [1, 1]
    (attempt,) = await here.hub.messages.attempts(here.org_id, here.queue_id, message_id)
    assert attempt == one.attempt
    await two.check()


async def test_the_late_outcome_of_a_process_that_lost_its_slots(postgresql_home: PostgresHome) -> None:
    """Another one has made that attempt, and goes on with the next: the late one is counted, and no more."""
    clock = MovingClock()
    async with opened(postgresql_home, clock) as zombie, opened(postgresql_home, clock) as owner:
        here = await place(zombie)
        two = Two(
            postgresql_home,
            clock,
            here,
            await place_of(owner, here.org_id, here.queue_id),
            await here.listener(),
        )
        message_id = await here.send()
        late = outcome(two, message_id, 200)
        clock.pass_(ms=3)
        await owner.deliveries.settle(outcome(two, message_id, 500))
        await zombie.deliveries.settle(late)
        assert await here.counts(two.listener) == Counts(accepted=1)
        assert rows(postgresql_home, "SELECT number, status FROM attempts") == [(1, 500)]
        clock.pass_(minutes=1)
        await owner.deliveries.settle(outcome(two, message_id, 200, attempts=1))
        await owner.deliveries.settle(outcome(two, message_id, 200, attempts=1))
        assert await here.counts(two.listener) == Counts(accepted=1, delivered=1)
        assert await two.stats(Kind.MESSAGE_PUBLISHED_OK, Kind.MESSAGE_PUBLISHED_NOT_OK) == [2, 1]
        await two.check()


class Crowd:
    """What processes do at the same time, by chance."""

    def __init__(self, two: Two, queue_ids: list[str], chance: random.Random) -> None:
        self._org_id = two.here.org_id
        self._hubs = [two.here.hub, two.there.hub]
        self._queue_ids = queue_ids
        self._chance = chance
        self._settling = {hub: asyncio.Lock() for hub in self._hubs}

    def anything(self) -> Awaitable[None]:
        """One thing, in one of the processes."""
        acts = [self.send] * 8 + [self.settle] * 4 + [self.add] * 2 + [self.delete, self.discard]
        return self._chance.choice(acts)(self._chance.choice(self._hubs))

    async def send(self, hub: Hub) -> None:
        await hub.messages.accept(self._org_id, self._chance.choice(self._queue_ids), "{}")

    async def settle(self, hub: Hub) -> None:
        """A process makes no attempt for a delivery twice at once; both may make the same."""
        async with self._settling[hub]:
            for listener in await hub.listeners.of(self._org_id):
                for owed in (await hub.deliveries.due(self._org_id, listener.id, 3))[0]:
                    attempt = answered(listener, owed, hub.clock(), self._chance.choice([200, 500]))
                    await hub.deliveries.settle(hub.deliveries.outcome(listener, owed, attempt, None))

    async def add(self, hub: Hub) -> None:
        queue_id = self._chance.choice(self._queue_ids)
        await hub.listeners.create(self._org_id, queue_id, unique("listener"), NOWHERE, NOWHERE)

    async def delete(self, hub: Hub) -> None:
        for listener in (await hub.listeners.of(self._org_id))[:1]:
            await hub.listeners.delete(self._org_id, listener.queue_id, listener.id)

    async def discard(self, hub: Hub) -> None:
        for message in await hub.messages.newest(self._org_id, None, lowest(LATEST), 2):
            await hub.messages.delete(self._org_id, message.queue_id, message.id)


@pytest.mark.parametrize("seed", range(4))
async def test_everything_at_once(two: Two, seed: int) -> None:
    """Accepting, settling, deleting and adding in two processes, in any order: the audit finds nothing."""
    other = await two.here.hub.queues.create(two.here.org_id, unique("queue"))
    crowd = Crowd(two, [two.here.queue_id, other.id], random.Random(seed))
    for _ in range(6):
        two.clock.pass_(ms=5)
        doing = [crowd.anything() for _ in range(24)]
        for answer in await asyncio.gather(*doing, return_exceptions=True):
            assert answer is None or isinstance(answer, NotFound)
        await two.check()
    await two.here.hub.queues.delete(two.here.org_id, other.id)
    await two.check()


async def test_events_come_in_order_although_commits_do_not(postgresql_home: PostgresHome) -> None:
    """Whoever goes on from the last event it saw misses none that was begun before it and is done after."""
    async with opened(postgresql_home) as one, opened(postgresql_home) as other:
        here = await place(one)
        elsewhere = await other.queues.create(here.org_id, "elsewhere")
        with beside(postgresql_home) as third:
            third.execute("BEGIN")
            third.execute("SELECT 1 FROM queues WHERE id = $1 FOR UPDATE", (here.queue_id,))
            slow = asyncio.create_task(here.send())
            await blocked(postgresql_home, ACCEPTING)
            quick = await other.messages.accept(here.org_id, elsewhere.id, "quick")
            assert await other.statistics.events(here.org_id, "messages", None, 10) == []
            third.execute("COMMIT")
        late = await slow
        events = await other.statistics.events(here.org_id, "messages", None, 10)
    # The one that waited is in its place, which is another one if it was begun anew.
    assert [event.message.id for event in events if event.message] == sorted([late, quick])
