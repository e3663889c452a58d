"""`postroom events`."""

import json
import signal
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import pytest

from postroom.cli import events
from postroom.domain.clock import MINUTE, HeldClock, system_clock
from postroom.service.hub import Hub
from postroom.service.stats import Event
from postroom.store.sqlite import SqliteDatabase
from tests.acceptance.house import run, run_json
from tests.cli.conftest import Things
from tests.cli.shell import arrange, background, in_terminal


def parsed(text: str) -> list[Any]:
    """The lines that are whole."""
    return [json.loads(line) for line in text.split("\n")[:-1]]


def test_what_happened(data: Path, things: Things) -> None:
    """Oldest first, one line each; with --json in the shape of the HTTP API."""
    queue, listener = parsed(run("events", "--json", data=data).stdout)
    assert (queue["type"], queue["queue"]) == ("queue_added", {"id": things.queue, "name": "orders"})
    assert queue["client"] == {"id": things.org}
    assert queue["stored_at"] <= listener["stored_at"]
    lines = [line.split("\t") for line in run("events", data=data).stdout.splitlines()]
    assert [line[1:] for line in lines] == [
        ["queue_added", "", "orders", "", ""],
        ["listener_added", "", "orders", "billing", ""],
    ]
    assert lines[0][0].endswith("Z")


def test_one_group(data: Path) -> None:
    """--events leaves out all others."""
    shown = parsed(run("events", "--events", "queues", "--json", data=data).stdout)
    assert [event["type"] for event in shown] == ["queue_added"]


def test_events_on_a_terminal(data: Path) -> None:
    """A person reads what a name is the name of."""
    code, shown = in_terminal("events", data=data)
    assert code == 0
    assert "queue orders, listener billing" in shown


def test_more_than_one_page(data: Path, things: Things) -> None:
    """All are printed, once, however many there are."""

    async def send(hub: Hub) -> list[str]:
        sent: list[str] = []

        async def one() -> None:
            sent.append(await hub.messages.accept(things.org, things.queue, "x"))

        async with anyio.create_task_group() as group:
            for _ in range(2 * events.TOGETHER + 1):
                group.start_soon(one)
        return sent

    sent = arrange(data, send)
    shown = parsed(run("events", "--events", "messages", "--json", data=data).stdout)
    assert sorted(event["message"]["id"] for event in shown) == sorted(sent)
    assert [event["id"] for event in shown] == sorted(event["id"] for event in shown)


def test_follow(data: Path, tmp_path: Path) -> None:
    """What was and what comes, each once; Ctrl-C ends it without a word."""
    words = ("events", "--follow", "--json", "--data", str(data))
    with background(tmp_path / "follow", *words) as following:
        following.when(lambda out: len(parsed(out)) == 2)
        sent = [run_json("send", "orders", "x", data=data)["message"]["id"] for _ in range(3)]
        following.when(lambda out: len(parsed(out)) == 5)
        assert following.stop(signal.SIGINT) == 130
        assert [event["message"]["id"] for event in parsed(following.out)[2:]] == sent
        assert following.err == ""


def test_follow_from_nothing(tmp_path: Path) -> None:
    """It waits where nothing has happened yet."""
    arrange(tmp_path / "data", lambda hub: hub.organizations.found("acme"))
    with background(tmp_path / "run", "events", "--follow", "--data", str(tmp_path / "data")) as following:
        run_json("key", "create", "first", data=tmp_path / "data")
        assert "api_key_added" in following.when(lambda out: out)


@pytest.mark.anyio
async def test_events_of_one_millisecond(data: Path, things: Things) -> None:
    """Events that other processes add to a millisecond that was read, also below what was read, come once."""
    now = system_clock()
    clock = HeldClock(lambda: now)
    database = SqliteDatabase(data / "postroom.db")
    try:
        reading = events._read(Hub(database, clock, "reads", MINUTE), things.org, "all", pause=0)
        given = [await _next(reading), await _next(reading)]
        for number in count():
            # A hub of its own has ids of its own, which are below those given or above them.
            await Hub(database, clock, f"writes {number}", MINUTE).queues.create(
                things.org, f"queue {number}"
            )
            given.append(await _next(reading))
            if number > 5 and given != sorted(given):
                break
        assert len(set(given)) == len(given)
    finally:
        await database.close()


async def _next(reading: AsyncIterator[Event]) -> str:
    with anyio.fail_after(10):
        return (await anext(reading)).id
