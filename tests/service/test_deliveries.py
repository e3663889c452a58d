"""What is owed, and what attempts lead to."""

import asyncio

import pytest

from postroom.domain.clock import DAY, HOUR, SECOND
from postroom.domain.delivery import SHORT, Attempt, Outcome, Owed, State
from postroom.domain.errors import NotFound
from postroom.domain.listener import EVERY_SLOT, MISSED_SHOWN, Counts, Listener
from postroom.domain.retry import Policy
from postroom.service.deliveries import SOME
from postroom.service.retention import Retention
from tests.support.clock import NOON, MovingClock
from tests.support.home import Home
from tests.support.hub import STEADY, Place, answered, attempted, listed, opened, place, rows

pytestmark = pytest.mark.anyio

ONCE = Policy((0,))
COUNTS = "SELECT sum(accepted), sum(delivered), sum(failed), sum(discarded) FROM listener_counts"


async def outcome(
    here: Place, listener: Listener, owed: Owed, status: int | None, retry_after: int | None = None
) -> Outcome:
    """What an answer at this moment leads to."""
    made = answered(listener, owed, here.hub.clock(), status)
    return here.hub.deliveries.outcome(listener, owed, made, retry_after)


@pytest.mark.parametrize(
    ("attempts", "status", "state", "after", "gone"),
    [
        (0, 200, State.DELIVERED, 0, False),
        (0, 299, State.DELIVERED, 0, False),
        (2, 204, State.DELIVERED, 0, False),
        (0, 500, State.PENDING, 1_000, False),
        (1, 500, State.PENDING, 60_000, False),
        (1, None, State.PENDING, 60_000, False),
        (2, 500, State.FAILED, 0, False),
        (9, None, State.FAILED, 0, False),
        (0, 300, State.PENDING, 1_000, False),
        (0, 410, State.PENDING, 1_000, True),
        (2, 410, State.FAILED, 0, True),
    ],
)
async def test_what_an_attempt_leads_to(
    home: Home, attempts: int, status: int | None, state: State, after: int, gone: bool
) -> None:
    """2xx ends it well, the last entry of the schedule ends it badly, all else is tried again."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        listener = await here.listener()
        found = await outcome(here, listener, Owed("message", attempts), status)
        assert (found.state, found.at, found.listener_gone) == (state, NOON + 7 + after, gone)
        assert found.attempt.number == attempts + 1


@pytest.mark.parametrize(
    ("asked", "waits"), [(None, 1_000), (0, 1_000), (999, 1_000), (5_000, 5_000), (9 * DAY, DAY)]
)
async def test_a_receiver_may_ask_for_time(home: Home, asked: int | None, waits: int) -> None:
    """No shorter than the schedule, and a day at most."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        found = await outcome(here, await here.listener(), Owed("message", 0), 503, asked)
        assert found.at == NOON + 7 + waits


@pytest.mark.parametrize(("drawn", "waits"), [(0.0, 8_000), (0.5, 10_000), (1.0, 12_000)])
async def test_chance_varies_the_wait(home: Home, drawn: float, waits: int) -> None:
    """By the share that the policy names, both ways."""
    policy = Policy((0, 10_000), 0.2)
    async with opened(home, MovingClock(), policy=policy, chance=lambda: drawn) as hub:
        here = await place(hub)
        found = await outcome(here, await here.listener(), Owed("message", 0), 500)
        assert found.at == NOON + 7 + waits


async def test_the_life_of_a_delivery(home: Home) -> None:
    """Accepted, tried until the schedule is used up; due when it says, every attempt kept."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
        listener = await here.listener()
        message_id = await here.send()
        due_at = [NOON, NOON + 7 + 1_000, NOON + 14 + 61_000]
        for number, at in enumerate(due_at):
            if number:
                clock.now = at - 1
                assert (await here.due(listener), await here.next_due(listener)) == ([], at)
            clock.now = at
            assert await here.due(listener) == [Owed(message_id, number, b"hello")]
            assert await here.counts(listener) == Counts(accepted=1)
            await here.try_all(listener, 500)
        assert await here.counts(listener) == Counts(accepted=1, failed=1)
        assert await here.missed(listener) == [message_id]
        assert (await here.due(listener), await here.next_due(listener)) == ([], None)
        kept = await hub.messages.attempts(here.org_id, here.queue_id, message_id)
        assert kept == [
            Attempt(listener.id, number + 1, at, 7, 500, "status", b"answer")
            for number, at in enumerate(due_at)
        ]


async def test_due_deliveries_come_in_order_and_no_more_than_asked(home: Home) -> None:
    """The longest due first, then by age of the message."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
        listener = await here.listener()
        first = await here.send_many(5)
        await here.try_all(listener, 500)
        clock.pass_(seconds=2)
        later = await here.send_many(5)
        due = listed(await here.due(listener), "message_id")
        assert due == first + later
        assert listed(await here.due(listener, 7), "message_id") == due[:7]


async def test_each_listener_is_owed_what_came_after_it(home: Home) -> None:
    """A message goes to the listeners that the queue has when it is accepted, and to no other queue's."""
    async with opened(home, MovingClock()) as hub:
        here, elsewhere = await place(hub), await place(hub)
        before = await here.send()
        early, other = await here.listener(), await elsewhere.listener()
        between = await here.send()
        late = await here.listener()
        after = await here.send()
        assert listed(await here.due(early), "message_id") == [between, after]
        assert listed(await here.due(late), "message_id") == [after]
        assert await elsewhere.due(other) == []
        assert before < between < after


@pytest.mark.parametrize("status", [200, 500, 410])
@pytest.mark.parametrize("deleted", ["message", "listener", "queue", "listener and swept"])
async def test_discarded_while_an_attempt_is_under_way(home: Home, status: int, deleted: str) -> None:
    """The attempt is counted as made; the delivery stays discarded, and nothing else changes."""
    async with opened(home, MovingClock(), policy=ONCE) as hub:
        here = await place(hub)
        listener = await here.listener()
        message_id, _ = await here.send_many(2)
        flying = await outcome(here, listener, (await here.due(listener))[0], status)
        await delete(here, listener, message_id, deleted)
        counts = rows(home, COUNTS)
        await hub.deliveries.settle(flying)
        assert rows(home, COUNTS) == counts
        assert counts == [(2, 0, 0, 1 if deleted == "message" else 2)]
        assert rows(home, "SELECT count(*) FROM attempts") == [(0,)]
        stats = (await hub.statistics.messages(here.org_id)).last_1_hours
        assert stats[-2:] == ((1, 0) if status == 200 else (0, 1))
        assert await hub.audit.differences() == []


async def delete(here: Place, listener: Listener, message_id: str, what: str) -> None:
    """Delete what the delivery depends on."""
    hub = here.hub
    if what == "message":
        await hub.messages.delete(here.org_id, here.queue_id, message_id)
    elif what == "queue":
        await hub.queues.delete(here.org_id, here.queue_id)
    else:
        await hub.listeners.delete(here.org_id, here.queue_id, listener.id)
    if what == "listener and swept":
        await Retention(hub.ledger, hub.database, hub.clock, DAY, DAY).sweep()


async def test_settling_twice_counts_the_delivery_once(home: Home) -> None:
    """Two attempts for one delivery that both came to an end: the first decides."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
        listener = await here.listener()
        await here.send()
        (owed,) = await here.due(listener)
        await hub.deliveries.settle(await outcome(here, listener, owed, 200))
        clock.pass_(ms=1)
        await hub.deliveries.settle(await outcome(here, listener, owed, 500))
        assert await here.counts(listener) == Counts(accepted=1, delivered=1)
        assert (await hub.statistics.messages(here.org_id)).last_1_hours[-2:] == (1, 1)


async def test_gone_switches_the_listener_off(home: Home) -> None:
    """410: nothing is lost, what is owed waits; switched on again it goes on."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
        listener, healthy = await here.listener(), await here.listener()
        await here.send_many(3)
        await attempted(hub, listener, (await here.due(listener))[0], 410)
        key = here.org_id, here.queue_id, listener.id
        assert (await hub.listeners.get(*key)).status == "disabled"
        lane = await hub.deliveries.lane(here.org_id, listener.id)
        assert lane is not None
        assert not lane.open
        assert (await here.counts(listener)).pending == 3
        other = await hub.deliveries.lane(here.org_id, healthy.id)
        assert other is not None
        assert other.open
        await hub.listeners.update(*key, status="enabled")
        lane = await hub.deliveries.lane(here.org_id, listener.id)
        assert lane is not None
        assert lane.open


async def test_gone_is_not_counted_as_an_update(home: Home) -> None:
    """`listener_updated` counts what was asked for through the API."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        listener = await here.listener()
        await here.send()
        await here.try_all(listener, 410)
        events = await hub.statistics.events(here.org_id, "listeners", None, 10)
        assert len(events) == 1


async def test_what_waits_for_later_can_be_made_due(home: Home) -> None:
    """A few at a time, until none is left; what is due already keeps its turn."""
    clock = MovingClock()
    async with opened(home, clock, policy=Policy((0, HOUR), 0)) as hub:
        here = await place(hub)
        listener, other = await here.listener(), await here.listener()
        await here.send_many(SOME + 10)
        await asyncio.gather(here.try_all(listener, 500), here.try_all(other, 500))
        clock.pass_(seconds=1)
        last = await here.send()
        assert listed(await here.due(listener), "message_id") == [last]
        assert await hub.deliveries.hasten(here.org_id, listener.id) is True
        assert len(await here.due(listener)) == SOME + 1
        assert await hub.deliveries.hasten(here.org_id, listener.id) is False
        assert len(await here.due(listener)) == SOME + 11
        assert await hub.deliveries.hasten(here.org_id, listener.id) is False
        assert listed(await here.due(other), "message_id") == [last]


async def test_the_newest_hundred_missed_are_shown(home: Home) -> None:
    """The count is of all; deleting a message takes it off the list and not out of the count."""
    async with opened(home, MovingClock(), policy=ONCE) as hub:
        here = await place(hub)
        listener = await here.listener()
        sent = await here.send_many(MISSED_SHOWN + 20)
        await here.try_all(listener, 500)
        assert await here.missed(listener) == sent[: -MISSED_SHOWN - 1 : -1]
        assert await here.counts(listener) == Counts(accepted=120, failed=120)
        await hub.messages.delete(here.org_id, here.queue_id, sent[-1])
        assert await here.missed(listener) == sent[-2 : -MISSED_SHOWN - 2 : -1]
        assert await here.counts(listener) == Counts(accepted=120, failed=120)


async def test_short_data_comes_with_what_is_due(home: Home) -> None:
    """Longer data is read when its turn comes; what it weighs is its bytes."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        listener = await here.listener()
        for data in ("", "é" * (SHORT // 2), "é" * (SHORT // 2) + "x"):
            await here.send(data)
        found = listed(await here.due(listener), "data")
        assert found == [b"", "é".encode() * (SHORT // 2), None]


async def test_lanes_are_all_listeners(home: Home) -> None:
    """Of all organizations, open or not, and one looked up alone is the same."""
    async with opened(home, MovingClock()) as hub:
        here, elsewhere = await place(hub), await place(hub)
        on, off, foreign = await here.listener(), await here.listener(), await elsewhere.listener()
        await hub.listeners.update(here.org_id, here.queue_id, off.id, status="disabled")
        lanes = {lane.listener.id: lane for lane in await hub.deliveries.lanes(EVERY_SLOT)}
        assert {key: lane.open for key, lane in lanes.items()} == {
            on.id: True,
            off.id: False,
            foreign.id: True,
        }
        for lane in lanes.values():
            assert await hub.deliveries.lane(lane.listener.org_id, lane.listener.id) == lane
        await hub.listeners.delete(here.org_id, here.queue_id, on.id)
        assert await hub.deliveries.lane(here.org_id, on.id) is None


async def test_data_is_there_while_the_message_is(home: Home) -> None:
    """As it was sent; nothing once the message is deleted."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        message_id = await here.send("Grüße 👋")
        assert await hub.deliveries.data(here.org_id, message_id) == "Grüße 👋".encode()
        await hub.messages.delete(here.org_id, here.queue_id, message_id)
        assert await hub.deliveries.data(here.org_id, message_id) is None
        with pytest.raises(NotFound):
            await hub.messages.attempts(here.org_id, here.queue_id, message_id)


async def test_the_default_schedule(home: Home) -> None:
    """The second attempt is due five seconds after the first one's end, the last a day after the ninth."""
    async with opened(home, MovingClock(), policy=Policy(jitter=0)) as hub:
        here = await place(hub)
        listener = await here.listener()
        ats = [(await outcome(here, listener, Owed("m", made), 500)).at - NOON - 7 for made in range(9)]
        assert (ats[0], ats[-1]) == (5 * SECOND, DAY)
        assert (await outcome(here, listener, Owed("m", 9), 500)).state is State.FAILED
        assert STEADY.jitter == 0
