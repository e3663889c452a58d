"""The composition root: opens the store, and runs services, workers and the HTTP server together."""

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from postroom.dashboard.pages import pages
from postroom.domain.clock import DAY, SECOND, HeldClock, system_clock
from postroom.domain.errors import StoreError, Unavailable
from postroom.domain.retry import Policy
from postroom.http.app import App
from postroom.http.call import Site
from postroom.http.server import Server, address_of, bind
from postroom.service.hub import Hub
from postroom.service.retention import Retention
from postroom.settings import Settings
from postroom.store import lock
from postroom.store.migrate import Migration, migrate
from postroom.store.sqlite import SqliteDatabase
from postroom.workers.deliver import Deliver
from postroom.workers.probe import Probe
from postroom.workers.sweep import Sweep
from postroom.workers.transport import Transport
from postroom.workers.watch import Watch

SERVER_SERIES, COMMAND_SERIES = 0, 1
_READY_KEPT = SECOND


class Process:
    """A server at work: its services, where it listens, its workers."""

    def __init__(
        self, settings: Settings, hub: Hub, bound: socket.socket, transports: tuple[Transport, Transport]
    ) -> None:
        self.hub = hub
        self.url = address_of(bound)
        self._patience = settings.stop_timeout
        self._tasks: list[asyncio.Task[None]] = []
        self._ready_at = 0
        limits = settings.listener_concurrency, settings.delivery_concurrency
        self._deliver = Deliver(hub.deliveries, transports[0], hub.clock, *limits)
        hub.outbox.attach(self._deliver)
        self._loops = _loops(settings, hub, transports[1], self._deliver)
        timeout = settings.request_timeout
        site = Site(hub, self.ready, settings.body_limit, timeout, settings.public_url)
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
        await self._deliver.stop(self._patience)
        for task in self._tasks[2:-1]:
            task.cancel()
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
            await self.hub.mark_alive()
            self._ready_at = self.hub.clock()

    async def ended(self) -> None:
        """Wait for SIGTERM or SIGINT."""
        told = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, told.set)
        await told.wait()

    async def _keep_last_uses(self) -> None:
        with suppress(Unavailable):  # when keys were used last is not worth failing to stop
            await self.hub.api_keys.keep_uses()


def _loops(settings: Settings, hub: Hub, probing: Transport, deliver: Deliver) -> tuple[Probe, Sweep, Watch]:
    pauses = _ms(settings.liveness_interval_busy), _ms(settings.liveness_interval_idle)
    ages = round(settings.message_retention * DAY), round(settings.event_retention * DAY)
    retention = Retention(hub.ledger, hub.database, hub.clock, *ages)
    return (
        Probe(hub.probes, probing, hub.clock, *pauses),
        Sweep(retention, hub.api_keys, settings.sweep_interval),
        Watch(hub.database, hub.directory, deliver),
    )


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Process]:
    """A server; leaving the block stops it, and loses nothing that was accepted.

    Raises:
        StoreError: the data directory is in use, or of a newer version.
        OSError: the address cannot be listened on.
    """
    _make(settings.data)
    allowed = settings.allow_network
    with lock.held(settings.data / "postroom.lock"), bind(settings.host, settings.port) as bound:
        migrate(_file(settings), system_clock)
        async with (
            opened(settings, SERVER_SERIES) as hub,
            Transport(allowed, settings.delivery_timeout) as delivering,
            Transport(allowed, settings.liveness_timeout) as probing,
            asyncio.TaskGroup() as tasks,
        ):
            process = Process(settings, hub, bound, (delivering, probing))
            try:
                await process.start(tasks)
                yield process
            finally:
                await process.stop()


@asynccontextmanager
async def commanding(settings: Settings) -> AsyncIterator[Hub]:
    """The services for one command, beside a server or without one.

    Raises:
        StoreError: the database cannot be used, or a server of an older version is at work on it.
        Unavailable: the database is busy or full.
    """
    prepare(settings)
    async with opened(settings, COMMAND_SERIES) as hub, asyncio.TaskGroup() as tasks:
        tasks.create_task(hub.ledger.run())
        try:
            yield hub
        finally:
            hub.ledger.close()


def prepare(settings: Settings) -> list[Migration]:
    """Make the data directory and bring its database to this version; answers what was applied.

    Raises:
        StoreError: the database is of a newer version, or a server is at work on an older one.
    """

    def refuse_beside_a_server() -> None:
        with lock.held(settings.data / "postroom.lock"):
            pass

    _make(settings.data)
    return migrate(_file(settings), system_clock, refuse_beside_a_server)


@asynccontextmanager
async def opened(settings: Settings, series: int) -> AsyncIterator[Hub]:
    """The services over the database, writing this series of totals.

    Raises:
        StoreError: the database cannot be used.
        Unavailable: it is busy or full.
    """
    database = SqliteDatabase(_file(settings))
    try:
        policy = Policy(tuple(_ms(wait) for wait in settings.schedule), settings.jitter)
        alone = series == SERVER_SERIES  # commands share a series
        hub = Hub(database, HeldClock(system_clock), series=series, alone=alone, policy=policy)
        await hub.prepare()
        yield hub
    finally:
        await database.close()


def _file(settings: Settings) -> Path:
    return settings.data / "postroom.db"


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
