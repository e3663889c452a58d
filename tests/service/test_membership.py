"""Processes that come, go, die and stand still: every slot has one holder, and never two."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, NamedTuple, Self

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from postroom.domain.clock import HeldClock
from postroom.domain.ids import IdSources
from postroom.domain.listener import EVERY_SLOT, SLOTS
from postroom.service.ledger import Ledger
from postroom.service.membership import Membership
from postroom.store.database import Database
from tests.support.clock import NOON, MovingClock
from tests.support.home import Home, PostgresHome
from tests.support.hub import LEASE, beside, blocked, execute, opened, place, rows

pytestmark = pytest.mark.anyio

NAMES: Final = "abcd"
HOLDERS: Final = "SELECT slot, holder FROM slots ORDER BY slot"


class Step(NamedTuple):
    """What one process does, or that time passes."""

    what: str
    name: str = "a"


class Process:
    """A process as `workers.member` makes it: what it delivers for is held less what it is to give up."""

    def __init__(self, database: Database, clock: MovingClock, name: str) -> None:
        ledger = Ledger(database, HeldClock(clock), IdSources(), name, LEASE, 1)
        self.membership = Membership(database, ledger, clock, name, LEASE)
        self._clock = clock
        self._held = frozenset[int]()
        self._giving = frozenset[int]()
        self._until = 0

    @property
    def held(self) -> frozenset[int]:
        """What it delivers for now; nothing once its lease is over."""
        return self._held if self._clock.now < self._until else frozenset()

    async def beat(self) -> None:
        """Renew the lease; take what is free, and stop with what is too much."""
        begun = self._clock.now
        held, self._giving = await self.membership.renew()
        self._held, self._until = held - self._giving, begun + LEASE

    async def give(self) -> None:
        """Its last requests to what it has stopped with have ended."""
        await self.membership.give(self._giving - self.held)
        self._giving = frozenset()

    async def leave(self) -> None:
        """Stop as it should."""
        self._held = frozenset()
        await self.membership.leave()


class Cluster:
    """Processes on one database, and a check after each step."""

    def __init__(self, home: Home, database: Database) -> None:
        self.clock = MovingClock()
        self.processes: dict[str, Process] = {}
        self._home = home
        self._database = database

    @classmethod
    @asynccontextmanager
    async def on(cls, home: Home) -> AsyncIterator[Self]:
        """Nobody is there yet; all use the same connections, one after another."""
        database = await home.open()
        try:
            yield cls(home, database)
        finally:
            await database.close()

    def process(self, name: str) -> Process:
        """A new one, which is no member yet."""
        return Process(self._database, self.clock, name)

    async def happen(self, step: Step) -> None:
        """Do it."""
        if step.what == "wait":
            self.clock.pass_(ms=LEASE // 3)
        elif step.what == "die":
            self.processes.pop(step.name, None)
        elif step.what == "join":
            self.processes.setdefault(step.name, self.process(step.name))
            await self.processes[step.name].beat()
        elif process := self.processes.get(step.name):
            await {"beat": process.beat, "give": process.give, "leave": process.leave}[step.what]()
            if step.what == "leave":
                del self.processes[step.name]

    def check(self) -> None:
        """Nobody delivers for a slot that another one delivers for, or that is another's in the database."""
        delivered = Counter(slot for process in self.processes.values() for slot in process.held)
        assert [slot for slot, count in delivered.items() if count > 1] == []
        held: dict[int, str | None] = dict(rows(self._home, HOLDERS))
        for name, process in self.processes.items():
            assert {held[slot] for slot in process.held} <= {name}

    async def settle(self) -> None:
        """The dead are forgotten, all give up what is too much, and take what is free."""
        self.clock.pass_(ms=LEASE + 1)
        for _ in range(3):
            for process in self.processes.values():
                await process.beat()
                self.check()
                await process.give()
                self.check()


steps = st.builds(
    Step,
    st.sampled_from(["join", "join", "beat", "beat", "beat", "give", "leave", "die", "wait"]),
    st.sampled_from(NAMES),
)


@given(st.lists(steps, min_size=1, max_size=25), st.sampled_from(NAMES))
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@example(
    [Step("join", "a"), *[Step("wait")] * 4, Step("join", "b"), Step("beat", "a"), Step("give", "b")], "c"
)
@example([Step("join", "b"), Step("join", "a"), Step("beat", "b"), Step("join", "a"), Step("give", "b")], "a")
async def test_whatever_happens_every_slot_comes_to_one_process(
    home: Home, story: list[Step], last: str
) -> None:
    """In the end all slots are held, in parts that are equal give or take one; on the way, none by two."""
    home.clear()
    async with Cluster.on(home) as cluster:
        for step in story:
            await cluster.happen(step)
            cluster.check()
        await cluster.happen(Step("join", last))
        await cluster.settle()
        parts = [len(process.held) for process in cluster.processes.values()]
    assert sum(parts) == SLOTS
    assert max(parts) - min(parts) <= 1


async def test_all_that_join_at_once_come_to_their_parts(home: Home) -> None:
    """Also where they look at the same moment, each through a connection of its own."""
    async with AsyncExitStack() as stack:
        clusters = [await stack.enter_async_context(Cluster.on(home)) for _ in range(8)]
        for name, each in zip("abcdefgh", clusters, strict=True):
            each.processes = clusters[0].processes
            each.processes[name] = each.process(name)
        processes = clusters[0].processes.values()
        for _ in range(3):
            await asyncio.gather(*(process.beat() for process in processes))
            clusters[0].check()
            await asyncio.gather(*(process.give() for process in processes))
        assert [len(process.held) for process in processes] == [SLOTS // 8] * 8


async def test_what_is_left_is_free_at_once(home: Home) -> None:
    """A process that stops as it should makes nobody wait for its lease to end."""
    async with Cluster.on(home) as cluster:
        for name in "ab":
            await cluster.happen(Step("join", name))
        await cluster.settle()
        await cluster.happen(Step("leave", "a"))
        await cluster.happen(Step("beat", "b"))
        assert len(cluster.processes["b"].held) == SLOTS


async def test_a_dead_process_s_slots_move_when_its_lease_is_over(home: Home) -> None:
    """To the millisecond: as long as it may still deliver, nobody else does."""
    async with Cluster.on(home) as cluster:
        for step in (Step("join", "a"), Step("die", "a"), Step("join", "b")):
            await cluster.happen(step)
        assert cluster.processes["b"].held == frozenset()
        cluster.clock.pass_(ms=LEASE)
        await cluster.happen(Step("beat", "b"))
        assert cluster.processes["b"].held == frozenset()
        cluster.clock.pass_(ms=1)
        await cluster.happen(Step("beat", "b"))
        assert len(cluster.processes["b"].held) == SLOTS


async def test_showing_that_it_lives_renews_the_lease(home: Home) -> None:
    """So a process that answers that it is ready is not taken for dead."""
    clock = MovingClock()
    async with opened(home, clock, holder="a") as one, opened(home, clock, holder="b") as other:
        await one.membership.renew()
        clock.pass_(ms=LEASE - 1)
        await one.membership.mark_alive()
        clock.pass_(ms=LEASE - 1)
        held, _ = await other.membership.renew()
        assert held == frozenset()


async def test_whoever_was_taken_for_dead_begins_anew(home: Home) -> None:
    """It stood still for longer than its lease: what it held is others' to take, and not its own any more."""
    clock = MovingClock()
    async with opened(home, clock, holder="a") as sleeper, opened(home, clock, holder="b") as other:
        await sleeper.membership.renew()
        clock.pass_(ms=LEASE + 1)
        held, give = await other.membership.renew()
        assert (len(held), give) == (SLOTS, frozenset())
        assert await sleeper.membership.renew() == (frozenset(), frozenset())
        held, give = await other.membership.renew()
        assert len(held - give) == SLOTS // 2
        await other.membership.give(give)
        held, give = await sleeper.membership.renew()
        assert (len(held), give) == (SLOTS // 2, frozenset())


async def test_whoever_comes_back_while_its_slots_are_being_taken(postgresql_home: PostgresHome) -> None:
    """Another one saw that it was dead, and has taken some: nothing is its own until that is seen."""
    home = postgresql_home
    async with opened(home, MovingClock(), holder="a") as sleeper:
        await sleeper.membership.renew()
        execute(home, "DELETE FROM processes")
        execute(home, "INSERT INTO processes (id, expires_at) VALUES ('b', $1)", NOON + LEASE)
        with beside(home) as other:
            other.execute("BEGIN")
            other.execute("UPDATE slots SET holder = 'b' WHERE slot < 100")
            returning = asyncio.create_task(sleeper.membership.renew())
            await blocked(home, "slots")
            other.execute("COMMIT")
        held, _ = await returning
        assert min(held) == 100
        assert len(held) == SLOTS // 2


async def test_who_leaves_keeps_what_is_under_way(home: Home) -> None:
    """For as long as it renews its lease, whatever that is by now; the others have all else at once."""
    clock = MovingClock()
    async with opened(home, clock, holder="a") as one, opened(home, clock, holder="b") as other:
        await one.membership.renew()
        for busy in ({3, 200}, {3, 200}, {200}):
            await one.membership.withdraw(frozenset(busy))
            await one.membership.mark_alive()
            held, give = await other.membership.renew()
            assert (set(EVERY_SLOT - held), give) == (busy, frozenset())
            clock.pass_(ms=LEASE)
        await one.membership.leave()
        held, _ = await other.membership.renew()
        assert held == EVERY_SLOT
        assert rows(home, "SELECT id FROM processes") == [("b",)]


async def test_who_dies_while_it_leaves(home: Home) -> None:
    """What it kept is others' to take when its lease is over; when it comes back, that is not its own."""
    clock = MovingClock()
    async with opened(home, clock, holder="a") as one, opened(home, clock, holder="b") as other:
        await one.membership.renew()
        await one.membership.withdraw(frozenset({7}))
        clock.pass_(ms=LEASE)
        assert (await other.membership.renew())[0] == EVERY_SLOT - {7}
        clock.pass_(ms=1)
        assert (await other.membership.renew())[0] == EVERY_SLOT
        await one.membership.withdraw(frozenset({7}))
        assert (await other.membership.renew())[0] == EVERY_SLOT


async def test_only_those_that_serve_are_members(home: Home) -> None:
    """A command writes, and holds a series; it has no slots and is in nobody's way."""
    clock = MovingClock()
    async with (
        opened(home, clock, holder="server") as server,
        opened(home, clock, holder="command") as command,
    ):
        await (await place(command)).send()
        held, _ = await server.membership.renew()
        assert len(held) == SLOTS
        assert rows(home, "SELECT id FROM processes") == [("server",)]


async def test_slots_of_a_process_that_nobody_knows_are_free(home: Home) -> None:
    """However that came to be."""
    execute(home, "UPDATE slots SET holder = 'stranger'")
    async with opened(home, MovingClock()) as hub:
        held, _ = await hub.membership.renew()
        assert len(held) == SLOTS
