"""A rolling upgrade: a version that brings a migration serves beside the one before it."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from anyio.to_thread import run_sync

import postroom
from tests.acceptance.beside import rows
from tests.acceptance.books import arrived, closed, furnish, shared
from tests.acceptance.client import Client, Queue, make_queue, send
from tests.acceptance.conftest import ON_POSTGRESQL, Make
from tests.acceptance.house import DEADLINE, Organization, Postroom, Url, audit, environment, run
from tests.acceptance.load import Load
from tests.acceptance.receiver import Receiver

pytestmark = [pytest.mark.anyio, ON_POSTGRESQL]

AT_ONCE: Final = 4
SETTINGS: Final = {
    "lease_time": 20,
    "listener_concurrency": AT_ONCE,
    "schedule": "0,0.05,0.1,0.1,0.1,0.1",
}
OLD: Final = max(int(file.name[:4]) for file in Path(postroom.__path__[0], "store/migrations").glob("*.sql"))
BESIDE: Final = f"-- Programs of schema {OLD:04} can work beside it.\n"
# It needs the tables that every commit needs, in the opposite order, so that they stand in each other's way.
MORE: Final = """
ALTER TABLE usage_totals ADD COLUMN weight INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN weight INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN weight INTEGER;
ALTER TABLE listeners ADD COLUMN colour TEXT;
ALTER TABLE queues ADD COLUMN colour TEXT;
CREATE TABLE weights (org_id TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (org_id, id)) STRICT, WITHOUT ROWID;
"""


class NextVersion:
    """The installed program with one more migration, in a folder of its own."""

    def __init__(self, folder: Path, migration: str) -> None:
        self.folder = folder
        package = Path(shutil.copytree(postroom.__path__[0], folder / "postroom"))
        (package / f"store/migrations/{OLD + 1:04}_more.sql").write_text(f"-- More.\n{migration}")
        (package / "__init__.py").write_text('__version__ = "99.0.0"\n')

    @property
    def words(self) -> list[str]:
        """In place of the command `postroom`."""
        return [sys.executable, "-m", "postroom"]

    def environment(self, settings: dict[str, object]) -> dict[str, str]:
        """So that Python finds this version first."""
        found = environment(settings)
        paths = [str(self.folder), *filter(None, [found.get("PYTHONPATH")])]
        return {**found, "PYTHONPATH": os.pathsep.join(paths)}

    def audit(self, database: Url) -> None:
        """`postroom audit`, by this version."""
        done = self.run(database, "audit", "--json")
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    def run(self, database: Url, *words: str) -> "subprocess.CompletedProcess[str]":
        """A command of this version."""
        return subprocess.run(
            [*self.words, *words],
            env=self.environment({"database": database}),
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )


class Next(Postroom):
    """A server of the next version."""

    def __init__(self, version: NextVersion, database: Url) -> None:
        super().__init__(version.folder / "server", {**SETTINGS, "database": database})
        self.version = version

    def _words(self) -> list[str]:
        return [*self.version.words, *super()._words()[1:]]

    def _environment(self) -> dict[str, str]:
        return self.version.environment(self.settings)


@pytest.fixture
def running() -> Iterator[ExitStack]:
    """Servers that end with the test."""
    with ExitStack() as stack:
        yield stack


class Traffic:
    """Load on servers that come and go."""

    def __init__(self, group: asyncio.TaskGroup, organization: Organization, queue: Queue) -> None:
        self._group, self._organization, self._queue = group, organization, queue
        self._loads: dict[Postroom, Load] = {}
        self.accepted: list[str] = []

    def begin(self, *servers: Postroom) -> None:
        for server in servers:
            load = self._loads[server] = Load(server.url, self._organization.key, self._queue, pause=0.1)
            self._group.create_task(load.run())

    async def goes_on(self) -> None:
        """Wait until each server has accepted more."""
        for load in self._loads.values():
            await load.goes_on(20)

    async def end(self, *servers: Postroom) -> None:
        """Nothing was refused, and nothing left without an answer."""
        for load in [self._loads.pop(server) for server in servers]:
            await load.stop()
            assert (dict(load.refused), load.unanswered, load.cut) == ({}, 0, 0)
            self.accepted += load.accepted


async def test_a_rolling_upgrade(
    start: Make,
    running: ExitStack,
    organization: Organization,
    database: Url,
    tmp_path: Path,
    receiver: Receiver,
) -> None:
    """One version migrates while the other serves; both serve on, and are replaced one after the other."""
    old = start(SETTINGS), start(SETTINGS)
    version = NextVersion(tmp_path / "next", BESIDE + MORE)
    new = Next(version, database), Next(version, database)
    async with Client(old[0].url, organization.key) as client:
        queue, listeners = await furnish(client, receiver)
    async with asyncio.TaskGroup() as group:
        traffic = Traffic(group, organization, queue)
        await upgrade(old, new, traffic, running)
    assert newest(database) == (OLD + 1, OLD)
    assert ['"version": "99.0.0"' in server.stderr for server in (*old, *new)] == [False, False, True, True]
    async with Client(new[0].url, organization.key) as client:
        stored = await closed(client, queue, listeners, traffic.accepted)
    arrived(receiver, stored, repeated=0)
    for server in (old[0], *new):
        assert await run_sync(server.terminate) == 0
        assert "Traceback" not in server.stderr
    await run_sync(audit, database)
    await run_sync(version.audit, database)


async def upgrade(
    old: tuple[Postroom, Postroom], new: tuple[Postroom, Postroom], traffic: Traffic, running: ExitStack
) -> None:
    """Start a new one beside two old ones, an old one once more, and a new one in place of the other."""
    traffic.begin(*old)
    await traffic.goes_on()
    traffic.begin(await run_sync(running.enter_context, new[0]))
    await traffic.goes_on()
    await shared(new[0].place, 3)
    await traffic.end(old[0])
    assert await run_sync(old[0].terminate) == 0
    traffic.begin(await run_sync(old[0].start))
    await traffic.goes_on()
    await traffic.end(old[1])
    assert await run_sync(old[1].terminate) == 0
    traffic.begin(await run_sync(running.enter_context, new[1]))
    await traffic.goes_on()
    await traffic.end(old[0], *new)


def newest(database: Url) -> tuple[int, int]:
    """The newest migration, and the oldest schema whose programs can work beside it."""
    ((number, oldest),) = rows(database, "SELECT number, oldest FROM migrations ORDER BY number DESC LIMIT 1")
    return number, oldest


async def test_an_upgrade_that_the_old_version_cannot_follow(
    start: Make,
    running: ExitStack,
    organization: Organization,
    database: Url,
    tmp_path: Path,
) -> None:
    """Without that line in the migration, each refuses the other's database, with a sentence."""
    old = start(SETTINGS)
    version = NextVersion(tmp_path / "next", MORE)
    for words in (["serve", "--port", "0"], ["migrate"]):
        refused = await run_sync(partial(version.run, database, *words))
        assert (refused.returncode, refused.stdout) == (1, "")
        assert re.search(r"^Error: the database is in use .* stop all of them first", refused.stderr, re.M)
    assert newest(database)[0] == OLD
    assert await run_sync(old.terminate) == 0
    new = await run_sync(running.enter_context, Next(version, database))
    assert newest(database) == (OLD + 1, OLD + 1)
    for words in (["serve", "--port", "0"], ["audit"], ["org", "create", "other"]):
        refused = await run_sync(partial(run, *words, data=database))
        assert (refused.returncode, refused.stdout) == (1, "")
        sentence = rf"Error: .* newer Postroom \(schema {OLD + 1}, this version knows {OLD}\); .*\.\n"
        assert re.fullmatch(sentence, refused.stderr)
    async with Client(new.url, organization.key) as client:
        await send(client, await make_queue(client))
    assert await run_sync(new.terminate) == 0
    await run_sync(version.audit, database)
