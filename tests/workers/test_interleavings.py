"""Delivering on a database whose answers take time: whatever happens meanwhile, nothing is sent twice."""

import asyncio
from collections import Counter
from functools import partial
from random import Random

import pytest
from aiohttp import web

from postroom.domain.listener import EVERY_SLOT, SLOTS, Counts, Listener
from postroom.domain.retry import Policy
from postroom.workers import lane
from postroom.workers.deliver import Deliver
from tests.acceptance.house import until
from tests.acceptance.receiver import Behaviour, Receiver, answer, held
from tests.support.holding import HoldingHome
from tests.support.home import Home, PostgresHome
from tests.support.hub import Place, opened, place, unique
from tests.support.workers import delivering, reached

pytestmark = pytest.mark.anyio

SOON = Policy((0, 100), 0)
NOTHING = frozenset[int]()


@pytest.fixture
def home(postgresql_home: PostgresHome) -> HoldingHome:
    """A database whose answers the test can hold back."""
    return HoldingHome(postgresql_home.server, postgresql_home.name)


def ids(receiver: Receiver, path: str = "/") -> list[str]:
    """The messages that arrived, in the order of their acceptance."""
    return sorted(got.message_id for got in receiver.got(path))


async def test_accepted_while_the_store_is_read(home: HoldingHome) -> None:
    """What was there before, what came in the meantime and what comes afterwards."""
    async with opened(home) as hub, Receiver() as receiver:
        here = await place(hub)
        listener = await here.listener(receiver.url("/"))
        sent = [await here.send()]
        reading = home.database.hold("due_deliveries")
        async with delivering(hub):
            await reading.given()
            sent += await here.send_many(3)
            reading.let_go()
            await reached(here, listener, Counts(4, 4))
            sent += await here.send_many(3)
            await reached(here, listener, Counts(7, 7))
        assert ids(receiver) == sent


async def test_accepted_and_read_before_the_reading_began_to_be_answered(home: HoldingHome) -> None:
    """The reading sees the message, and the process is told of it while the answer is on its way."""
    async with opened(home) as hub, Receiver() as receiver, delivering(hub) as deliver:
        here = await place(hub)
        listener = await here.listener(receiver.url("/"))
        sent = [await here.send()]
        await reached(here, listener, Counts(1, 1))
        accepted, reading = home.database.hold_commit("insert_message"), home.database.hold("due_deliveries")
        sending = asyncio.create_task(here.send())
        await accepted.given()
        deliver.waiting(here.org_id, listener.id)
        await reading.given()
        accepted.let_go()
        sent.append(await sending)
        reading.let_go()
        await reached(here, listener, Counts(2, 2))
        sent.append(await here.send())
        await reached(here, listener, Counts(3, 3))
        assert ids(receiver) == sent


async def test_delivered_before_the_process_is_told_that_it_was_accepted(home: HoldingHome) -> None:
    """The answer to the commit comes late: by then the message was read, sent and acknowledged."""
    async with opened(home) as hub, Receiver() as receiver, delivering(hub) as deliver:
        here = await place(hub)
        listener = await here.listener(receiver.url("/"))
        accepted = home.database.hold_commit("insert_message")
        sending = asyncio.create_task(here.send())
        await accepted.given()
        deliver.waiting(here.org_id, listener.id)
        await reached(here, listener, Counts(1, 1))
        sent = [await here.send()]  # with it, the store is read once more
        deliver.waiting(here.org_id, listener.id)
        await reached(here, listener, Counts(2, 2))
        accepted.let_go()
        sent.append(await sending)
        sent.append(await here.send())
        await reached(here, listener, Counts(3, 3))
        assert ids(receiver) == sorted(sent)


async def test_settled_while_the_store_is_read(home: HoldingHome) -> None:
    """The reading still has as pending what is acknowledged when it is answered."""
    async with opened(home) as hub, Receiver() as receiver, delivering(hub) as deliver:
        here, gate = await place(hub), asyncio.Event()
        listener = await here.listener(receiver.on("/", held(gate)))
        sent = await here.send_many(3)
        await receiver.received("/", 3)
        reading = home.database.hold("due_deliveries")
        deliver.waiting(here.org_id, listener.id)
        await reading.given()
        gate.set()
        await reached(here, listener, Counts(3, 3))
        reading.let_go()
        sent.append(await here.send())
        await reached(here, listener, Counts(4, 4))
        assert ids(receiver) == sent


async def test_failed_while_the_store_is_read(home: HoldingHome) -> None:
    """It is tried again when its time has come, and not before."""
    async with opened(home, policy=SOON) as hub, Receiver() as receiver, delivering(hub) as deliver:
        here, gate = await place(hub), asyncio.Event()
        listener = await here.listener(receiver.on("/", held(gate, 500), answer(200)))
        message_id = await here.send()
        await receiver.received("/")
        reading = home.database.hold("due_deliveries")
        deliver.waiting(here.org_id, listener.id)
        await reading.given()
        gate.set()
        await attempts(here, message_id, 1)
        reading.let_go()
        await reached(here, listener, Counts(1, 1))
        assert [got.attempt for got in receiver.got("/")] == [1, 2]
        first, second = await hub.messages.attempts(here.org_id, here.queue_id, message_id)
        assert second.at >= first.at + first.duration + 100


async def test_a_retry_that_is_told_late(home: HoldingHome, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is overdue by then, and the store was read since: it is made all the same."""
    monkeypatch.setattr(lane, "LATE", 0)
    async with opened(home, policy=SOON) as hub, Receiver() as receiver, delivering(hub) as deliver:
        here = await place(hub)
        listener = await here.listener(receiver.on("/", answer(500), answer(200)))
        written = home.database.hold_commit("insert_attempt")
        await here.send()
        await written.given()
        await until(lambda: here.due(listener), bool)
        reading = home.database.hold("due_deliveries")
        deliver.waiting(here.org_id, listener.id)
        await reading.given()
        reading.let_go()
        await here.send()
        await reached(here, listener, Counts(2, 1))
        written.let_go()
        await reached(here, listener, Counts(2, 2))


async def test_a_commit_that_is_seen_very_late(home: HoldingHome, postgresql_home: PostgresHome) -> None:
    """What it owes became due long before all that was read; a search finds it."""
    async with opened(home) as hub, Receiver() as receiver, delivering(hub) as deliver:
        here = await place(hub)
        listener = await here.listener(receiver.url("/"))
        await here.send()
        await reached(here, listener, Counts(1, 1))
        rows = postgresql_home.rows
        rows("INSERT INTO messages SELECT org_id, 'late', queue_id, name, data FROM messages")
        rows("INSERT INTO deliveries SELECT org_id, 'late', listener_id, 0, 0, 1, NULL FROM deliveries")
        rows("UPDATE listener_counts SET accepted = accepted + 1 WHERE accepted > 0")
        deliver.waiting(here.org_id, listener.id, since=0)
        await reached(here, listener, Counts(2, 2))


async def attempts(here: Place, message_id: str, count: int) -> None:
    """Wait until so many are written."""
    made = partial(here.hub.messages.attempts, here.org_id, here.queue_id, message_id)
    await until(made, lambda found: len(found) == count)


@pytest.mark.parametrize("deleted", ["message", "listener", "queue"])
async def test_deleted_while_the_store_is_read(home: HoldingHome, deleted: str) -> None:
    """The reading still has as pending what is gone when it is answered."""
    async with opened(home) as hub, Receiver() as receiver:
        here = await place(hub)
        listener = await here.listener(receiver.url("/"))
        sent = await here.send_many(2)
        reading = home.database.hold("due_deliveries")
        async with delivering(hub):
            await reading.given()
            if deleted == "message":
                await hub.messages.delete(here.org_id, here.queue_id, sent.pop())
            elif deleted == "listener":
                await hub.listeners.delete(here.org_id, here.queue_id, listener.id)
            else:
                await hub.queues.delete(here.org_id, here.queue_id)
            reading.let_go()
            there = await place(hub)
            other = await there.listener(receiver.url("/other"))
            await there.send()
            await reached(there, other, Counts(1, 1))
            if deleted == "message":
                await reached(here, listener, Counts(2, 1, 0, 1))
        assert ids(receiver) == (sent if deleted == "message" else [])


async def test_changed_while_it_is_looked_up(home: HoldingHome) -> None:
    """The answer is of yesterday, so it is looked up again before anything is sent."""
    async with opened(home) as hub, Receiver() as receiver, delivering(hub):
        here = await place(hub)
        looking = home.database.hold("find_listener")
        listener = await here.listener(receiver.url("/old"))
        await looking.given()
        await here.send()
        await hub.listeners.update(here.org_id, here.queue_id, listener.id, notify_url=receiver.url("/new"))
        looking.let_go()
        await reached(here, listener, Counts(1, 1))
        assert (len(receiver.got("/old")), len(receiver.got("/new"))) == (0, 1)


async def test_changed_while_all_are_looked_up(home: HoldingHome) -> None:
    """Nothing is sent to the old address, not even while it is looked up once more."""
    async with opened(home) as hub, Receiver() as receiver, delivering(hub) as deliver:
        here = await place(hub)
        listener = await here.listener(receiver.url("/old"))
        await here.send()
        await reached(here, listener, Counts(1, 1))
        all_of_them = home.database.hold("waiting_listeners")
        deliver.look_everywhere()
        await all_of_them.given()
        await hub.listeners.update(here.org_id, here.queue_id, listener.id, notify_url=receiver.url("/new"))
        this_one = home.database.hold("find_listener")
        all_of_them.let_go()
        await this_one.given()
        await here.send_many(3)
        this_one.let_go()
        await reached(here, listener, Counts(4, 4))
        assert (len(receiver.got("/old")), len(receiver.got("/new"))) == (1, 3)


async def test_a_listener_added_while_all_are_looked_up(home: HoldingHome) -> None:
    """It is not among those that were found, and what it is owed is sent all the same."""
    async with opened(home) as hub, Receiver() as receiver:
        here = await place(hub)
        looking = home.database.hold("list_every_listener")
        async with delivering(hub):
            await looking.given()
            listener = await here.listener(receiver.url("/"))
            sent = await here.send_many(3)
            looking.let_go()
            await reached(here, listener, Counts(3, 3))
        assert ids(receiver) == sent


async def test_given_up_and_regained_with_a_request_under_way(home: HoldingHome) -> None:
    """What is under way is not repeated, and the others have their turn when it has ended."""
    async with opened(home) as hub, Receiver() as receiver, delivering(hub, per_listener=1) as deliver:
        here, gate = await place(hub), asyncio.Event()
        listener = await here.listener(receiver.on("/", held(gate)))
        sent = await here.send_many(3)
        await receiver.received("/")
        deliver.hold(NOTHING)
        deliver.hold(EVERY_SLOT)
        sent += await here.send_many(2)
        there = await place(hub)
        other = await there.listener(receiver.url("/other"))
        await there.send()
        await reached(there, other, Counts(1, 1))  # so the first one has been looked up, too
        gate.set()
        await reached(here, listener, Counts(5, 5))
        assert ids(receiver) == sent


async def test_what_fails_after_it_was_given_up_and_regained(home: HoldingHome) -> None:
    """It is tried again when its time has come."""
    async with opened(home, policy=SOON) as hub, Receiver() as receiver, delivering(hub) as deliver:
        here, gate = await place(hub), asyncio.Event()
        listener = await here.listener(receiver.on("/", held(gate, 500), answer(200)))
        await here.send()
        await receiver.received("/")
        looking = home.database.hold("next_due")
        deliver.hold(NOTHING)
        deliver.hold(EVERY_SLOT)
        await looking.given()
        looking.let_go()
        gate.set()
        await reached(here, listener, Counts(1, 1))
        assert [got.attempt for got in receiver.got("/")] == [1, 2]


async def test_given_up_and_regained_while_the_store_is_read(home: HoldingHome) -> None:
    """The answer to who held it before is of no use; it is read again."""
    async with opened(home) as hub, Receiver() as receiver:
        here = await place(hub)
        listener = await here.listener(receiver.url("/"))
        sent = await here.send_many(3)
        reading = home.database.hold("due_deliveries")
        async with delivering(hub) as deliver:
            await reading.given()
            deliver.hold(NOTHING)
            deliver.hold(EVERY_SLOT)
            sent += await here.send_many(2)
            reading.let_go()
            await reached(here, listener, Counts(5, 5))
        assert ids(receiver) == sent


async def test_what_is_just_being_settled_is_not_read_again(home: HoldingHome) -> None:
    """Writing an outcome takes long: until it is written, no reading takes the message."""
    async with opened(home) as hub, Receiver() as receiver, delivering(hub) as deliver:
        here = await place(hub)
        listener = await here.listener(receiver.url("/"))
        writing = home.database.hold("end_delivery")
        sent = [await here.send()]
        await writing.given()
        for _ in range(3):
            reading = home.database.hold("next_due")
            deliver.waiting(here.org_id, listener.id)
            await reading.given()
            reading.let_go()
        writing.let_go()
        await reached(here, listener, Counts(1, 1))
        sent.append(await here.send())
        await reached(here, listener, Counts(2, 2))
        assert ids(receiver) == sent


def now_and_then(chance: Random) -> Behaviour:
    """An answer after some turns of the loop."""

    async def behave(request: web.Request) -> web.StreamResponse:
        for _ in range(chance.randrange(30)):
            await asyncio.sleep(0)
        return web.Response()

    return behave


class Storm:
    """What chance does to four listeners of a queue and what they are owed."""

    def __init__(self, chance: Random, here: Place, listeners: list[Listener], deliver: Deliver) -> None:
        self._chance = chance
        self._here = here
        self._listeners = listeners
        self._deliver = deliver
        self.sent: list[str] = []
        self.deleted: list[str] = []

    async def rage(self, steps: int = 25) -> None:
        """So many things, one after another."""
        things = [self.send, self.send, self.send, self.delete, self.change, self.look, self.move]
        for _ in range(steps):
            await self._chance.choice(things)()

    async def send(self) -> None:
        """Some that arrive together, or none."""
        self.sent.extend(await self._here.send_many(self._chance.randrange(8)))

    async def delete(self) -> None:
        """One that was sent."""
        if self.sent:
            self.deleted.append(self.sent.pop(self._chance.randrange(len(self.sent))))
            here = self._here
            await here.hub.messages.delete(here.org_id, here.queue_id, self.deleted[-1])

    async def change(self) -> None:
        """One listener, in a way that is of no importance."""
        here, listener = self._here, self._chance.choice(self._listeners)
        await here.hub.listeners.update(here.org_id, here.queue_id, listener.id, name=unique("name"))

    async def look(self) -> None:
        """As if others had written."""
        self._deliver.look_everywhere()
        self._deliver.waiting(self._here.org_id, self._chance.choice(self._listeners).id)

    async def move(self) -> None:
        """Half of the slots go, and come back."""
        self._deliver.hold(frozenset(self._chance.sample(range(SLOTS), SLOTS // 2)))
        await asyncio.sleep(self._chance.choice([0, 0.001]))
        self._deliver.hold(EVERY_SLOT)


@pytest.mark.parametrize("seed", range(4))
async def test_all_at_once(home: Home, seed: int) -> None:
    """Accepting, deleting, looking, giving up and regaining, as chance has it: all arrive, each once."""
    chance = Random(seed)
    async with opened(home) as hub, Receiver() as receiver, delivering(hub, 3) as deliver:
        here = await place(hub)
        paths = [f"/{number}" for number in range(4)]
        listeners = [await here.listener(receiver.on(path, now_and_then(chance))) for path in paths]
        storm = Storm(chance, here, listeners, deliver)
        await asyncio.gather(*(storm.rage() for _ in range(4)))
        sent = {*storm.sent, *await here.send_many(5)}
        for listener in listeners:
            await until(partial(here.counts, listener), lambda counts: not counts.pending)
        for path in paths:
            times = Counter(ids(receiver, path))
            assert set(times.values()) == {1}
            assert sent <= times.keys() <= {*sent, *storm.deleted}
