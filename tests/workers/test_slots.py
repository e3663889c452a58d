"""Delivering, probing and sweeping for a part of the slots."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from operator import lt

import pytest

from postroom.domain.clock import DAY, HOUR
from postroom.domain.delivery import Owed
from postroom.domain.listener import EVERY_SLOT, SLOTS, Counts, Listener
from postroom.service.retention import Retention
from postroom.workers.probe import Probe
from postroom.workers.sweep import Sweep
from tests.acceptance.house import until
from tests.acceptance.receiver import Receiver, held
from tests.support.holding import HoldingHome
from tests.support.home import Home, PostgresHome
from tests.support.hub import Place, opened, place
from tests.support.workers import Crew, Peer, crew, delivering, reached, running, transport

pytestmark = pytest.mark.anyio

NOTHING = frozenset[int]()
INTERVALS = 100, HOUR  # ms; of the busy, and of the idle
WHOM = "unfinished_listeners"  # asked whenever it is looked whom to probe
LOWER, UPPER = frozenset(range(SLOTS // 2)), frozenset(range(SLOTS // 2, SLOTS))


async def one_in(here: Place, slots: frozenset[int], url: str) -> Listener:
    """A listener in one of these slots, with one URL for all."""
    while True:
        listener = await here.listener(url, url)
        if listener.slot in slots:
            return listener
        await here.hub.listeners.delete(here.org_id, here.queue_id, listener.id)


async def test_only_listeners_of_held_slots_are_delivered_to(home: Home) -> None:
    """What the others are owed waits in the store, for whoever holds their slots."""
    async with opened(home) as hub, Receiver() as receiver, delivering(hub) as deliver:
        here = await place(hub)
        deliver.hold(LOWER)
        lower = await one_in(here, LOWER, receiver.url("/lower"))
        upper = await one_in(here, UPPER, receiver.url("/upper"))
        await here.send_many(5)
        await reached(here, lower, Counts(5, 5))
        assert receiver.got("/upper") == []
        deliver.hold(UPPER)
        await reached(here, upper, Counts(5, 5))
        await here.send_many(5)
        await reached(here, upper, Counts(10, 10))
        assert await here.counts(lower) == Counts(10, 5)
        deliver.hold(EVERY_SLOT)
        await reached(here, lower, Counts(10, 10))
        assert (len(receiver.got("/lower")), len(receiver.got("/upper"))) == (10, 10)


async def test_who_begins_with_nothing_does_nothing(postgresql_home: PostgresHome) -> None:
    """News of others' listeners are passed over: the store is asked for nothing."""
    home = HoldingHome(postgresql_home.server, postgresql_home.name)
    async with opened(home) as hub, Receiver() as receiver, delivering(hub) as deliver:
        deliver.hold(NOTHING)
        here = await place(hub)
        listener = await here.listener(receiver.url("/"))
        await here.send()
        await until(partial(asked, home, "waiting_listeners"), bool)
        key = here.org_id, listener.id
        before = [await asked(home, query) for query in ("find_listener", "due_deliveries", "message_data")]
        deliver.owed({key: [Owed("message", 0)]}, 0)
        deliver.changed(*key)
        deliver.discarded(*key, "message")
        deliver.waiting(*key)
        deliver.look_everywhere()
        looked = await asked(home, "waiting_listeners")
        await until(partial(asked, home, "waiting_listeners"), lambda count: count > looked)
        after = [await asked(home, query) for query in ("find_listener", "due_deliveries", "message_data")]
        assert after == before
        deliver.hold(EVERY_SLOT)
        await reached(here, listener, Counts(1, 1))
        assert len(receiver.got("/")) == 1


async def asked(home: HoldingHome, query: str) -> int:
    """How often the store was asked this."""
    return home.database.asked[query]


async def test_what_has_ended(home: Home) -> None:
    """Of the slots that were given up: each whose last request has ended, whatever is under way elsewhere."""
    async with opened(home) as hub, Receiver() as receiver, delivering(hub) as deliver:
        here, first, second = await place(hub), asyncio.Event(), asyncio.Event()
        lower = await one_in(here, LOWER, receiver.on("/lower", held(first)))
        upper = await one_in(here, UPPER, receiver.on("/upper", held(second)))
        await here.send_many(2)
        await receiver.received("/lower", 2)
        await receiver.received("/upper", 2)
        deliver.hold(NOTHING)
        assert deliver.busy() == {lower.slot, upper.slot}
        await deliver.ended(UPPER)  # others of them are quiet
        waiting = asyncio.create_task(deliver.ended(frozenset({upper.slot})))
        first.set()
        await deliver.ended(frozenset({lower.slot, upper.slot}))
        assert deliver.busy() == {upper.slot}
        assert not waiting.done()
        second.set()
        await waiting
        assert deliver.busy() == NOTHING
        assert await here.counts(lower) == await here.counts(upper) == Counts(2, 2)


async def test_only_listeners_of_held_slots_are_probed(home: Home) -> None:
    """The others are for others to probe."""
    async with (
        opened(home) as hub,
        Receiver() as receiver,
        delivering(hub) as deliver,
        transport() as requests,
    ):
        here = await place(hub)
        deliver.hold(LOWER)
        await one_in(here, LOWER, receiver.url("/lower"))
        await one_in(here, UPPER, receiver.url("/upper"))
        async with running(Probe(hub.probes, requests, hub.clock, *INTERVALS, deliver.holds).run):
            await receiver.received("/lower")
            deliver.hold(UPPER)
            await receiver.received("/upper")
        assert (len(receiver.got("/lower")), len(receiver.got("/upper"))) == (1, 1)


class Keeper:
    """A process with its other loops, as the server builds them; `home` counts what it asks the store."""

    def __init__(self, peer: Peer, home: HoldingHome) -> None:
        self.peer = peer
        self.home = home
        self.work = AsyncExitStack()

    async def begin(self) -> None:
        """Idle listeners are probed at once, and then in an hour."""
        hub, deliver = self.peer.hub, self.peer.deliver
        retention = Retention(hub.ledger, hub.database, hub.clock, 30 * DAY, 8 * DAY)
        requests = await self.work.enter_async_context(transport())
        probe = Probe(hub.probes, requests, hub.clock, *INTERVALS, deliver.holds)
        sweep = Sweep(retention, hub.api_keys, 0.01, lambda: 0 in deliver.held)
        await self.work.enter_async_context(running(probe.run))
        await self.work.enter_async_context(running(sweep.run))

    async def swept(self) -> int:
        """How often it has begun to sweep."""
        return await asked(self.home, "list_removals")

    async def look(self, times: int = 2) -> None:
        """Wait until it has looked so many times whom to probe."""
        before = await asked(self.home, WHOM)
        await until(partial(asked, self.home, WHOM), lambda count: count >= before + times)


@asynccontextmanager
async def three(home: PostgresHome) -> AsyncIterator[tuple[Crew, list[Keeper]]]:
    """Processes that share the slots, each with its other loops."""
    async with crew(home) as peers, AsyncExitStack() as stack:
        keepers = []
        for own in [HoldingHome(home.server, home.name) for _ in range(3)]:
            keepers.append(Keeper(await peers.join(own), own))
            stack.push_async_callback(keepers[-1].work.aclose)
        await peers.share()
        for keeper in keepers:
            await keeper.begin()
        yield peers, keepers


async def test_each_listener_is_probed_by_one_process(postgresql_home: PostgresHome) -> None:
    """By whoever delivers to it, when its time has come."""
    async with three(postgresql_home) as (_, keepers), Receiver() as receiver:
        here = await place(keepers[2].peer.hub)
        for number in range(12):
            await here.listener(liveness_url=receiver.url(f"/{number}"))
            await receiver.received(f"/{number}")
        for keeper in keepers:
            await keeper.look()
        assert [len(receiver.got(f"/{number}")) for number in range(12)] == [1] * 12


async def test_one_process_sweeps(postgresql_home: PostgresHome) -> None:
    """When it leaves, another one goes on."""
    async with three(postgresql_home) as (peers, keepers):
        for _ in range(2):
            (sweeper,) = (keeper for keeper in keepers if 0 in keeper.peer.held)
            before = [await keeper.swept() for keeper in keepers]
            await until(sweeper.swept, partial(lt, max(before) + 2))
            for keeper in keepers:
                await keeper.look()
            after = [await keeper.swept() for keeper in keepers]
            found = zip(keepers, before, after, strict=True)
            assert [keeper for keeper, earlier, now in found if now > earlier] == [sweeper]
            keepers.remove(sweeper)
            await sweeper.work.aclose()
            await peers.leave(sweeper.peer)
            await peers.share()


async def test_nobody_is_probed_twice_while_it_is_looked_whom_to_probe(postgresql_home: PostgresHome) -> None:
    """The answer is of before the last probe's end, and so is not to be relied on."""
    home = HoldingHome(postgresql_home.server, postgresql_home.name)
    async with opened(home) as hub, Receiver() as receiver, transport() as requests:
        here, gate = await place(hub), asyncio.Event()
        listener = await here.listener(liveness_url=receiver.on("/", held(gate)))
        async with running(Probe(hub.probes, requests, hub.clock, *INTERVALS).run):
            await receiver.received("/")
            looking = home.database.hold(WHOM)
            await looking.given()
            gate.set()
            found = partial(hub.listeners.report, listener)
            await until(found, lambda report: report.liveness.success_count == 1)
            again = home.database.hold(WHOM)
            looking.let_go()
            await again.given()
            again.let_go()
            assert len(receiver.got("/")) == 1
