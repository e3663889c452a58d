"""`postroom serve --processes`: several processes at one address, over one PostgreSQL."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.client import Client, counted, make_listener, make_queue, send, unique
from tests.acceptance.house import Organization, Postroom, command, run, until
from tests.acceptance.receiver import Receiver
from tests.support.postgres import Server

pytestmark = pytest.mark.anyio

NUMBER = 2


class Processes(Postroom):
    """A `postroom serve` of two processes."""

    def __init__(self, data: Path, database: str, **settings: object) -> None:
        super().__init__(data, {"database": database, "processes": NUMBER, **settings})

    def _words(self) -> list[str]:
        return [command(), "serve", "--port", "0", "--allow-network", self.allow[0]]

    @property
    def children(self) -> dict[int, int]:
        """The process ids of those that serve, by their numbers."""
        listed = subprocess.run(
            ["ps", "-o", "pid=,args=", "--ppid", str(self.pid)], capture_output=True, text=True, check=False
        )
        found = re.findall(r"^ *(\d+) .*-m postroom\.cli\.child (\d+)$", listed.stdout, re.MULTILINE)
        return {int(number): int(pid) for pid, number in found}

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines of standard error."""
        return [json.loads(line) for line in self.stderr.splitlines()]

    def told(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.log if line["event"] == event]


def exists(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    with suppress(FileNotFoundError, ProcessLookupError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state not in {"Z", "X"}
    return False


@pytest.fixture(scope="module")
def template(postgres: Server) -> tuple[str, Organization]:
    """A database with one organization, of which each test has its own copy."""
    name = unique("processes").replace("-", "_")
    postgres.create(name)
    done = run("org", "create", "acme", "--json", settings={"database": postgres.url(name)})
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    return name, Organization(made["organization"]["id"], "acme", made["api_key"])


@pytest.fixture
def organization(template: tuple[str, Organization]) -> Organization:
    return template[1]


@pytest.fixture
def database(postgres: Server, template: tuple[str, Organization]) -> Iterator[str]:
    """A database of the test's own, with the organization."""
    name = postgres.fresh(template[0])
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture
def server(tmp_path: Path, database: str) -> Iterator[Processes]:
    """Started; when it is killed its children end by themselves, before the database is dropped."""
    with Processes(tmp_path / "serve", database) as running:
        yield running
    until_gone(list(running.children_seen))


def until_gone(pids: list[int], within: float = 30.0) -> None:
    """Wait for the end of processes that are nobody's children any more."""
    end = time.monotonic() + within
    while left := [pid for pid in pids if exists(pid)]:
        assert time.monotonic() < end, f"still there: {left}"
        time.sleep(0.02)
