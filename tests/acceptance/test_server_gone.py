"""The PostgreSQL server itself stops, is killed, is replaced by its standby, or lets nobody in."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from anyio.to_thread import run_sync

from tests.acceptance.books import arrived, closed, furnish, shared
from tests.acceptance.client import Client, Listener, Queue
from tests.acceptance.house import Organization, Postroom, Url, audit, make_organization, until
from tests.acceptance.load import Load
from tests.acceptance.receiver import Receiver
from tests.acceptance.standby import Standby, wait_for_it
from tests.support.postgres import HOST, PASSWORD, SUPERUSER, Server

pytestmark = pytest.mark.anyio

AT_ONCE: Final = 4
SETTINGS: Final = {
    "lease_time": 2,
    "listener_concurrency": AT_ONCE,
    "schedule": "0,0.05,0.1,0.1,0.1,0.1",
}
NAME: Final = "acme"
KEEPER: Final = "keeper"
END_ALL: Final = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{KEEPER}'"


@dataclass
class House:
    """Two processes over one database, under load."""

    servers: list[Postroom]
    organization: Organization
    queue: Queue
    listeners: list[Listener]
    loads: list[Load]

    async def goes_on(self) -> None:
        """Wait until both have accepted more messages."""
        for load in self.loads:
            await load.goes_on()

    async def is_refused(self) -> None:
        """Wait until both refuse messages, and say that they are not ready."""
        for server, load in zip(self.servers, self.loads, strict=True):
            await load.is_refused(8)
            async with Client(server.url, self.organization.key) as client:

                async def ready(client: Client = client) -> int:
                    return (await client.raw("GET", "/ready", {})).status

                await until(ready, lambda status: status == 503)

    async def check(self, receiver: Receiver, troubles: int) -> None:
        """End the load: nothing that was accepted is lost, and only what could not be done was refused."""
        for load in self.loads:
            await load.stop()
            assert set(load.refused) <= {503}
            assert (load.unanswered, load.cut) == (0, 0)
        accepted = [message for load in self.loads for message in load.accepted]
        async with Client(self.servers[0].url, self.organization.key) as client:
            stored = await closed(client, self.queue, self.listeners, accepted)
        assert len(stored) - len(accepted) <= sum(load.refused[503] for load in self.loads)
        arrived(receiver, stored, repeated=2 * AT_ONCE * troubles)


@asynccontextmanager
async def house(database: Url, folder: Path, receiver: Receiver) -> AsyncIterator[House]:
    """Two processes at work; at the end both stop as they should, and the audit finds nothing."""
    organization = await run_sync(make_organization, database)
    with ExitStack() as running:
        servers = [Postroom(folder / "server", {**SETTINGS, "database": database}) for _ in range(2)]
        for server in servers:
            running.enter_context(server)
        async with Client(servers[0].url, organization.key) as client:
            queue, listeners = await furnish(client, receiver)
        loads = [Load(server.url, organization.key, queue, pause=0.1) for server in servers]
        await shared(database, 2)
        async with asyncio.TaskGroup() as group:
            for load in loads:
                group.create_task(load.run())
            yield House(servers, organization, queue, listeners, loads)
        await shared(database, 2)
        for server in servers:
            assert await run_sync(server.terminate) == 0
            assert "Traceback" not in server.stderr
        await run_sync(audit, database)


@pytest.fixture
def primary(postgres: Server) -> Iterator[Server]:
    """A server of the test's own; `postgres` is asked for because it knows whether there can be one."""
    with Server() as server:
        server.create(NAME)
        yield server


async def test_the_server_is_stopped_and_killed(primary: Server, tmp_path: Path, receiver: Receiver) -> None:
    """While it is away, requests are 503; when it is back, all goes on by itself, and nothing is lost."""
    async with house(Url(primary.url(NAME)), tmp_path, receiver) as at_work:
        for end in (primary.stop, primary.kill):
            await at_work.goes_on()
            await run_sync(end)
            await at_work.is_refused()
            await run_sync(primary.start)
        await at_work.goes_on()
        await at_work.check(receiver, troubles=2)


async def test_logins_are_refused_for_a_while(primary: Server, tmp_path: Path, receiver: Receiver) -> None:
    """Requests are 503 until that is mended; then the same processes go on by themselves."""
    primary.rows(NAME, f"CREATE ROLE {KEEPER} LOGIN PASSWORD '{PASSWORD}'")
    primary.rows(NAME, f"ALTER DATABASE {NAME} OWNER TO {KEEPER}")
    database = Url(f"postgresql://{KEEPER}:{PASSWORD}@{HOST}:{primary.port}/{NAME}")
    async with house(database, tmp_path, receiver) as at_work:
        await at_work.goes_on()
        await run_sync(primary.rows, NAME, f"ALTER ROLE {KEEPER} NOLOGIN")
        await until(lambda: run_sync(primary.rows, NAME, END_ALL), lambda ended: not ended)
        await at_work.is_refused()
        await run_sync(primary.rows, NAME, f"ALTER ROLE {KEEPER} LOGIN")
        await at_work.goes_on()
        await at_work.check(receiver, troubles=1)


async def test_the_standby_takes_over(primary: Server, tmp_path: Path, receiver: Receiver) -> None:
    """A URL with both hosts: processes go to the one that can be written, and follow when that changes."""
    with Standby(primary) as standby:
        await run_sync(wait_for_it, primary)
        hosts = f"{HOST}:{standby.port},{HOST}:{primary.port}"
        database = Url(f"postgresql://{SUPERUSER}:{PASSWORD}@{hosts}/{NAME}")
        async with house(database, tmp_path, receiver) as at_work:
            await at_work.goes_on()
            assert all("channel_lost" not in server.stderr for server in at_work.servers)
            await run_sync(primary.kill)
            await at_work.is_refused()
            await run_sync(standby.promote)
            await at_work.goes_on()
            await at_work.check(receiver, troubles=1)
