"""PostgreSQL for the tests: what it promises when it is stopped, killed, copied and left behind."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.support.postgres import HOST, UNICODE, Mode, Server

ROOT = Path(__file__).parents[2]
DEADLINE = 30.0
LEFT = """
from tests.support.postgres import Server
server = Server().start()
print(server.port, server.folder, flush=True)
input()
"""


@pytest.fixture(scope="module")
def server(postgres: Server) -> Iterator[Server]:
    """A server that these tests may end."""
    with Server() as server:
        yield server


def test_databases_are_copies(server: Server) -> None:
    """Each copy begins as the template is, and is by itself."""
    server.create("model")
    server.rows("model", "CREATE TABLE notes AS SELECT 'first' AS note")
    one, two = server.fresh("model"), server.fresh("model")
    server.rows(one, "INSERT INTO notes VALUES ($1)", "second")
    assert server.rows(one, "SELECT note FROM notes ORDER BY note") == [("first",), ("second",)]
    assert server.rows(two, "SELECT note FROM notes") == [("first",)]
    server.drop(one)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        server.rows(one, "SELECT 1")


@pytest.mark.parametrize("end", ["smart", "fast", "immediate", None])
def test_commits_outlive_the_server(server: Server, end: Mode | None) -> None:
    """However it ends, be it killed, what was committed is there after the next start, on the same port."""
    database, port = f"ended_{end}", server.port
    server.create(database)
    server.rows(database, "CREATE TABLE notes AS SELECT generate_series(1, 1000)")
    if end is None:
        server.kill()
    else:
        server.stop(end)
    with pytest.raises(ConnectionRefusedError):
        server.rows(database, "SELECT 1")
    server.start()
    assert server.rows(database, "SELECT count(*) FROM notes") == [(1000,)]
    assert server.port == port


@pytest.mark.usefixtures("postgres")
def test_durable_and_unicode() -> None:
    """A durable server writes through to the disk, and the locale is the one asked for."""
    settings = "SELECT current_setting('fsync'), current_setting('synchronous_commit'), current_setting($1)"
    with Server(durable=True, locale=UNICODE, settings={"max_connections": 20}) as server:
        assert server.rows("postgres", settings, "max_connections") == [("on", "on", "20")]
        assert server.rows("postgres", "SELECT lower('ÄÖ')") == [("äö",)]


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection((HOST, port)).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.usefixtures("postgres")
@pytest.mark.parametrize("killed", [False, True])
def test_nothing_is_left(killed: bool) -> None:
    """A process that does not stop its server, or is killed, leaves neither it nor a file behind."""
    words = [sys.executable, "-c", LEFT]
    with subprocess.Popen(
        words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port, folder = process.stdout.readline().split()
        socket.create_connection((HOST, int(port))).close()
        if killed:
            process.kill()
        process.communicate("\n")
    end = time.monotonic() + DEADLINE
    while Path(folder).parent.exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    while answers(int(port)):
        assert time.monotonic() < end
        time.sleep(0.01)
