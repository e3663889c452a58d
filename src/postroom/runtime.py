"""The composition root: opens the store, and runs services, workers and the HTTP server together."""

import asyncio
import gc
import secrets
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from postroom.dashboard.pages import pages
from postroom.domain.clock import DAY, MINUTE, SECOND, Clock, HeldClock, SharedClock, system_clock
from postroom.domain.errors import NotFound, StoreError, Unavailable
from postroom.domain.listener import EVERY_SLOT
from postroom.domain.retry import Policy
from postroom.http.app import App
from postroom.http.call import Site
from postroom.http.server import Server, address_of, bind
from postroom.service.hub import Hub
from postroom.service.retention import Retention
from postroom.settings import Settings
from postroom.store import copies, drivers, lock
from postroom.store.database import Database
from postroom.store.steps import Migration
from postroom.workers.courier import Courier
from postroom.workers.deliver import Deliver
from postroom.workers.fold import Fold
from postroom.workers.member import Member
from postroom.workers.probe import Probe
from postroom.workers.sweep import Sweep
from postroom.workers.transport import Transport
from postroom.workers.watch import Watch

_LOCK = "postroom.lock"
_READY_KEPT = SECOND
_SWEEPER = 0  # whoever holds this slot sweeps, and folds
_FLUSHERS = 2
_COMMAND_LEASE = MINUTE
_FOR_GOOD = 36_500 * DAY


class Process:
    """A server at work: its services, where it listens, its workers."""

    def __init__(
        self,
        settings: Settings,
        opened: "Opened",
        bound: socket.socket,
        transports: tuple[Transport, Transport],
    ) -> None:
        self.hub = hub = opened.hub
        self.url = address_of(bound)
        self._patience = settings.stop_timeout
        self._tasks: list[asyncio.Task[None]] = []
        self._ready_at = 0
        limits = settings.listener_concurrency, settings.delivery_concurrency
        held = EVERY_SLOT if hub.database.channel is None else frozenset[int]()
        self._deliver = Deliver(hub.deliveries, transports[0], hub.clock, *limits, held)
        hub.outbox.attach(self._deliver)
        watch = Watch(hub, self._deliver)
        self._sharing = _sharing(settings, opened, self._deliver, watch)
        self._loops = [watch, *self._sharing, *_loops(settings, hub, transports[1], self._deliver)]
        timeout = settings.request_timeout
        base, encoding = settings.public_url, settings.analytics_encoding
        site = Site(hub, self.ready, settings.body_limit, timeout, base, settings.activities_limit, encoding)
        self._server = Server(App(site, others=pages()), bound, timeout, settings.stop_timeout)

    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """Run everything in `tasks`; returns when requests are accepted."""
        runs = [self.hub.ledger.run, self._deliver.run, *(loop.run for loop in self._loops), self._server.run]
        self._tasks = [tasks.create_task(run()) for run in runs]
        await self._server.started()
        _settle_memory()

    async def stop(self) -> None:
        """In the reverse order: no more requests, no more deliveries, nothing more to write."""
        await self._server.stop()
        if self._sharing:
            self._sharing[1].withdraw()
        await self._deliver.stop(self._patience)
        await self._leave()  # while others can still be told
        await self._end_loops()
        await self._keep_last_uses()
        self.hub.ledger.close()

    async def ready(self) -> None:
        """Return when the workers run and the database can be written, as shown at most a second ago.

        Raises:
            Unavailable: they do not, or it cannot.
        """
        if any(task.done() for task in self._tasks):
            raise Unavailable("a worker has stopped; this process is about to end")
        if not self._ready_at < self.hub.clock() < self._ready_at + _READY_KEPT:
            await self.hub.membership.mark_alive()
            self._ready_at = self.hub.clock()

    async def ended(self) -> None:
        """Wait for SIGTERM or SIGINT."""
        told = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, told.set)
        await told.wait()

    async def _end_loops(self) -> None:
        """Wait for them, too: what one finds when nothing is taken any more it would complain of."""
        loops = self._tasks[2:-1]
        for task in loops:
            task.cancel()
        await asyncio.gather(*loops, return_exceptions=True)

    async def _keep_last_uses(self) -> None:
        with suppress(Unavailable):  # when keys were used last is not worth failing to stop
            await self.hub.api_keys.keep_uses()

    async def _leave(self) -> None:
        leave = self._sharing[1].leave if self._sharing else self.hub.membership.leave
        with suppress(Unavailable):  # the lease then ends by itself
            await leave()


def _sharing(
    settings: Settings, opened: "Opened", deliver: Deliver, watch: Watch
) -> tuple[Courier, Member] | tuple[()]:
    """What a process has that shares its database with others."""
    hub = opened.hub
    if hub.database.channel is None:
        return ()
    courier = Courier(hub.database.channel, deliver, hub.membership.own, watch.look_everywhere)
    member = Member(
        hub.membership, deliver, settings.lease_time, opened.keep_time, courier.say_slots_are_free
    )
    courier.when_slots_are_free(member.look)
    hub.outbox.attach(courier)
    return courier, member


def _loops(settings: Settings, hub: Hub, probing: Transport, deliver: Deliver) -> tuple[Probe, Sweep, Fold]:
    pauses = _ms(settings.liveness_interval_busy), _ms(settings.liveness_interval_idle)
    ages = round(settings.message_retention * DAY), round(settings.event_retention * DAY)
    retention = Retention(hub.ledger, hub.database, hub.clock, *ages)

    def alone() -> bool:
        return _SWEEPER in deliver.held

    return (
        Probe(hub.probes, probing, hub.clock, *pauses, deliver.holds),
        Sweep(retention, hub.api_keys, settings.sweep_interval, alone),
        Fold(hub.folding, settings.fold_interval, alone),
    )


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Process]:
    """A server; leaving the block stops it, and loses nothing that was accepted.

    Raises:
        StoreError: the data directory is in use, or the database of a newer version.
        Unavailable: the database is out of reach.
        OSError: the address cannot be listened on.
    """
    allowed, shared = settings.allow_network, settings.processes > 1
    with _alone(settings), bind(settings.host, settings.port, shared=shared) as bound:
        await drivers.migrate(settings.address, system_clock)
        async with (
            opened(settings, serves=True) as found,
            Transport(allowed, settings.delivery_timeout) as delivering,
            Transport(allowed, settings.liveness_timeout) as probing,
            asyncio.TaskGroup() as tasks,
        ):
            process = Process(settings, found, bound, (delivering, probing))
            try:
                await process.start(tasks)
                yield process
            finally:
                await process.stop()


@asynccontextmanager
async def commanding(settings: Settings, *, may_make: bool = True) -> AsyncIterator[Hub]:
    """The services for one command, beside servers or without one.

    Raises:
        NotFound: there is no database, and it `may` not be made.
        StoreError: the database cannot be used, or a server of an older version is at work on it.
        Unavailable: the database is busy, full or out of reach.
    """
    if not may_make and not await drivers.exists(settings.address):
        raise NotFound(
            f"there is nothing of Postroom in {settings.shown_database}; give another --database or --data,"
            " or begin with postroom org create NAME"
        )
    await prepare(settings)
    async with opened(settings, serves=False) as found, asyncio.TaskGroup() as tasks:
        tasks.create_task(found.hub.ledger.run())
        try:
            yield found.hub
        finally:
            found.hub.ledger.close()


async def prepare(settings: Settings) -> list[Migration]:
    """Make the database and bring it to this version; answers what was applied.

    Raises:
        StoreError: the database is of a newer version, or a server is at work on an older one.
        Unavailable: it is busy, full or out of reach.
    """

    def refuse_beside_a_server() -> None:
        with lock.held(settings.data / _LOCK):
            pass

    if not settings.database:
        _make(settings.data)
    return await drivers.migrate(settings.address, system_clock, refuse_beside_a_server)


def served(settings: Settings) -> bool:
    """Whether a server is at work on the same file; one that was killed counts until the next one starts."""
    return not settings.database and lock.is_named(settings.data / _LOCK)


class Opened(NamedTuple):
    """The services over a database; `keep_time` sets their clock by the one that its processes share."""

    hub: Hub
    keep_time: Callable[[], Awaitable[None]]


@asynccontextmanager
async def opened(settings: Settings, *, serves: bool) -> AsyncIterator[Opened]:
    """The services over the database, of a process that serves or of a command.

    Raises:
        StoreError: the database cannot be used.
        Unavailable: it is busy, full or out of reach.
    """
    database = await drivers.open_database(settings.address, settings.database_connections)
    try:
        await copies.refuse_unfinished(database)
        # Beside others, a step of this machine's clock must not be one of its work.
        own = system_clock if database.channel is None else _steady
        clock = SharedClock(own)
        keep_time = partial(_keep_time, database, clock, own)
        await keep_time()
        policy = Policy(tuple(_ms(wait) for wait in settings.schedule), settings.jitter)
        who = _who(database, serves=serves, lease=_ms(settings.lease_time))
        hub = Hub(
            database, HeldClock(clock), *who, flushers=_FLUSHERS if database.channel else 1, policy=policy
        )
        await hub.prepare()
        yield Opened(hub, keep_time)
        with suppress(Unavailable):  # the series are free when their leases end
            await hub.ledger.leave()
    finally:
        await database.close()


def _who(database: Database, *, serves: bool, lease: int) -> tuple[str, int]:
    """The name of this process, and its lease in ms; the only server of a file keeps its series for good."""
    if not serves:
        return f"command-{secrets.token_hex(8)}", _COMMAND_LEASE
    if database.channel is None:
        return "server", _FOR_GOOD
    return f"server-{secrets.token_hex(8)}", lease


async def _keep_time(database: Database, clock: SharedClock, own: Clock) -> None:
    if database.channel is not None:
        before = own()
        shared = await database.now()
        clock.set(shared, before, own())


def _steady() -> int:
    """Milliseconds since some moment, whatever is done to the machine's clock."""
    return time.monotonic_ns() // 1_000_000


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """For as long as it serves, nobody else does from the same directory."""
    if settings.database:
        yield
    else:
        _make(settings.data)
        with lock.held(settings.data / _LOCK):
            yield


def _make(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"the data directory {directory} cannot be made: {error.strerror}") from error


def _ms(seconds: float) -> int:
    return round(seconds * SECOND)


def _settle_memory() -> None:
    """What is loaded by now stays: keep the collector from walking it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
