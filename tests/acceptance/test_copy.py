"""`postroom copy`: the hub moves to another database and back, and nothing of what it owed is lost."""

import json
import signal
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import anyio
import pytest
from standardwebhooks import Webhook

from tests.acceptance.client import (
    Client,
    Listener,
    Queue,
    attempted,
    counted,
    counts,
    make_listener,
    make_queue,
    send,
    stats,
    unique,
)
from tests.acceptance.house import DEADLINE, Organization, Place, Postroom, Url, audit, run, run_json, until
from tests.acceptance.receiver import Received, Receiver, answer
from tests.cli.shell import Background, background
from tests.support.everything import content
from tests.support.home import Home, PostgresHome, SqliteHome
from tests.support.hub import blocked
from tests.support.postgres import Server
from tests.support.proxy import HOST, Proxy

pytestmark = pytest.mark.anyio

TEXTS: Final = ["first", "nul \x00 inside", "Grüße, 世界 \U0001f4ee", "", "x" * 300_000]
# Long enough for a receiver to come back.
PATIENT: Final = {"schedule": ",".join(["0", *["0.3"] * 300])}
NOT_FINISHED: Final = "is not finished; run the same postroom copy again."


@pytest.fixture
def home(postgres: Server) -> Iterator[PostgresHome]:
    """A PostgreSQL database without tables."""
    name = unique("copy").replace("-", "_")
    postgres.create(name)
    with closing(PostgresHome(postgres, name)) as made:
        yield made


def words(source: Home, target: Home) -> tuple[str, ...]:
    """The command line."""
    return "copy", "--from", source.address, "--to", target.address


def copied(source: Home, target: Home) -> dict[str, int]:
    """The rows of each table, when one run of the command came to a good end."""
    done = run(*words(source, target), "--json")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    told = json.loads(done.stdout)
    assert told["verified"] is True
    rows: dict[str, int] = told["tables"]
    return rows


def last_day(place: Place) -> Any:
    """The twelve counters; the other windows may have moved on since."""
    return run_json("stats", data=place)["aggregated_api_usage_events"]["last_24_hours"]


def url_of(home: Home) -> Place:
    """As other commands are told."""
    return home.folder if isinstance(home, SqliteHome) else Url(home.address)


@dataclass(frozen=True)
class Scene:
    """A queue with a listener that now and then takes nothing, in whatever database they are by now."""

    key: str
    queue: Queue
    listener: Listener
    receiver: Receiver
    taken: list[Received] = field(default_factory=list)

    async def owe(self, client: Client) -> None:
        """Messages that are tried and not taken."""
        before = await counts(client, self.listener)
        self.receiver.on("/", answer(503))
        ids = [await send(client, self.queue, text) for text in TEXTS]
        await attempted(client, self.queue, ids[0], 1)
        expected = before["pending"] + len(TEXTS), before["acknowledged"]
        assert await pending_and_acknowledged(client, self.listener) == expected

    async def pay(self, client: Client) -> None:
        """All that was accepted is taken, and counted."""
        refused = len(self.receiver.got("/"))
        self.receiver.on("/", answer(200))
        total = (await counts(client, self.listener))["accepted"]
        await counted(client, self.listener, acknowledged=total, pending=0)
        counters = await stats(client)
        assert (counters["message_published_ok"], counters["message_added"]) == (total, total)
        self.taken.extend(self.receiver.got("/")[refused:])

    async def go_on(self, server: Postroom) -> None:
        """With this server: what was pending is delivered, and then more is owed."""
        with server:
            async with Client(server.url, self.key) as client:
                await self.pay(client)
                audit(server.place)
                await self.owe(client)
            assert await server.stop() == 0


async def pending_and_acknowledged(client: Client, listener: Listener) -> tuple[int, int]:
    seen = await counts(client, listener)
    return seen["pending"], seen["acknowledged"]


def moved(source: Home, target: Home) -> None:
    """Copied, row by row the same, with the same counters."""
    before = last_day(url_of(source))
    rows = copied(source, target)
    assert rows == {name: len(found) for name, found in content(source).items()}
    assert content(target) == content(source)
    assert last_day(url_of(target)) == before
    audit(url_of(target))


async def test_there_and_back(
    data: Path, organization: Organization, receiver: Receiver, home: PostgresHome, tmp_path: Path
) -> None:
    """What is pending is delivered after each move, with the same ids, secrets and keys; counts go on."""
    with Postroom(data, PATIENT) as server:
        async with Client(server.url, organization.key) as client:
            queue = await make_queue(client)
            listener = await make_listener(client, queue, receiver.url("/"))
            scene = Scene(organization.key, queue, listener, receiver)
            await send(client, queue, "before")
            await counted(client, listener, acknowledged=1)
            scene.taken.extend(receiver.got("/"))
            await scene.owe(client)
        assert await server.stop() == 0
    moved(SqliteHome(data), home)
    await scene.go_on(Postroom(tmp_path / "server", {**PATIENT, "database": home.address}))
    (tmp_path / "back").mkdir()
    moved(home, SqliteHome(tmp_path / "back"))
    await scene.go_on(Postroom(tmp_path / "back", PATIENT))
    assert sorted(one.text for one in scene.taken) == sorted(["before", *TEXTS, *TEXTS])
    assert len({one.message_id for one in scene.taken}) == len(scene.taken)
    assert max(one.attempt for one in scene.taken) > 1
    for one in scene.taken:
        Webhook(listener.secret).verify(one.body, dict(one.headers), json_parse=False)


@pytest.fixture
async def many(data: Path, organization: Organization) -> SqliteHome:
    """A data directory in which messages and deliveries fill several pieces of a copy."""
    home = SqliteHome(data)
    with Postroom(data, {"schedule": "0,86400"}) as server:
        async with Client(server.url, organization.key) as client:
            queue = await make_queue(client)
            await send(client, queue, "to nobody")
            listener = await make_listener(client, queue, "http://127.0.0.1:1/")
            message = await send(client, queue, "pending")
            await attempted(client, queue, message, 1)
            other = (await make_queue(client)).id
        assert await server.stop() == 0
    numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 11000)"
    key = organization.id, listener.id
    home.rows(f"{numbers} INSERT INTO messages SELECT $1, 'm' || i, $2, NULL, x'00ff' FROM n", key[0], other)
    home.rows(f"{numbers} INSERT INTO deliveries SELECT $1, 'm' || i, $2, 1, 1, 1, 1 FROM n", *key)
    return home


def killed(copying: Background) -> None:
    """kill -9, by its id."""
    assert copying.stop(signal.SIGKILL) == -signal.SIGKILL


def refused(home: Home) -> None:
    """Neither a server nor a command works on the database; each says what to do."""
    option = "--data" if isinstance(home, SqliteHome) else "--database"
    place = str(url_of(home))
    for command in (("serve", "--port", "0"), ("stats",)):
        told = run(*command, option, place)
        assert (told.returncode, told.stdout) == (1, "")
        assert told.stderr.endswith(f"{NOT_FINISHED}\n")


BEFORE_ALL: Final = ("organizations", "EXCLUSIVE", "COPY")
WITH_A_TABLE: Final = ("deliveries", "EXCLUSIVE", "COPY")
WITH_THE_LAST: Final = ("series", "EXCLUSIVE", "COPY")
WAITING: Final = """
    SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'COPY %'
"""
WHEN_ALL_IS_THERE: Final = ("liveness", "SHARE UPDATE EXCLUSIVE", "ANALYZE")


@pytest.mark.parametrize("point", [BEFORE_ALL, WITH_A_TABLE, WITH_THE_LAST, WHEN_ALL_IS_THERE])
async def test_killed_with_rows_on_their_way_to_a_server(
    many: SqliteHome, home: PostgresHome, tmp_path: Path, point: tuple[str, str, str]
) -> None:
    """At some point of the copy: the target is closed until the same command has come to its end."""
    table, mode, statement = point
    assert run("migrate", "--database", home.address).returncode == 0
    with home.beside() as other:
        other.execute("BEGIN")
        other.execute(f"LOCK TABLE {table} IN {mode} MODE")
        with background(tmp_path / "copy", *words(many, home)) as copying:
            await blocked(home, statement)
            killed(copying)
    refused(home)
    copied(many, home)
    assert content(home) == content(many)
    audit(url_of(home))


@pytest.mark.parametrize(
    "query", [b'FROM "messages" WHERE', b'FROM "deliveries" WHERE', b'"revision" FROM "series"']
)
async def test_killed_with_rows_on_their_way_from_a_server(
    many: SqliteHome, home: PostgresHome, tmp_path: Path, query: bytes
) -> None:
    """In the middle of a table, and between two; what came before is there, and is not copied again."""
    copied(many, home)
    (tmp_path / "back").mkdir()
    back = SqliteHome(tmp_path / "back")
    with Proxy(HOST, home.server.port) as proxy:
        source = home.through(proxy.port)
        proxy.stall_answers(to=query)
        with background(tmp_path / "copy", *words(source, back)) as copying:
            await until(lambda: anyio.to_thread.run_sync(proxy.held.wait, 0.1), bool)
            killed(copying)
        before = len(content(back)["messages"]), len(content(back)["deliveries"])
        assert before[0] > 0
        assert before != (11_002, 11_001) or query == b'"revision" FROM "series"'
        proxy.heal()
        refused(back)
        copied(source, back)
    assert content(back) == content(many)
    audit(url_of(back))


async def test_killed_with_its_target(many: SqliteHome, tmp_path: Path) -> None:
    """The server of the target dies and comes back: the command says so, and goes on when run again."""
    with Server() as server:
        server.create("target")
        first = PostgresHome(server, "target")
        assert run("migrate", "--database", first.address).returncode == 0
        with first.beside() as other:
            other.execute("BEGIN")
            other.execute("LOCK TABLE attempts IN EXCLUSIVE MODE")
            with background(tmp_path / "copy", *words(many, first)) as copying:
                await until(lambda: anyio.to_thread.run_sync(server.rows, "target", WAITING), bool)
                server.kill()
                assert copying.process.wait(DEADLINE) == 1
                assert copying.err == "Error: the database is out of reach; try again.\n"
        server.start()
        with closing(PostgresHome(server, "target")) as target:
            refused(target)
            copied(many, target)
            assert content(target) == content(many)


async def test_a_server_is_refused_as_a_source_and_as_a_target(
    data: Path, organization: Organization, home: PostgresHome, tmp_path: Path
) -> None:
    """While it serves; when it has stopped, at once."""
    assert organization.name == "acme"
    (tmp_path / "other").mkdir()
    embedded, other = SqliteHome(data), SqliteHome(tmp_path / "other")
    settings = {"database": Url(home.address), "lease_time": 60}
    with Postroom(data) as one, Postroom(tmp_path / "pg", settings) as two:
        for source, target in ((embedded, other), (home, other), (other, embedded), (other, home)):
            told = run(*words(source, target))
            assert (told.returncode, told.stdout) == (1, "")
            assert "is at work on" in told.stderr or "is being served" in told.stderr
            assert "stop" in told.stderr
        assert (await one.stop(), await two.stop()) == (0, 0)
    assert copied(embedded, home)["organizations"] == 1
