"""`postroom serve --processes`: several processes at one address, over one PostgreSQL."""

import asyncio
import json
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.client import Client, counted, make_listener, make_queue, send, stats
from tests.acceptance.conftest import ON_POSTGRESQL
from tests.acceptance.house import READY, Organization, Postroom, Url, audit, command, environment, run, until
from tests.acceptance.load import Load
from tests.acceptance.receiver import Receiver
from tests.support.postgres import Server

pytestmark = [pytest.mark.anyio, ON_POSTGRESQL]

CONNECTIONS = 40  # the chance that one of two processes gets none of them is 2 ** -39
ESTABLISHED, LISTENS = "01", "0A"
FIRST = 0  # the process that starts the others has no number


class Processes(Postroom):
    """A `postroom serve` of two processes; all that it is told stands in its environment."""

    def __init__(self, folder: Path, database: Url, **settings: object) -> None:
        both = {"processes": 2, "port": 0, "allow_network": "127.0.0.0/8", "lease_time": 20}
        super().__init__(folder / "serve", {"database": database, **both, **settings})
        self.seen: set[int] = set()

    def _words(self) -> list[str]:
        return [command(), "serve"]

    def children(self) -> dict[int, int]:
        """Process ids by the numbers of the processes."""
        pids = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        words = {int(pid): command_line(int(pid)) for pid in pids}
        found = {int(each[-1]): pid for pid, each in words.items() if "postroom.cli.child" in each}
        self.seen.update(found.values())
        return found

    async def after(self, number: int, pid: int) -> int:
        """The process that follows this one in its place, once it accepts connections."""

        async def look() -> int:
            now = self.children().get(number, pid)
            return now if now != pid and listens(now, self.port) else pid

        return await until(look, lambda now: now != pid)

    def told(self, event: str) -> list[Mapping[str, Any]]:
        """The lines of the log about it."""
        lines = [line for line in self.stderr.splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in map(json.loads, lines) if line["event"] == event]


def numbers(server: Processes, event: str) -> list[int]:
    """Those of the processes that told it, in order of number; the first must have told it last."""
    told = [line.get("process", FIRST) for line in server.told(event)]
    return [*sorted(told[:-1]), *told[-1:]]


def command_line(pid: int) -> list[str]:
    """The words that a process was started with; none where there is no such process."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
    return []


@dataclass(frozen=True)
class Socket:
    """A TCP socket of a process, by the ports of its two ends."""

    state: str
    local: int
    remote: int


def sockets(pid: int) -> list[Socket]:
    """All that a process holds."""
    held: set[str] = set()
    with suppress(FileNotFoundError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                held.update(re.findall(r"^socket:\[(\d+)\]$", os.readlink(descriptor)))
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [Socket(row[3], port_of(row[1]), port_of(row[2])) for row in rows if row[9] in held]


def port_of(end: str) -> int:
    """Of an address with its port, both in hexadecimal digits."""
    return int(end.rpartition(":")[2], 16)


def listens(pid: int, port: int) -> bool:
    return any((found.state, found.local) == (LISTENS, port) for found in sockets(pid))


def reached(pid: int, port: int) -> int:
    """How many of this test's own connections to the port a process holds."""
    own = {
        found.local for found in sockets(os.getpid()) if (found.state, found.remote) == (ESTABLISHED, port)
    }
    theirs = [found for found in sockets(pid) if (found.state, found.local) == (ESTABLISHED, port)]
    return sum(found.remote in own for found in theirs)


async def gone(*pids: int) -> None:
    """Wait until none of these processes is there any more; a process that nobody waited for is none."""

    async def look() -> list[int]:
        return [pid for pid in pids if command_line(pid)]

    await until(look, lambda left: not left)


@pytest.fixture
async def server(tmp_path: Path, database: Url) -> AsyncIterator[Processes]:
    """Two processes at work. Those that are left at the end leave by themselves, before the database does."""
    with Processes(tmp_path, database) as running:
        running.children()
        yield running
    await gone(*running.seen)


async def test_one_address(server: Processes, organization: Organization) -> None:
    """There is one ready line, and connections to its address reach each process."""
    assert server.stdout == f"Postroom is ready at {server.url}\n"
    children = server.children()
    assert sorted(children) == [1, 2]
    assert numbers(server, "started") == [1, 2, FIRST]
    async with AsyncExitStack() as stack:
        for _ in range(CONNECTIONS):
            client = await stack.enter_async_context(Client(server.url, organization.key))
            await client.get("/queues")
        each = [reached(pid, server.port) for pid in children.values()]
    assert sum(each) == CONNECTIONS
    assert min(each) > 0


async def test_they_are_one_hub(
    server: Processes, organization: Organization, database: Url, receiver: Receiver
) -> None:
    """What one process makes the others know; each message is counted and delivered once."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(server.url, organization.key))
        queue = await make_queue(client)
        listener = await make_listener(client, queue, receiver.url("/hook"))
        for _ in range(CONNECTIONS):
            other = await stack.enter_async_context(Client(server.url, organization.key))
            await send(other, queue)
        await counted(client, listener, acknowledged=CONNECTIONS)
        assert (await stats(client))["message_added"] == CONNECTIONS
    messages = [one for one in receiver.got("/hook") if one.method == "POST"]
    assert len({one.headers["webhook-id"] for one in messages}) == len(messages) == CONNECTIONS
    audit(database)


async def test_a_process_that_is_killed(server: Processes, organization: Organization, database: Url) -> None:
    """It is started again at the same address; the others go on, and nothing that was accepted is lost."""
    async with Client(server.url, organization.key) as client:
        queue = await make_queue(client)
        load = Load(server.url, organization.key, queue, each=200)
        killed = server.children()[1]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(load.run())
            await load.reaches(100)
            os.kill(killed, signal.SIGKILL)
            following = await server.after(1, killed)
    assert server.children()[1] == following
    (told,) = server.told("process_ended")
    assert (told["process"], told["how"]) == (1, "signal 9")
    async with Client(server.url, organization.key) as client:
        counted_now = (await stats(client))["message_added"]
    assert len(load.accepted) <= counted_now <= len(load.accepted) + load.unanswered + load.cut
    audit(database)


async def test_a_process_that_is_told_to_stop(server: Processes) -> None:
    """One that ends well, though only the first may be told to stop, is started again too."""
    stopped = server.children()[2]
    os.kill(stopped, signal.SIGTERM)
    await server.after(2, stopped)
    (told,) = server.told("process_ended")
    assert (told["process"], told["how"]) == (2, "exit code 0")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_all_stop_with_the_first(server: Processes, number: signal.Signals) -> None:
    """SIGTERM or SIGINT to the first ends all of them well, and leaves none."""
    children = server.children()
    server.process.send_signal(number)
    assert server.wait() == 0
    assert not [pid for pid in children.values() if command_line(pid)]
    assert numbers(server, "stopped") == [1, 2, FIRST]


async def test_the_first_is_killed(server: Processes, organization: Organization) -> None:
    """After kill -9 of the first, the others stop by themselves, as if they had been told to."""
    children, port = server.children(), server.port
    server.kill()
    await gone(*children.values())
    assert {line["process"] for line in server.told("stopped")} == {1, 2}
    with socket.create_server(("127.0.0.1", port)):
        pass


async def test_one_that_does_not_stop(tmp_path: Path, database: Url) -> None:
    """A process that does not answer to SIGTERM is killed after a while; the exit code says so."""
    with Processes(tmp_path, database, stop_timeout=0) as server:
        hanging = server.children()[1]
        os.kill(hanging, signal.SIGSTOP)
        assert server.terminate() == 1
        assert "were killed: 1." in server.stderr
        assert not command_line(hanging)


async def test_a_second_server_at_the_address(server: Processes, database: Url) -> None:
    """A port that processes share is taken for every other server, of one process or of several."""
    for more in ({}, {"processes": 2}):
        done = run("serve", settings={"database": database, "port": server.port, **more})
        taken = f"Error: the port {server.port} of 127.0.0.1 is taken; give another --port.\n"
        assert (done.returncode, done.stderr) == (1, taken)


async def test_what_others_can_see(server: Processes) -> None:
    """No command line and no line of the log has the password of the database."""
    password = str(server.settings["database"]).partition("@")[0].rpartition(":")[2]
    lines = [command_line(pid) for pid in (server.pid, *server.children().values())]
    assert all(lines)
    assert password not in f"{lines}"
    assert password not in server.stderr
    assert all("postgresql://postroom:***@" in line["database"] for line in server.told("started"))


async def test_the_welcome(tmp_path: Path, database: Url) -> None:
    """With --welcome the first prints the text, once, when all are ready."""
    process = await asyncio.create_subprocess_exec(
        command(), "serve", "--welcome",
        env=environment({"database": database, "processes": 2, "port": 0}),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    text = (await process.stdout.readuntil(b"--org acme\n")).decode()
    process.terminate()
    assert await process.wait() == 0
    assert READY.match(text)
    assert "There are organizations already (acme)." in text
    assert "in a shell whose POSTROOM_DATABASE is the database postgresql://postroom:***@" in text


async def test_a_process_that_cannot_start(tmp_path: Path, postgres: Server, database: Url) -> None:
    """Where one does not get ready at the start, all are stopped, and the exit code is 1."""
    name = database.rpartition("/")[2]
    postgres.rows(name, "CREATE ROLE narrow LOGIN PASSWORD 'x' CONNECTION LIMIT 1")
    postgres.rows(name, "GRANT ALL ON ALL TABLES IN SCHEMA public TO narrow")
    limited = f"postgresql://narrow:x@127.0.0.1:{postgres.port}/{name}"
    done = run("serve", settings={"database": limited, "port": 0, "processes": 2})
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.search(r"^Error: process \d did not get ready \(exit code 1\)", done.stderr, re.MULTILINE)
