"""Workers at work in the test's own loop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_network

from postroom.domain.listener import Counts, Listener
from postroom.service.hub import Hub
from postroom.workers.deliver import Deliver
from postroom.workers.probe import Probe
from postroom.workers.transport import Transport
from tests.acceptance.house import until
from tests.support.hub import Place

LOOPBACK = ("127.0.0.0/8",)


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
