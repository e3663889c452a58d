"""`postroom import` for real: a real export, killed, beside others, and beside servers at work."""

import asyncio
import csv
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from postroom.runtime import commanding, served
from postroom.settings import Settings, load
from tests.acceptance.beside import beside
from tests.acceptance.client import Client, make_queue
from tests.acceptance.conftest import ON_BOTH, Make
from tests.acceptance.house import DEADLINE, Organization, Place, audit, run_json, until
from tests.acceptance.load import Load
from tests.cli.shell import Background
from tests.support.importing import recounted, totals, written
from tests.support.recount import Found, Key

pytestmark = [pytest.mark.anyio, ON_BOTH]

DATA: Final = Path(__file__).parents[3] / "shared" / "data" / "slack-2016"
RECORDS: Final = 9_000
ALL_DAYS: Final = 0, 100_000
TOTALS: Final = "/v1/analytics/messagingMetrics/dailyTotals?from=2016-01-01&to=2016-12-31"


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export that takes several batches."""
    return written(tmp_path_factory.mktemp("export") / "a.ndjson", RECORDS)


@pytest.fixture(scope="module")
def expected(export: Path) -> dict[Key, Found]:
    """What it comes to."""
    return recounted(export).cells(*ALL_DAYS)


class Imports:
    """Starts imports in the background, and ends them with the test."""

    def __init__(self, place: Place, folder: Path) -> None:
        self._place = place
        self._folder = folder
        self._stack = ExitStack()
        self.running: list[Background] = []

    def start(self, path: Path) -> Background:
        """An import of an export in our own format."""
        where = {"POSTROOM_DATA" if isinstance(self._place, Path) else "POSTROOM_DATABASE": str(self._place)}
        folder = self._folder / f"import {len(self.running)}"
        started = Background(folder, ("import", "ndjson", str(path), "--json"), where)
        self._stack.callback(started.process.wait, DEADLINE)
        self._stack.callback(started.process.kill)
        self.running.append(started)
        return started

    def ended(self) -> None:
        """Wait for those that run."""
        for each in self.running:
            assert each.process.wait(DEADLINE) == 0, each.err

    def close(self) -> None:
        """End those that run."""
        self._stack.close()


@pytest.fixture
def imports(place: Place, tmp_path: Path) -> Iterator[Imports]:
    """Imports into the test's own place."""
    started = Imports(place, tmp_path)
    yield started
    started.close()


def asked(place: Place, sql: str) -> int:
    """The only number that a query answers, if need be when the others who use the database let it; or -1."""
    with beside(place) as connection:
        if isinstance(place, Path):
            connection.execute("PRAGMA busy_timeout = 60000")
        return next((int(number) for (number,) in connection.execute(sql)), -1)


async def others(place: Place) -> int:
    """How many are connected to a server's database."""
    if isinstance(place, Path):
        return 0
    return asked(
        place,
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
    )


def settings_of(place: Place) -> Settings:
    """As a command has them that is told of the place."""
    return load({"data": str(place)} if isinstance(place, Path) else {"database": place}, {}, None)


async def answered(place: Place, organization: Organization) -> dict[Key, Found]:
    """All days as they are answered."""
    async with commanding(settings_of(place)) as hub:
        return await totals(hub, organization.id)


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/slack-2016 is not here")
async def test_a_real_export(start: Make, place: Place, organization: Organization) -> None:
    """What is known of each day, and of the files, is what is answered; a second run changes nothing."""
    first = run_json("import", "slack", str(DATA / "export.zip"), data=place)["import"]
    assert (first["files"], first["bytes"], first["damaged"]) == (3, 45_115, 0)
    assert (first["by_bots"], first["by_platform"]) == (94, 11)
    assert (first["first_day"], first["last_day"]) == ("2016-01-15", "2016-03-29")
    with (DATA / "expected.csv").open() as file:
        days = {row["date"]: row for row in csv.DictReader(file)}
    async with Client(start().url, organization.key) as client:
        answer = (await client.call("GET", TOTALS)).json()
        told = answer["metrics"]
        columns = zip(
            told["dates"],
            told["totalMessagesSent"],
            told["dailyActiveUsers"],
            told["totalActiveSpaces"],
            strict=True,
        )
        for date, *numbers in columns:
            row = days.get(date, {"messages": 0, "active_people": 0, "active_spaces": 0})
            assert numbers == [int(row[name]) for name in ("messages", "active_people", "active_spaces")], (
                date
            )
        assert sum(told["sharing"]["totalFilesShared"]) == 3
        assert sum(told["sharing"]["fileShareSize"]) == 45_115
        again = run_json("import", "slack", str(DATA / "export.zip"), data=place)["import"]
        assert (again["messages"], again["duplicates"]) == (0, first["messages"])
        assert (await client.call("GET", TOTALS)).json() == answer


@pytest.mark.parametrize("at", [0, 1, RECORDS // 2, RECORDS])
async def test_killed(
    place: Place,
    organization: Organization,
    imports: Imports,
    export: Path,
    expected: dict[Key, Found],
    at: int,
) -> None:
    """At whatever point it is killed, the same command goes on, to what an undisturbed one comes to."""
    killed = imports.start(export)

    async def reached() -> int:
        return asked(place, "SELECT records FROM imports")

    await until(reached, lambda records: records >= at)
    killed.stop(signal.SIGKILL)
    await until(lambda: others(place), lambda number: number == 0)  # its last commit may still be under way
    before = await reached()
    done = run_json("import", "ndjson", str(export), data=place)["import"]
    assert done["resumed_at"] in {before, 0}
    assert asked(place, "SELECT count(*) FROM imports WHERE finished_at IS NULL") == 0
    assert await answered(place, organization) == expected
    audit(place)


async def test_several_at_once(
    place: Place, organization: Organization, imports: Imports, export: Path, tmp_path: Path
) -> None:
    """The same export twice and one that overlaps: each message is counted once."""
    text = export.read_bytes().splitlines(keepends=True)
    other = tmp_path / "b.ndjson"
    other.write_bytes(
        b"".join(text[RECORDS // 2 :] + written(tmp_path / "c", 2_000, 7).read_bytes().splitlines(True))
    )
    for path in (export, other, export):
        imports.start(path)
    imports.ended()
    counted = recounted(export, other)
    assert asked(place, "SELECT count(*) FROM activities WHERE day >= 0") == len(counted.messages)
    assert asked(place, "SELECT count(*) FROM imports WHERE finished_at IS NULL") == 0
    assert await answered(place, organization) == counted.cells(*ALL_DAYS)


async def test_beside_a_server(
    start: Make,
    organization: Organization,
    imports: Imports,
    export: Path,
    expected: dict[Key, Found],
    tmp_path: Path,
) -> None:
    """A server goes on accepting, folding and answering while two import; nothing is refused."""
    server = start({"fold_interval": 0.05})
    assert served(settings_of(server.place)) is isinstance(server.place, Path)
    query = f"{TOTALS.partition('?')[0]}?from=2023-11-01&to=2024-01-31&bots=include"
    async with Client(server.url, organization.key) as client, asyncio.TaskGroup() as tasks:
        sending = Load(server.url, organization.key, await make_queue(client), pause=0.005)
        tasks.create_task(sending.run())
        for path in (export, written(tmp_path / "b.ndjson", RECORDS // 2, 2)):
            imports.start(path)
        while any(each.process.poll() is None for each in imports.running):
            await sending.goes_on(8)
            await client.call("GET", query)
        await sending.stop()
        imports.ended()
        answer = (await client.call("GET", query)).json()["metrics"]
    assert (sending.refused, sending.unanswered, sending.cut) == ({}, 0, 0)
    counted = recounted(export, tmp_path / "b.ndjson").cells(*ALL_DAYS)
    assert await answered(server.place, organization) == counted
    assert counted != expected
    assert sum(answer["totalMessagesSent"]) == sum(counts.messages for counts, *_ in counted.values())
    audit(server.place)
