"""Workers at work in the test's own loop; also several processes that share a database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_network
from operator import eq

from postroom.domain.clock import SECOND
from postroom.domain.listener import SLOTS, Counts, Listener
from postroom.service.hub import Hub
from postroom.workers.courier import Courier
from postroom.workers.deliver import Deliver
from postroom.workers.member import Member
from postroom.workers.probe import Probe
from postroom.workers.transport import Transport
from postroom.workers.watch import Watch
from tests.acceptance.house import DEADLINE, until
from tests.support.home import Home, PostgresHome
from tests.support.hub import Place, beside, execute, opened, rows

LOOPBACK = ("127.0.0.0/8",)
LEASE = 60.0  # seconds: longer than any test, so that whatever happens is not owed to its end
WATCH_EVERY = 0.02  # seconds; it searches at every twentieth look


def transport(allowed: Sequence[str] = LOOPBACK, timeout: float = 60) -> Transport:
    """A transport that may connect to this machine; its requests end after `timeout` seconds."""
    return Transport([ip_network(text) for text in allowed], timeout)


@asynccontextmanager
async def delivering(hub: Hub, per_listener: int = 16, in_all: int = 512) -> AsyncIterator[Deliver]:
    """A deliverer at work; what is under way at the end of the block is left to be repeated."""
    async with transport() as requests, asyncio.TaskGroup() as tasks:
        deliver = Deliver(hub.deliveries, requests, hub.clock, per_listener, in_all)
        hub.outbox.attach(deliver)
        tasks.create_task(deliver.run())
        try:
            yield deliver
        finally:
            await deliver.stop(0)


async def reached(here: Place, listener: Listener, wanted: Counts) -> None:
    """Wait until this has become of the listener's deliveries."""
    await until(lambda: here.counts(listener), lambda counts: counts == wanted)


@asynccontextmanager
async def probing(hub: Hub, busy: int, idle: int) -> AsyncIterator[None]:
    """A prober at work, with its intervals in ms."""
    async with transport() as requests, running(Probe(hub.probes, requests, hub.clock, busy, idle).run):
        yield


@asynccontextmanager
async def running(run: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """A loop that is cancelled at the end of the block; what breaks it reaches the test."""

    async def work() -> None:
        await run()

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work())
        try:
            yield
        finally:
            task.cancel()


@asynccontextmanager
async def unwritable(home: Home) -> AsyncIterator[None]:
    """In the block nobody can write to the database, while all can read."""
    if home.kind == "sqlite":
        with beside(home) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
    else:
        tables = rows(home, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        await _full(home, [name for (name,) in tables])
        yield
        for (table,) in tables:
            await asyncio.to_thread(execute, home, f"DROP TRIGGER full_disk ON {table}")


async def _full(home: Home, tables: list[str]) -> None:
    """As on a disk that is full: each statement that writes fails. It waits for those under way."""
    fails = "AS $$ BEGIN RAISE SQLSTATE '53100'; END $$"
    execute(home, f"CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql {fails}")
    for table in tables:
        what = f"BEFORE INSERT OR UPDATE OR DELETE ON {table} EXECUTE FUNCTION full_disk()"
        await asyncio.to_thread(execute, home, f"CREATE TRIGGER full_disk {what}")


class Peer:
    """One of the processes that serve from a database, as the server builds it, without its HTTP."""

    def __init__(self, hub: Hub, requests: Transport, lease: float, per_listener: int) -> None:
        channel = hub.database.channel
        assert channel is not None, "only a server is shared"
        self.hub = hub
        self.deliver = Deliver(hub.deliveries, requests, hub.clock, per_listener, 512, frozenset())
        hub.outbox.attach(self.deliver)
        self.watch = Watch(hub, self.deliver, WATCH_EVERY)
        self.hears = asyncio.Event()
        self.courier = Courier(channel, self.deliver, hub.membership.own, self._connected)
        self.member = Member(
            hub.membership, self.deliver, lease, _keep_no_time, self.courier.say_slots_are_free
        )
        self.courier.when_slots_are_free(self.member.look)
        hub.outbox.attach(self.courier)
        self.leaving = asyncio.Event()
        self.life: asyncio.Task[None] | None = None

    @property
    def held(self) -> frozenset[int]:
        """The slots that it delivers for."""
        return self.deliver.held

    def _connected(self) -> None:
        """From now on it is told what the others say, and says what it has to."""
        self.hears.set()
        self.watch.look_everywhere()

    def at(self, here: Place) -> Place:
        """The same place, seen from this process."""
        return Place(self.hub, here.org_id, here.queue_id)

    async def work(self, watching: bool) -> None:
        """Until it is told to leave; then hand over, as a server that is stopped."""
        loops = [self.deliver.run, self.courier.run, self.member.run]
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(run()) for run in loops + [self.watch.run] * watching]
            try:
                await self.leaving.wait()
                self.member.withdraw()
                await self.deliver.stop(DEADLINE)
                await self.member.leave()
            finally:
                await self.deliver.stop(0)
                for task in running:
                    task.cancel()


async def _keep_no_time() -> None:
    """All peers go by one clock, the machine's."""


class Crew:
    """Processes that share a database, and come and go; each is awaited by `tasks`."""

    def __init__(self, home: PostgresHome, tasks: asyncio.TaskGroup, watching: bool) -> None:
        self._home = home
        self._tasks = tasks
        self._watching = watching
        self.peers: list[Peer] = []

    async def join(
        self, home: PostgresHome | None = None, lease: float = LEASE, per_listener: int = 16
    ) -> Peer:
        """A process that has just begun, over the crew's database or by another way to it."""
        begun: asyncio.Future[Peer] = asyncio.get_running_loop().create_future()

        async def live() -> None:
            way, ms = home or self._home, round(lease * SECOND)
            async with opened(way, lease=ms) as hub, transport() as requests:
                peer = Peer(hub, requests, lease, per_listener)
                begun.set_result(peer)
                await peer.work(self._watching)

        life = self._tasks.create_task(live())
        peer = await begun
        peer.life = life
        self.peers.append(peer)
        return peer

    async def leave(self, peer: Peer) -> None:
        """It is stopped as it should be."""
        self.peers.remove(peer)
        peer.leaving.set()
        await asyncio.wait([peer.life] if peer.life else [])

    async def die(self, peer: Peer) -> None:
        """It is killed: it says nothing more to anybody, and writes nothing more."""
        self.peers.remove(peer)
        if peer.life:
            peer.life.cancel()
            await asyncio.wait([peer.life])

    async def share(self) -> None:
        """Wait until the slots are shared: each has its part, and all are held; and each hears the others."""

        async def parts() -> list[int]:
            held = [slot for peer in self.peers for slot in peer.held]
            assert len(set(held)) == len(held), "two deliver for the same slot"
            self.hurry()
            return sorted(len(peer.held) for peer in self.peers)

        most, rest = divmod(SLOTS, len(self.peers))
        wanted = [most] * (len(self.peers) - rest) + [most + 1] * rest
        await until(parts, partial(eq, wanted))
        for peer in self.peers:
            await peer.hears.wait()

    def hurry(self) -> None:
        """Have the next beat of each now."""
        for peer in self.peers:
            peer.member.look()


@asynccontextmanager
async def crew(home: PostgresHome, *, watching: bool = True) -> AsyncIterator[Crew]:
    """Processes that come and go; those that are there at the end of the block are killed."""
    async with asyncio.TaskGroup() as tasks:
        found = Crew(home, tasks, watching)
        try:
            yield found
        finally:
            for peer in list(found.peers):
                await found.die(peer)
