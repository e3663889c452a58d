"""Delivering to listeners that are off, dead, moved or deleted, and beside other processes."""

import asyncio
from itertools import pairwise

import pytest

from postroom.domain.clock import HOUR
from postroom.domain.listener import Counts, Listener
from postroom.domain.retry import Policy
from postroom.service.hub import Hub
from tests.acceptance.house import until
from tests.acceptance.receiver import Receiver, answer, held
from tests.support.home import Home
from tests.support.hub import Place, opened, place, rows
from tests.support.workers import delivering, reached

pytestmark = pytest.mark.anyio

SLOW = Policy((0, HOUR), 0)


async def switched(hub: Hub, listener: Listener, status: str) -> None:
    """Switch a listener on or off."""
    key = listener.org_id, listener.queue_id, listener.id
    await hub.listeners.update(*key, status="enabled" if status == "enabled" else "disabled")


async def test_gone_is_asked_no_more_until_it_is_switched_on(home: Home) -> None:
    """410: what is owed waits, also what comes later; then all goes on at once, before its time."""
    async with opened(home, policy=SLOW) as hub, Receiver() as receiver, delivering(hub):
        here = await place(hub)
        gone = await here.listener(receiver.on("/gone", answer(410), answer(200)))
        await here.send()
        await receiver.received("/gone")
        await until(
            lambda: hub.listeners.get(here.org_id, here.queue_id, gone.id), lambda it: it.status == "disabled"
        )
        healthy = await here.listener(receiver.url("/healthy"))
        await here.send_many(3)
        await reached(here, healthy, Counts(3, 3))
        assert len(receiver.got("/gone")) == 1
        await switched(hub, gone, "enabled")
        await reached(here, gone, Counts(4, 4))


async def test_a_dead_listener_waits_until_it_answers_again(home: Home) -> None:
    """Then at once, also what was to be tried again in an hour."""
    async with opened(home, policy=SLOW) as hub, Receiver() as receiver, delivering(hub):
        here = await place(hub)
        dead = await here.listener(receiver.on("/dead", answer(500), answer(200)))
        await here.send()
        await until(lambda: here.next_due(dead), lambda due: due is not None)
        for answered in (True, False, False, False):
            await hub.probes.found((here.org_id, dead.id), answered)
        healthy = await here.listener(receiver.url("/healthy"))
        await here.send_many(3)
        await reached(here, healthy, Counts(3, 3))
        assert len(receiver.got("/dead")) == 1
        await hub.probes.found((here.org_id, dead.id), True)
        await reached(here, dead, Counts(4, 4))


async def test_a_dead_listener_that_never_lived_is_tried(home: Home) -> None:
    """Its liveness URL may be wrong while its notify URL is right."""
    async with opened(home) as hub, Receiver() as receiver, delivering(hub):
        here = await place(hub)
        listener = await here.listener(receiver.url("/"))
        for _ in range(5):
            await hub.probes.found((here.org_id, listener.id), False)
        await here.send()
        await reached(here, listener, Counts(1, 1))


async def test_a_new_address_holds_from_the_next_attempt_on(home: Home) -> None:
    """Also for what was tried at the old one."""
    async with opened(home, policy=Policy((0, 200), 0)) as hub, Receiver() as receiver, delivering(hub):
        here, gate = await place(hub), asyncio.Event()
        listener = await here.listener(receiver.on("/old", held(gate, 500)))
        await here.send()
        await receiver.received("/old")
        await hub.listeners.update(here.org_id, here.queue_id, listener.id, notify_url=receiver.url("/new"))
        gate.set()
        (got,) = await receiver.received("/new")
        assert got.attempt == 2
        assert len(receiver.got("/old")) == 1


async def test_a_change_during_a_long_release_is_not_missed(home: Home) -> None:
    """Switched on with much to hasten, moved elsewhere meanwhile: what is sent from then on goes there."""
    async with opened(home, policy=SLOW) as hub, Receiver() as receiver:
        here, gate = await place(hub), asyncio.Event()
        listener = await here.listener(receiver.on("/old", held(gate)))
        await here.send_many(1_500)
        await here.try_all(listener, 500)
        await switched(hub, listener, "disabled")
        async with delivering(hub, per_listener=1):
            healthy = await (await place(hub)).listener(receiver.url("/healthy"))
            await Place(hub, healthy.org_id, healthy.queue_id).send()
            await receiver.received("/healthy")
            await switched(hub, listener, "enabled")
            while not await here.due(listener, 1):
                await asyncio.sleep(0)
            key = here.org_id, here.queue_id, listener.id
            await hub.listeners.update(*key, notify_url=receiver.url("/new"))
            gate.set()
            await receiver.received("/new", 20)
        assert len(receiver.got("/old")) <= 1


async def test_others_have_their_turn_during_a_long_release(home: Home) -> None:
    """What waited goes on a few at a time, and the loop turns in between."""
    due = "SELECT count(*) FROM deliveries WHERE due_at <= (SELECT max(last_at) + 60000 FROM usage_totals)"
    async with opened(home, policy=SLOW) as hub, Receiver() as receiver:
        here = await place(hub)
        listener = await here.listener(receiver.on("/", held(asyncio.Event())))
        await here.send_many(2_100)
        await here.try_all(listener, 500)
        await switched(hub, listener, "disabled")
        async with delivering(hub, per_listener=1):
            await (await place(hub)).listener(receiver.url("/other"))
            await asyncio.sleep(0)
            await switched(hub, listener, "enabled")
            counted = [0]
            while counted[-1] < 2_100:
                await asyncio.sleep(0)
                counted.append(int(rows(home, due)[0][0]))
        assert max(after - before for before, after in pairwise(counted)) <= 500


async def test_a_deleted_message_is_not_sent(home: Home) -> None:
    """While it waits its turn; the next one is."""
    async with opened(home) as hub, Receiver() as receiver, delivering(hub, per_listener=1):
        here, gate = await place(hub), asyncio.Event()
        listener = await here.listener(receiver.on("/", held(gate)))
        first, doomed, last = [await here.send() for _ in range(3)]
        await receiver.received("/")
        await hub.messages.delete(here.org_id, here.queue_id, doomed)
        gate.set()
        await reached(here, listener, Counts(3, 2, 0, 1))
        assert [got.message_id for got in receiver.got("/")] == [first, last]


@pytest.mark.parametrize("deleted", ["listener", "queue"])
async def test_a_deleted_listener_is_sent_nothing_more(home: Home, deleted: str) -> None:
    """What was under way is counted as an attempt and discarded all the same."""
    async with opened(home) as hub, Receiver() as receiver, delivering(hub, per_listener=1):
        here, gate = await place(hub), asyncio.Event()
        listener = await here.listener(receiver.on("/", held(gate)))
        await here.send_many(3)
        await receiver.received("/")
        if deleted == "listener":
            await hub.listeners.delete(here.org_id, here.queue_id, listener.id)
        else:
            await hub.queues.delete(here.org_id, here.queue_id)
        gate.set()

        async def attempts() -> int:
            return (await hub.statistics.messages(here.org_id)).last_1_hours[-2]

        assert await until(attempts, lambda count: count > 0) == 1
        assert await here.counts(listener) == Counts(3, 0, 0, 3)
        assert len(receiver.got("/")) == 1


async def test_what_a_command_writes_is_delivered(home: Home) -> None:
    """A listener and messages of another process, once this one is told to look."""
    async with opened(home) as hub, opened(home) as command, Receiver() as receiver:
        async with delivering(hub) as deliver:
            here = await place(command)
            listener = await here.listener(receiver.url("/"))
            await here.send_many(3)
            deliver.look_everywhere()
            await reached(Place(hub, here.org_id, here.queue_id), listener, Counts(3, 3))
            await here.send_many(2)
            deliver.look_everywhere()
            await reached(Place(hub, here.org_id, here.queue_id), listener, Counts(5, 5))
        assert len(receiver.got("/")) == 5


async def test_looking_everywhere_sends_nothing_twice(home: Home) -> None:
    """However often another process writes while requests are under way."""
    async with opened(home) as hub, Receiver() as receiver, delivering(hub, per_listener=3) as deliver:
        here, gate = await place(hub), asyncio.Event()
        listener = await here.listener(receiver.on("/", held(gate)))
        await here.send_many(40)
        await receiver.received("/", 3)
        for _ in range(20):
            deliver.look_everywhere()
            await asyncio.sleep(0)
        gate.set()
        while (await here.counts(listener)).pending:
            deliver.look_everywhere()
            await asyncio.sleep(0)
        assert await here.counts(listener) == Counts(40, 40)
        assert len(receiver.got("/")) == 40
