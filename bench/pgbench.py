"""The limit of accept on PostgreSQL: its own load generator, each transaction the insert of one message.

The table has the columns and the primary key of the product's, but not its index by queue; the statement is
prepared, and each commit durable.
"""

import math
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench import postgres
from tests.support.postgres import Server

TABLE = """CREATE TABLE messages (
    org_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    queue_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C",
    data BYTEA NOT NULL,
    PRIMARY KEY (org_id, id)
)"""
# The id: 13 digits of time, 8 random ones; so rows come in the order of their ids, as the product's do.
SCRIPT = """\\set random random(0, 4294967295)
INSERT INTO messages (org_id, id, queue_id, name, data) VALUES (
    :org_id,
    to_hex((extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
        || lpad(to_hex(:random::bigint), 8, '0'),
    :queue_id, NULL, :data
);
"""
GIVEN = {"org_id": "o" * 21, "queue_id": "q" * 21}
WITHIN = 120.0  # seconds beyond those that it runs


class Result(NamedTuple):
    """Transactions a second, and their mean latency in ms."""

    rate: float
    latency: float


class Pgbench:
    """Runs on a database of its own."""

    def __init__(self, url: str, data: str, script: Path) -> None:
        self._url, self._password = postgres.apart(url)
        self._data = data
        self._script = script

    def run(self, connections: int, seconds: float) -> Result:
        """Insert for so long, in whole seconds; CalledProcessError or OSError where it fails."""
        whole = math.ceil(seconds)
        threads = min(connections, len(os.sched_getaffinity(0)))
        given = [f"--define={name}={value}" for name, value in (*GIVEN.items(), ("data", self._data))]
        sizes = f"--client={connections}", f"--jobs={threads}", f"--time={whole}"
        done = subprocess.run(
            [
                *(str(Server.program("pgbench")), "--no-vacuum", "--protocol=prepared", *sizes, *given),
                *(f"--file={self._script}", self._url),
            ],
            env={"PATH": os.defpath, "LC_ALL": "C", "PGPASSWORD": self._password},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=whole + WITHIN,
        )
        return Result(_number("tps = ", done.stdout), _number("latency average = ", done.stdout))


@contextmanager
def ready(server: postgres.Postgres, data: str) -> Iterator[Pgbench]:
    """The limit for messages with this data."""
    with server.fresh() as url, tempfile.TemporaryDirectory(prefix="postroom-bench-") as folder:
        postgres.run(url, TABLE)
        script = Path(folder) / "insert.sql"
        script.write_text(SCRIPT)
        yield Pgbench(url, data, script)


def _number(name: str, printed: str) -> float:
    found = re.search(re.escape(name) + r"([\d.]+)", printed)
    if found is None:
        raise OSError(f"pgbench did not say {name.strip()}: {printed[-500:]}")
    return float(found[1])
