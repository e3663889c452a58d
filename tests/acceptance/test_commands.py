"""The commands beside a running server: what a stranger does first, and what goes wrong then."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.beside import rows
from tests.acceptance.client import (
    Client,
    attempts,
    counted,
    counted_events,
    events,
    make_listener,
    make_queue,
    send,
    stats,
)
from tests.acceptance.conftest import ON_BOTH, Make
from tests.acceptance.house import (
    DEADLINE,
    Organization,
    Place,
    audit,
    clear_of_midnight,
    command,
    environment,
    option,
    run,
    run_json,
    until,
    variable,
)
from tests.acceptance.receiver import Receiver, own_address

pytestmark = pytest.mark.anyio


class Background:
    """A command that runs until it is told to stop; both its streams go to files."""

    def __init__(self, folder: Path, *words: str, place: Place | None = None) -> None:
        self.out, self.err = folder / "out", folder / "err"
        folder.mkdir()
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [command(), *words, *option(place)],
                env=environment(variable(place)),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def lines(self, count: int) -> list[Any]:
        """Wait for so many lines of JSON."""
        self.wait_for(self.out, lambda text: text.count("\n") >= count)
        return [json.loads(line) for line in self.out.read_text().splitlines()]

    def wait_for(self, file: Path, good: Any) -> str:
        """Wait until a file is good; its text."""
        end = time.monotonic() + DEADLINE
        while not good(text := file.read_text()):
            assert self.process.poll() is None, f"it ended\n{text}\n{self.err.read_text()}"
            assert time.monotonic() < end, f"not in time\n{text}\n{self.err.read_text()}"
            time.sleep(0.02)
        return text

    def stop(self) -> int:
        """SIGINT, as Ctrl-C sends it; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(DEADLINE)


@contextmanager
def background(folder: Path, *words: str, place: Place | None = None) -> Iterator[Background]:
    """The command while the block runs."""
    running = Background(folder, *words, place=place)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait(DEADLINE)


def listening(running: Background) -> str:
    """The URL that `listen --json` tells on standard error."""
    text = running.wait_for(running.err, lambda text: "Listening at " in text and text.endswith("\n"))
    return text.partition("Listening at ")[2].split()[0]


async def test_a_first_message(start: Make, organization: Organization, tmp_path: Path) -> None:
    """A message sent by command arrives with a true signature, and the counts are true."""
    await clear_of_midnight()
    server, own = start(), ("--host", own_address(), "--json")
    async with Client(server.url, organization.key) as client:
        queue = await make_queue(client, "orders")
        with background(tmp_path / "first", "listen", "--port", "0", *own) as running:
            url = listening(running)
            listener = await make_listener(client, queue, url, url, name="shop")
        port = url.rstrip("/").rpartition(":")[2]
        words = ("listen", "--port", port, *own, "--secret", listener.secret)
        with background(tmp_path / "second", *words) as running:
            listening(running)
            sent = run_json("send", "orders", '{"n": 1}', "--name", "first", data=server.place)["message"]
            (arrival,) = running.lines(1)
            assert (arrival["message"], arrival["body"], arrival["verified"]) == (
                sent["id"],
                '{"n": 1}',
                True,
            )
            await counted(client, listener, acknowledged=1)
            assert running.stop() == 0
    windows = run_json("stats", data=server.place)["aggregated_api_usage_events"]
    assert all(window["message_added"] == window["message_published_ok"] == 1 for window in windows.values())
    (shown,) = run_json("listener", "list", data=server.place)["listeners"]
    assert (shown["name"], shown["messages"]["acknowledged_count"]) == ("shop", 1)
    assert [one["name"] for one in run_json("queue", "list", data=server.place)["queues"]] == ["orders"]


async def test_a_receiver_with_another_secret(
    start: Make, organization: Organization, tmp_path: Path
) -> None:
    """`listen` refuses what was signed with another secret, and the attempt tells so."""
    server = start()
    other = "whsec_" + "A" * 43 + "="
    async with Client(server.url, organization.key) as client:
        with background(tmp_path / "run", "listen", "--port", "0", "--json", "--secret", other) as running:
            queue, url = await make_queue(client), listening(running)
            listener = await make_listener(client, queue, url, url)
            message = await send(client, queue, "hello")
            await counted(client, listener, missed=1)
            assert {one["verified"] for one in running.lines(3)} == {False}
        assert {one["status"] for one in await attempts(client, queue, message)} == {401}


@ON_BOTH
async def test_events_are_followed(start: Make, organization: Organization, tmp_path: Path) -> None:
    """`events --follow` prints what was and what comes, each event once, until it is interrupted."""
    server = start()
    async with Client(server.url, organization.key) as client:
        first = await make_queue(client)
        with background(tmp_path / "run", "events", "--follow", "--json", place=server.place) as running:
            running.lines(1)
            for _ in range(20):
                await send(client, first)
            await make_queue(client)
            seen = running.lines(22)
            running.stop()
        assert [one["type"] for one in seen] == ["queue_added", *["message_added"] * 20, "queue_added"]
        assert seen == await events(client)


@ON_BOTH
async def test_many_commands_at_once(start: Make, organization: Organization) -> None:
    """Commands that write beside each other and beside the server lose nothing and count right."""
    server = start()
    async with Client(server.url, organization.key) as client:
        queue = await make_queue(client)
        with ThreadPoolExecutor(4) as pool:
            running = [pool.submit(run_json, "send", queue.id, f"{n}", data=server.place) for n in range(8)]
            for _ in range(100):
                await send(client, queue)
        sent = {one.result()["message"]["id"] for one in running}
        stored = {one["id"] for one in (await client.get(queue.messages))["messages"]}
        assert sent < stored
        assert len(stored) == 108
        assert (await stats(client))["message_added"] == 108
        assert await stats(client) == await counted_events(client)
    assert await server.stop() == 0
    audit(server.place)


@ON_BOTH
async def test_a_message_sent_by_command_is_delivered(
    start: Make, organization: Organization, tmp_path: Path
) -> None:
    """A message sent by command is delivered by the running server, or by the next one that runs."""
    server = start()
    with background(tmp_path / "run", "listen", "--port", "0", "--json") as running:
        url = listening(running)
        async with Client(server.url, organization.key) as client:
            queue = await make_queue(client)
            listener = await make_listener(client, queue, url, url)
            run_json("send", queue.name, "while it runs", data=server.place)
            assert running.lines(1)[0]["body"] == "while it runs"
            await counted(client, listener, acknowledged=1)
        assert await server.stop() == 0
        run_json("send", queue.name, "while it does not", data=server.place)
        server.start()
        assert running.lines(2)[1]["body"] == "while it does not"


async def test_a_key_made_by_command(start: Make, organization: Organization) -> None:
    """`key create` makes a key for the running server; it is listed, and its secret shown this once."""
    server = start()
    secret = run_json("key", "create", "from the shell", data=server.place)["api_key"]
    async with Client(server.url, secret) as client:

        async def look() -> int:
            return (await client.call("GET", "/queues")).status

        await until(look, lambda status: status == 200, within=10)
    listed = run("key", "list", "--json", data=server.place).stdout
    assert "from the shell" in listed
    assert secret not in listed


@ON_BOTH
@pytest.mark.parametrize(
    "tampering", ["listener_counts SET accepted = accepted + 1", "usage_totals SET message_added = 7"]
)
async def test_the_audit_finds_a_wrong_count(
    start: Make, organization: Organization, receiver: Receiver, tampering: str
) -> None:
    """`audit` ends with 0 while every count is that of the facts, and with 1 once one is not."""
    server = start()
    async with Client(server.url, organization.key) as client:
        queue = await make_queue(client)
        listener = await make_listener(client, queue, receiver.url("/hook"))
        await send(client, queue)
        await counted(client, listener, acknowledged=1)
    assert await server.stop() == 0
    audit(server.place)
    rows(server.place, f"UPDATE {tampering}")
    done = run("audit", "--json", data=server.place)
    assert done.returncode == 1
    assert json.loads(done.stdout)["ok"] is False


@pytest.mark.parametrize(
    "words",
    [
        ["send", "nowhere", "hello"],
        ["send", "nowhere", "hello", "--org", "nobody"],
        ["key", "disable", "unknown"],
        ["key", "create", ""],
        ["org", "create", "x" * 201],
        ["listener", "list", "--org", "nobody"],
        ["events", "--events", "kitchen"],
        ["serve", "--port", "x"],
        ["serve", "--kitchen", "1"],
        ["kitchen"],
        ["listen", "--port", "0", "--secret", "whsec_"],
    ],
    ids=" ".join,
)
def test_commands_that_cannot_be_done(data: Path, words: list[str]) -> None:
    """What cannot be done is told in words on standard error, with an exit code, without a traceback."""
    place = None if words[0] in ("listen", "kitchen") else data
    done = run(*words, data=place)
    assert done.returncode not in (0, None)
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
