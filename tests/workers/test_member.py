"""Processes that share the deliveries: joining, leaving and dying."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from contextlib import AsyncExitStack
from functools import partial
from operator import eq

import pytest
import structlog

from postroom.domain.clock import SECOND, system_clock
from postroom.domain.listener import EVERY_SLOT, SLOTS, Counts, Listener
from postroom.workers.member import BEATS
from tests.acceptance.house import until
from tests.acceptance.receiver import Receiver, held
from tests.support.clock import MovingClock
from tests.support.home import PostgresHome
from tests.support.hub import Place, beside, opened, place, rows
from tests.support.postgres import HOST
from tests.support.proxy import Proxy
from tests.support.workers import LEASE, Crew, Peer, crew, reached, unwritable

pytestmark = pytest.mark.anyio

NOTHING = frozenset[int]()
HALF = 128
LOWER, UPPER = frozenset(range(HALF)), frozenset(range(HALF, SLOTS))  # UPPER goes to a second one that joins
LEAVING = "SELECT expires_at FROM processes WHERE id LIKE 'leaving %'"
SHORT = 1.0  # seconds: a lease that is to end
BRISK = 5.0  # seconds: a lease with a beat each second
AT_ONCE = LEASE / BEATS / 2  # seconds: before the next beat of the others
Arrivals = Counter[tuple[str, str]]


async def listeners_of(here: Place, receiver: Receiver, count: int) -> list[Listener]:
    """Some, whose messages arrive at a path of their own."""
    return [await here.listener(receiver.url(f"/{number}")) for number in range(count)]


def arrivals(receiver: Receiver, count: int) -> Arrivals:
    """How often each message arrived at each of so many listeners."""
    all_of_them = (got for number in range(count) for got in receiver.got(f"/{number}"))
    return Counter((got.message_id, got.headers["postroom-listener"]) for got in all_of_them)


async def all_reached(here: Place, listeners: Iterable[Listener], wanted: Counts) -> None:
    """Wait until this has become of the deliveries of each."""
    for listener in listeners:
        await reached(here, listener, wanted)


async def slots(peer: Peer) -> frozenset[int]:
    """What it delivers for."""
    return peer.held


async def hurried(peers: Crew, peer: Peer) -> frozenset[int]:
    """The same, where nobody waits for its next beat."""
    peers.hurry()
    return peer.held


async def in_half(half: frozenset[int], here: Place, url: str) -> Listener:
    """A listener with one of these slots."""
    while True:
        listener = await here.listener(url)
        if listener.slot in half:
            return listener
        await here.hub.listeners.delete(here.org_id, here.queue_id, listener.id)


class Sender:
    """Sends to a queue all the time, by each of these processes in turn."""

    def __init__(self, peers: list[Peer], here: Place) -> None:
        self._peers = peers
        self._here = here
        self.sent: list[str] = []
        self.until = asyncio.Event()

    async def run(self) -> None:
        """Some at a time, until told."""
        while not self.until.is_set():
            for peer in list(self._peers):
                self.sent += await peer.at(self._here).send_many(3)

    async def more(self, count: int = 30) -> None:
        """Wait until so many more have been accepted."""
        goal = len(self.sent) + count

        async def sent() -> int:
            return len(self.sent)

        await until(sent, lambda now: now >= goal)


async def test_one_process_has_all(postgresql_home: PostgresHome) -> None:
    """Nobody else is there."""
    async with crew(postgresql_home) as peers:
        peer = await peers.join()
        await peers.share()
        assert peer.held == EVERY_SLOT


async def test_whoever_joins_gets_its_part(postgresql_home: PostgresHome) -> None:
    """Those who have too much give it up at their next beat, and the new one is told."""
    async with crew(postgresql_home) as peers:
        await peers.join(lease=BRISK)
        await peers.share()
        new = await peers.join()
        await until(partial(slots, new), lambda found: len(found) == HALF, AT_ONCE)
        await peers.share()


async def test_no_slot_is_taken_by_two(postgresql_home: PostgresHome) -> None:
    """Though they look at the same moment, and all of them see it free; what is left then is taken later."""
    async with AsyncExitStack() as stack:
        hubs = [await stack.enter_async_context(opened(postgresql_home)) for _ in range(4)]
        for _ in range(20):
            found = await asyncio.gather(*(hub.membership.renew() for hub in hubs))
            taken = [slot for held, _ in found for slot in held]
            assert len(taken) == len(set(taken)) >= HALF
            await asyncio.gather(*(hub.membership.leave() for hub in hubs))


async def test_who_comes_back_from_the_dead_holds_nothing(postgresql_home: PostgresHome) -> None:
    """Also where the others have not yet taken all that it had: they may be just about to."""
    clock = MovingClock()
    async with AsyncExitStack() as stack:
        opening = [opened(postgresql_home, clock, lease=10 * SECOND) for _ in range(3)]
        slow, quick, third = [(await stack.enter_async_context(each)).membership for each in opening]
        for _ in range(20):
            await slow.renew()
            clock.pass_(minutes=1)
            await asyncio.gather(quick.mark_alive(), third.mark_alive())
            first, _ = await quick.renew()
            found = await asyncio.gather(slow.renew(), third.renew())
            taken = [slot for held, _ in found for slot in held] + list(first)
            assert sorted(taken) == sorted(set(taken))
            await asyncio.gather(*(each.leave() for each in (slow, quick, third)))


async def test_many_that_begin_at_once(postgresql_home: PostgresHome) -> None:
    """They come to share, and nothing is left of them when they have gone."""
    async with crew(postgresql_home) as peers:
        for _ in range(3):
            await asyncio.gather(*(peers.join() for _ in range(4)))
            await peers.share()
            await asyncio.gather(*(peers.leave(peer) for peer in list(peers.peers)))
            assert rows(postgresql_home, "SELECT count(*) FROM slots WHERE holder IS NOT NULL") == [(0,)]
            assert rows(postgresql_home, "SELECT id FROM processes") == []


async def test_whoever_leaves_hands_over_at_once(postgresql_home: PostgresHome) -> None:
    """The others need not wait for their next beat."""
    async with crew(postgresql_home) as peers:
        leaving, staying = await peers.join(), await peers.join()
        await peers.share()
        await peers.leave(leaving)
        await until(partial(slots, staying), partial(eq, EVERY_SLOT), AT_ONCE)


async def test_the_slots_of_a_dead_one_move_when_its_lease_ends(postgresql_home: PostgresHome) -> None:
    """Not before, as it might only be slow."""
    async with crew(postgresql_home) as peers:
        dying, staying = await peers.join(lease=2 * SHORT), await peers.join(lease=BRISK)
        await peers.share()
        own = dying.hub.membership.own
        ((ends,),) = rows(postgresql_home, "SELECT expires_at FROM processes WHERE id = $1", own)
        await peers.die(dying)
        await until(partial(slots, staying), partial(eq, EVERY_SLOT))
        assert system_clock() >= ends


async def test_whoever_cannot_renew_in_time_stops_delivering(postgresql_home: PostgresHome) -> None:
    """Others may have its slots by then; when it can, it goes on where it was."""
    async with crew(postgresql_home) as peers, Receiver() as receiver:
        peer = await peers.join(lease=SHORT)
        await peers.share()
        here = await place(peer.hub)
        listener = await here.listener(receiver.url("/0"))
        sent = [await here.send()]
        await reached(here, listener, Counts(1, 1))
        with beside(postgresql_home) as other:
            other.execute("BEGIN")
            await asyncio.to_thread(other.execute, "SELECT 1 FROM processes FOR UPDATE")
            await until(partial(slots, peer), partial(eq, NOTHING))
            sent += await here.send_many(3)
            peer.watch.look_everywhere()
            there = await place(peer.hub)
            await there.send()
            assert await here.counts(listener) == Counts(4, 1)
            assert len(receiver.got("/0")) == 1
            other.execute("COMMIT")
        await reached(here, listener, Counts(4, 4))
        assert arrivals(receiver, 1) == {(message_id, listener.id): 1 for message_id in sent}


async def test_nothing_is_repeated_when_the_lease_is_lost_and_regained(
    postgresql_home: PostgresHome,
) -> None:
    """What was under way goes on, and its outcome is written when the database takes it."""
    async with crew(postgresql_home) as peers, Receiver() as receiver:
        peer = await peers.join(lease=SHORT, per_listener=1)
        await peers.share()
        here, gate = await place(peer.hub), asyncio.Event()
        listener = await here.listener(receiver.on("/0", held(gate)))
        sent = await here.send_many(3)
        await receiver.received("/0")
        with structlog.testing.capture_logs() as logged:

            async def waiting() -> int:
                return sum(entry["event"] == "outcome_waits" for entry in logged)

            async with unwritable(postgresql_home):
                await until(partial(slots, peer), partial(eq, NOTHING))
                gate.set()
                await until(waiting, bool)
        await reached(here, listener, Counts(3, 3))
        assert arrivals(receiver, 1) == {(message_id, listener.id): 1 for message_id in sent}


async def test_one_that_hangs_holds_up_its_own_slot_only(postgresql_home: PostgresHome) -> None:
    """A slot is given up when the last request to one of its listeners has ended, the others at once."""
    async with crew(postgresql_home) as peers, Receiver() as receiver:
        old = await peers.join()
        await peers.share()
        here, there, gate = await place(old.hub), await place(old.hub), asyncio.Event()
        hanging = await in_half(UPPER, here, receiver.on("/0", held(gate)))
        healthy = await in_half(UPPER, there, receiver.url("/1"))
        while healthy.slot == hanging.slot:
            healthy = await in_half(UPPER, there, receiver.url("/1"))
        stuck = await here.send()
        await receiver.received("/0")
        new = await peers.join()
        await until(partial(hurried, peers, new), lambda found: len(found) == HALF - 1)
        assert hanging.slot not in old.held | new.held
        sent = await there.send_many(3)
        await reached(there, healthy, Counts(3, 3))
        gate.set()
        await peers.share()
        assert new.deliver.holds(hanging.id)
        await reached(here, hanging, Counts(1, 1))
        assert arrivals(receiver, 1) == {(stuck, hanging.id): 1}
        assert {arrived for arrived, _ in arrivals(receiver, 2)} == {stuck, *sent}


async def test_what_was_to_be_given_up_is_kept_when_the_other_leaves(postgresql_home: PostgresHome) -> None:
    """A request was under way all the time: it is not repeated."""
    async with crew(postgresql_home) as peers, Receiver() as receiver:
        old = await peers.join()
        await peers.share()
        here, gate = await place(old.hub), asyncio.Event()
        listener = await in_half(UPPER, here, receiver.on("/0", held(gate)))
        sent = await here.send_many(20)
        await receiver.received("/0", 16)
        new = await peers.join()
        await until(partial(hurried, peers, new), lambda found: len(found) == HALF - 1)
        await peers.leave(new)
        await peers.share()
        gate.set()
        await reached(here, listener, Counts(20, 20))
        assert arrivals(receiver, 1) == {(message_id, listener.id): 1 for message_id in sent}


async def test_leaving_waits_for_what_is_under_way(postgresql_home: PostgresHome) -> None:
    """Nobody else sends it meanwhile."""
    async with crew(postgresql_home) as peers, Receiver() as receiver:
        leaving, staying = await peers.join(), await peers.join()
        await peers.share()
        here, gate = await place(staying.hub), asyncio.Event()
        listeners = [await here.listener(receiver.on(f"/{number}", held(gate))) for number in range(8)]
        message_id = await here.send()
        for number in range(8):
            await receiver.received(f"/{number}")
        going = asyncio.create_task(peers.leave(leaving))
        await here.hub.listeners.get(here.org_id, here.queue_id, listeners[0].id)
        assert not going.done()
        gate.set()
        await going
        await peers.share()
        await all_reached(here, listeners, Counts(1, 1))
        assert arrivals(receiver, 8) == {(message_id, listener.id): 1 for listener in listeners}


async def test_who_leaves_keeps_only_what_is_under_way(postgresql_home: PostgresHome) -> None:
    """All else is the others' at once; that is theirs when its requests have ended, a whole lease later."""
    lease = partial(asyncio.to_thread, rows, postgresql_home, LEAVING)
    async with crew(postgresql_home) as peers, Receiver() as receiver:
        old = await peers.join(lease=3 * SHORT)
        await peers.share()
        here, there, gate = await place(old.hub), await place(old.hub), asyncio.Event()
        hanging = await in_half(LOWER, here, receiver.on("/0", held(gate)))
        healthy = await in_half(UPPER, there, receiver.url("/1"))
        sent = [await here.send()]
        await receiver.received("/0")
        new = await peers.join()
        going = asyncio.create_task(peers.leave(old))
        await until(partial(slots, new), partial(eq, EVERY_SLOT - {hanging.slot}), AT_ONCE)
        sent += [await new.at(here).send(), await new.at(there).send()]
        await reached(new.at(there), healthy, Counts(1, 1))
        ((first,),) = await until(lease, bool)
        await until(lease, lambda found: found[0][0] > first + 3 * SHORT * SECOND)
        assert new.held == EVERY_SLOT - {hanging.slot}
        assert not going.done()
        gate.set()
        await until(partial(slots, new), partial(eq, EVERY_SLOT), AT_ONCE)
        await reached(new.at(here), hanging, Counts(2, 2))
        await going
        owed = hanging.id, hanging.id, healthy.id
        assert arrivals(receiver, 2) == Counter(zip(sent, owed, strict=True))


async def test_each_message_once_while_processes_come_and_go(postgresql_home: PostgresHome) -> None:
    """Under load, whoever accepts it, and whoever delivers: nothing is lost, nothing is repeated."""
    async with crew(postgresql_home) as peers, Receiver() as receiver, asyncio.TaskGroup() as tasks:
        first = await peers.join()
        here = await place(first.hub)
        listeners = await listeners_of(here, receiver, 12)
        sender = Sender(peers.peers, here)
        sending = tasks.create_task(sender.run())
        for _ in range(2):
            await peers.join()
            await peers.join()
            await peers.share()
            await sender.more()
            await peers.leave(peers.peers[0])
            await peers.share()
            await sender.more()
        sender.until.set()
        await sending
        there = peers.peers[0].at(here)
        await all_reached(there, listeners, Counts(len(sender.sent), len(sender.sent)))
        assert arrivals(receiver, 12) == {(m, listener.id): 1 for m in sender.sent for listener in listeners}


async def test_what_was_under_way_is_repeated_when_somebody_dies(postgresql_home: PostgresHome) -> None:
    """Each message arrives; what the dead one had under way arrives a second time, and nothing else does."""
    settled = "SELECT message_id, listener_id FROM deliveries WHERE state = 1"
    async with crew(postgresql_home) as peers, Receiver() as receiver, asyncio.TaskGroup() as tasks:
        staying, dying = await peers.join(), await peers.join(lease=3 * SHORT)
        await peers.share()
        here = await place(staying.hub)
        listeners = await listeners_of(here, receiver, 12)
        sender = Sender([staying], here)
        sending = tasks.create_task(sender.run())
        await sender.more()
        await peers.die(dying)
        under_way = arrivals(receiver, 12).keys() - set(rows(postgresql_home, settled))
        await peers.share()
        await sender.more()
        sender.until.set()
        await sending
        await all_reached(here, listeners, Counts(len(sender.sent), len(sender.sent)))
        found = arrivals(receiver, 12)
        assert found.keys() == {(m, listener.id) for m in sender.sent for listener in listeners}
        assert {arrival for arrival, count in found.items() if count > 1} <= under_way
        assert max(found.values()) <= 2


async def test_a_process_that_is_cut_off(postgresql_home: PostgresHome) -> None:
    """Another one takes over, also what was under way; and it joins again when it can: nothing is stuck."""
    with Proxy(HOST, postgresql_home.server.port) as proxy:
        async with crew(postgresql_home) as peers, Receiver() as receiver:
            staying = await peers.join()
            cut = await peers.join(postgresql_home.through(proxy.port), lease=3 * SHORT)
            await peers.share()
            here, gate = await place(staying.hub), asyncio.Event()
            listeners = await listeners_of(here, receiver, 15)
            slow = await in_half(cut.held, here, receiver.on(path := "/15", held(gate)))
            first = await here.send()
            await receiver.received(path)
            await all_reached(here, listeners, Counts(1, 1))
            listeners.append(slow)
            proxy.cut()
            second = await here.send()
            await until(partial(hurried, peers, staying), lambda found: found == EVERY_SLOT and not cut.held)
            await receiver.received(path, 3)
            gate.set()
            await all_reached(here, listeners, Counts(2, 2))
            proxy.heal()
            await peers.share()
            sent = [first, second, await cut.at(here).send()]
            await all_reached(here, listeners, Counts(3, 3))
            once = {(m, listener.id): 1 for m in sent for listener in listeners}
            assert arrivals(receiver, 16) == once | {(first, slow.id): 2}
