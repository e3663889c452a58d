"""The process: how it starts, how it stops, what it refuses to start with, and the commands beside it."""

import re
import stat
from pathlib import Path

import pytest

from tests.acceptance.beside import rows
from tests.acceptance.client import Client, counted, make_listener, make_queue, send, stats
from tests.acceptance.conftest import ON_BOTH, Make
from tests.acceptance.house import (
    Organization,
    Place,
    Postroom,
    make_organization,
    run,
    run_json,
    until,
)
from tests.acceptance.receiver import Receiver, answer
from tests.support.postgres import PASSWORD

pytestmark = pytest.mark.anyio


@ON_BOTH
def test_the_ready_line(start: Make) -> None:
    """Standard output has the ready line, with the port that was free; and nothing else."""
    server = start()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d{2,5}", server.url)
    assert server.port > 0
    assert server.stdout == f"Postroom is ready at {server.url}\n"


async def test_ready_means_ready(start: Make, organization: Organization) -> None:
    """After the ready line the first request is answered."""
    server = start()
    async with Client(server.url, organization.key) as client:
        assert (await client.raw("GET", "/ready", {})).status == 200
        await make_queue(client)


def test_a_new_data_directory(tmp_path: Path) -> None:
    """A data directory that is not there is made, readable by its owner only."""
    data = tmp_path / "deep" / "er"
    data.parent.mkdir()
    with Postroom(data) as server:
        assert server.database.exists()
        private = [stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in (data, server.database)]
        assert any(private), "others can read the database"


@ON_BOTH
def test_sigterm_ends_it_well(start: Make) -> None:
    """SIGTERM ends the process with exit code 0, and says nothing of errors."""
    server = start()
    assert server.terminate() == 0
    assert "Traceback" not in server.stderr


def test_a_second_server_is_refused(start: Make, data: Path) -> None:
    """A second server on one data directory is refused with a sentence that names the first's process id."""
    server = start()
    refused = run("serve", "--port", "0", data=data)
    assert refused.returncode != 0
    assert str(server.pid) in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "ready" not in refused.stdout
    assert server.process.poll() is None


@ON_BOTH
def test_a_killed_servers_lock_is_no_lock(start: Make) -> None:
    """After kill -9 the next server starts, whatever the lock file says, or the lease."""
    server = start()
    server.kill()
    assert server.start().terminate() == 0


def test_a_port_that_is_taken(start: Make, tmp_path: Path) -> None:
    """A port that is taken is a sentence, not a traceback."""
    server = start()
    refused = run("serve", "--port", str(server.port), data=tmp_path / "other")
    assert refused.returncode != 0
    assert str(server.port) in refused.stderr
    assert "Traceback" not in refused.stderr


@ON_BOTH
def test_a_newer_database_is_refused(place: Place) -> None:
    """A database of a newer version is refused and left as it is."""
    rows(place, "INSERT INTO migrations VALUES (9999, 'of the future', 0, 9999)")
    before = content(place)
    for words in (["serve", "--port", "0"], ["org", "create", "other"], ["stats"]):
        refused = run(*words, data=place)
        assert refused.returncode != 0, words
        assert "newer" in refused.stderr
        assert "Traceback" not in refused.stderr
    assert content(place) == before


def content(place: Place) -> object:
    """What differs when the database was written."""
    if isinstance(place, Path):
        return (place / "postroom.db").read_bytes()
    tables = ("migrations", "organizations", "api_keys", "processes", "series", "slots")
    return [rows(place, f"SELECT t.xmin::text, t.* FROM {table} AS t ORDER BY t") for table in tables]


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """A file that is no database is refused and left as it is."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "postroom.db").write_bytes(b"my diary, please keep " * 1000)
    refused = run("serve", "--port", "0", data=data)
    assert refused.returncode != 0
    assert "Traceback" not in refused.stderr
    assert (data / "postroom.db").read_bytes() == b"my diary, please keep " * 1000


def test_all_bad_settings_are_told_together(tmp_path: Path) -> None:
    """Every complaint at once, each with the name of its setting; nothing is started or made."""
    bad = {"port": "many", "body_limit": -1, "jitter": 7, "schedule": "0,x", "no_such_setting": 1}
    refused = run("serve", data=tmp_path / "data", settings=bad)
    assert refused.returncode != 0
    for name in bad:
        assert name in refused.stderr.lower()
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "data").exists()


def test_settings_come_from_options_the_environment_and_a_file(tmp_path: Path, data: Path) -> None:
    """An option comes before the environment, the environment before postroom.toml."""
    (tmp_path / "postroom.toml").write_text('port = "from the file"\njitter = 9\n')
    refused = run("serve", data=data, settings={"jitter": 8}, cwd=tmp_path)
    assert refused.returncode != 0
    assert "from the file" in refused.stderr
    assert "8" in refused.stderr
    refused = run("serve", "--port", "-1", data=data, settings={"jitter": 8}, cwd=tmp_path)
    assert "from the file" not in refused.stderr


@ON_BOTH
async def test_an_organization_made_beside_the_server(start: Make, organization: Organization) -> None:
    """`org create` works while the server runs, and its key works at once."""
    server = start()
    made = make_organization(server.place, "beside")
    async with Client(server.url, made.key) as client:

        async def look() -> int:
            return (await client.call("GET", "/api_keys")).status

        await until(look, lambda status: status == 200, within=10)
        assert await stats(client) == dict.fromkeys(await stats(client), 0)
        await send(client, await make_queue(client))
    listed = run_json("org", "list", data=server.place)
    assert {"acme", "beside"} <= {one["name"] for one in listed["organizations"]}


def test_an_organizations_name_is_taken(data: Path) -> None:
    """`org create` refuses a taken name with a sentence."""
    refused = run("org", "create", "acme", data=data)
    assert refused.returncode != 0
    assert "acme" in refused.stderr
    assert "Traceback" not in refused.stderr


@ON_BOTH
async def test_a_key_disabled_by_command(start: Make, organization: Organization) -> None:
    """`key disable` reaches the running server by itself."""
    server = start()
    async with Client(server.url, organization.key) as first:
        secret = (await first.post("/api_keys", name="doomed"))["api_key"]
        key = next(key for key in (await first.get("/api_keys"))["api_keys"] if key["name"] == "doomed")
        async with Client(server.url, secret) as doomed:
            await doomed.get("/queues")
            run_json("key", "disable", key["id"], data=server.place)

            async def look() -> int:
                return (await doomed.call("GET", "/queues")).status

            await until(look, lambda status: status == 401, within=10)
        await first.get("/queues")


async def test_a_message_sent_by_command(start: Make, organization: Organization) -> None:
    """`send QUEUE -` takes the data from standard input; the running server counts it."""
    server = start()
    async with Client(server.url, organization.key) as client:
        queue = await make_queue(client)
        done = run("send", queue.name, "-", data=server.place, stdin="from a pipe")
        assert done.returncode == 0, done.stderr

        async def look() -> int:
            return (await stats(client))["message_added"]

        await until(look, lambda count: count == 1, within=10)


def test_the_first_key_is_shown_once(data: Path, organization: Organization) -> None:
    """No file in the data directory holds a key's secret."""
    assert all(organization.key.encode() not in file.read_bytes() for file in data.iterdir())


def test_the_version() -> None:
    """`version` and `--help` work without a data directory."""
    assert re.search(r"\d+\.\d+\.\d+", run("version").stdout)
    assert "serve" in run("--help").stdout


@ON_BOTH
async def test_the_log_keeps_secrets(start: Make, organization: Organization, receiver: Receiver) -> None:
    """No key, listener's secret or message is in a log line, however much is logged."""
    server = start({"log_level": "debug"})
    async with Client(server.url, organization.key) as client:
        queue = await make_queue(client)
        listener = await make_listener(client, queue, receiver.on("/hook", answer(500), answer()))
        await send(client, queue, "between you and me")
        await counted(client, listener, acknowledged=1)
        (await client.call("POST", queue.messages, b'{"data": "between you and me"')).problem(400)
    assert await server.stop() == 0
    for secret in (organization.key, listener.secret, "between you and me", PASSWORD):
        assert secret not in server.stderr
