"""Tables become distributed and reference tables.

Here with a stand-in for Citus (tests/support/cluster.py); the real cluster is tried elsewhere.
"""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest
from anyio.to_thread import run_sync

from postroom.domain.clock import MINUTE, system_clock
from postroom.domain.errors import StoreError
from postroom.store import citus, drivers, postgres_schema
from postroom.store.steps import known
from tests.support.cluster import calls, fail_at, foreign_keys, offer_citus, places
from tests.support.home import PostgresHome, SqliteHome
from tests.support.hub import opened, place
from tests.support.postgres import Server
from tests.support.writing import pooled

STATEMENTS = [postgres_schema.translation(step.sql) for step in known()]
SMALL = {
    "api_keys",
    "copies",
    "listeners",
    "live_periods",
    "live_sources",
    "migrations",
    "organizations",
    "processes",
    "queues",
    "removals",
    "schemas",
    "series",
    "slots",
    "sources",
}
# Small tables that the first migration does not make; of the big ones it makes the first seven.
LATER = {"series", "slots", "copies", "sources", "live_sources", "live_periods"}


@pytest.fixture
def cluster(postgresql_home: PostgresHome) -> PostgresHome:
    """A migrated database in which Citus could be had."""
    offer_citus(postgresql_home.server, postgresql_home.name)
    return postgresql_home


@pytest.fixture
def empty(postgres: Server) -> Iterator[str]:
    """A database without anything, in which Citus could be had."""
    name = "empty_cluster"
    postgres.create(name)
    offer_citus(postgres, name)
    yield name
    postgres.drop(name)


def distribute(address: str) -> list[str]:
    """The tables that were distributed."""
    done: list[str] = []
    asyncio.run(drivers.distribute(address, system_clock, done.append))
    return done


def complete(server: Server, name: str) -> None:
    """Every table is where it belongs, all keys are there, and nothing is left on the coordinator."""
    found = places(server, name)
    assert {table for table, (column, _) in found.items() if column == ""} == SMALL
    big = {table: found[table] for table in citus.BIG}
    assert found.keys() == SMALL | big.keys()
    assert {column for column, _ in big.values()} == {"org_id"}
    assert len({group for _, group in big.values()}) == 1
    with_rows = [f"truncated {table}" for table in found if rows(server, name, table)]
    assert with_rows
    assert set(with_rows) <= set(calls(server, name))


def rows(server: Server, name: str, table: str) -> list[tuple[object, ...]]:
    """What is in a table, in some order."""
    return sorted(server.rows(name, f'SELECT * FROM "{table}"'), key=repr)


async def fill(home: PostgresHome) -> None:
    """Messages, some of which are delivered."""
    async with opened(home) as hub:
        here = await place(hub)
        listener = await here.listener()
        await here.send_many(5)
        await here.try_all(listener)
        await here.send()


def test_with_data(cluster: PostgresHome) -> None:
    """All rows and foreign keys stay; small tables are on every node, big ones distributed together."""
    server, name = cluster.server, cluster.name
    asyncio.run(fill(cluster))
    keys = foreign_keys(server, name)
    before = {table: rows(server, name, table) for table in (*SMALL, *citus.BIG)}
    assert set(distribute(cluster.address)) == SMALL | set(citus.BIG)
    complete(server, name)
    assert foreign_keys(server, name) == keys
    assert {table: rows(server, name, table) for table in before} == before
    assert calls(server, name)[0] == "reference migrations"


def test_work_goes_on(cluster: PostgresHome) -> None:
    """A hub works on the distributed database, and deleting a message takes what belongs to it along."""
    distribute(cluster.address)

    async def work() -> None:
        async with opened(cluster) as hub:
            here = await place(hub)
            listener = await here.listener()
            first, *_ = await here.send_many(5)
            await here.try_all(listener)
            await hub.messages.delete(here.org_id, here.queue_id, first)
            assert await hub.audit.differences() == []

    asyncio.run(work())
    for table in ("messages", "deliveries", "attempts"):
        assert cluster.rows(f"SELECT count(*) FROM {table}") == [(4,)]


@pytest.mark.anyio
@pytest.mark.parametrize("citus_is_there", [True, False])
async def test_plans(cluster: PostgresHome, citus_is_there: bool) -> None:
    """Citus is always given the values of a statement; without it a statement's plan is made once."""
    if citus_is_there:
        await run_sync(distribute, cluster.address)
    async with pooled(cluster, 3) as database:
        for _ in range(2):
            connections = [await database._connections.acquire() for _ in range(3)]
            modes = {await each.fetchval("SHOW plan_cache_mode") for each in connections}
            assert modes == {"force_custom_plan" if citus_is_there else "force_generic_plan"}
            for each in connections:
                database._connections.discard(each, with_others=False)


def test_again(cluster: PostgresHome) -> None:
    """A second time there is nothing to do, also beside a process that serves."""
    assert distribute(cluster.address)
    asked = calls(cluster.server, cluster.name)
    serving(cluster, system_clock() + MINUTE)
    assert distribute(cluster.address) == []
    again = calls(cluster.server, cluster.name)[len(asked) :]
    assert {call.split()[0] for call in again} <= {"truncated"}


def test_an_empty_database(postgres: Server, empty: str) -> None:
    """The tables are made first."""
    assert distribute(postgres.url(empty))
    complete(postgres, empty)
    assert foreign_keys(postgres, empty)


@pytest.mark.parametrize("table", ["migrations", "slots", "messages", "deliveries", "usage_totals"])
@pytest.mark.parametrize("by", ["distribute", "migrate"])
def test_interrupted(cluster: PostgresHome, table: str, by: str) -> None:
    """Wherever it fails, the next run finishes; so does a process that starts, before anything else."""
    server, name = cluster.server, cluster.name
    asyncio.run(fill(cluster))
    keys = foreign_keys(server, name)
    fail_at(server, name, table)
    with pytest.raises(StoreError, match="a node is out of reach"):
        distribute(cluster.address)
    begun = table != "migrations"
    assert (foreign_keys(server, name) != keys) == begun
    assert ("migrations" in places(server, name)) == begun
    fail_at(server, name, "")
    if by == "distribute":
        distribute(cluster.address)
    else:
        asyncio.run(drivers.migrate(cluster.address, system_clock))
    if begun or by == "distribute":
        complete(server, name)
    else:
        assert places(server, name) == {}
    assert foreign_keys(server, name) == keys


def serving(home: PostgresHome, until: int) -> None:
    """A process is at work up to this time, ms."""
    home.rows("INSERT INTO processes (id, expires_at) VALUES ('server', $1)", until)


def test_refused_beside_a_process(cluster: PostgresHome) -> None:
    """Whoever serves would write between two steps; one whose time has passed is gone."""
    serving(cluster, system_clock() + MINUTE)
    with pytest.raises(StoreError, match=r"in use.*stop all of them"):
        distribute(cluster.address)
    assert places(cluster.server, cluster.name) == {}
    cluster.rows("UPDATE processes SET expires_at = $1", system_clock() - 1)
    assert distribute(cluster.address)


def test_refused_beside_a_command(cluster: PostgresHome) -> None:
    """A command that writes holds a series of totals."""
    cluster.rows(
        "INSERT INTO series (number, holder, expires_at) VALUES (0, 'command', $1)", system_clock() + MINUTE
    )
    with pytest.raises(StoreError, match="in use"):
        distribute(cluster.address)
    cluster.rows("UPDATE series SET holder = NULL")
    assert distribute(cluster.address)


def test_distributed_in_another_way(cluster: PostgresHome) -> None:
    """What somebody distributed otherwise is not touched, and neither is anything else."""
    cluster.rows("CREATE EXTENSION citus")
    cluster.rows("SELECT create_distributed_table('liveness', 'listener_id', colocate_with => 'none')")
    with pytest.raises(
        StoreError, match=r"liveness is distributed already.*undistribute_table\('liveness'\)"
    ):
        distribute(cluster.address)
    assert places(cluster.server, cluster.name).keys() == {"liveness"}


def test_without_citus(postgresql_home: PostgresHome) -> None:
    """It is said what to install; nothing is changed."""
    with pytest.raises(StoreError, match=r"install Citus.*shared_preload_libraries"):
        distribute(postgresql_home.address)


def test_a_file(sqlite_home: SqliteHome) -> None:
    """The embedded database has one node."""
    with pytest.raises(StoreError, match=r"cannot be distributed.*--database"):
        distribute(sqlite_home.address)


def test_tables_of_a_later_version(postgres: Server, empty: str) -> None:
    """The migrations that a distributed database lacks run on it, and their tables find their places."""
    asyncio.run(_distribute_the_first(postgres.url(empty)))
    assert places(postgres, empty).keys() == SMALL - LATER | set(citus.BIG[:7])
    applied = asyncio.run(drivers.migrate(postgres.url(empty), system_clock))
    assert [step.number for step in applied] == [step.number for step in known()[1:]]
    complete(postgres, empty)
    assert calls(postgres, empty).count("reference slots") == 1


async def _distribute_the_first(address: str) -> None:
    """As a version would have left it that knew one migration only."""
    connection = await asyncpg.connect(address)
    try:
        await citus.enable(connection)
        await postgres_schema._apply(connection, known()[0], 1, distributed=False)
        schema = await citus.schema_of(connection, STATEMENTS[:1])
        await citus.spread(connection, schema, lambda _: None, alone=False)
    finally:
        await connection.close()


def test_a_table_with_foreign_keys(cluster: PostgresHome) -> None:
    """A later table is made without its foreign keys, and gets them when it is where it belongs."""
    distribute(cluster.address)
    later = """
        CREATE TABLE notes (
            org_id TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
            queue_id TEXT COLLATE "C" NOT NULL,
            PRIMARY KEY (org_id, queue_id),
            FOREIGN KEY (org_id, queue_id) REFERENCES queues (org_id, id) ON DELETE CASCADE
        );
        ALTER TABLE listeners ADD COLUMN made_by TEXT COLLATE "C" REFERENCES organizations (id);
    """
    keys = foreign_keys(cluster.server, cluster.name)

    async def work() -> None:
        connection = await asyncpg.connect(cluster.address)
        try:
            with pytest.raises(asyncpg.PostgresError, match="cannot create foreign key constraint"):
                await connection.execute(later)
            await connection.execute(citus.without_references(later))
            schema = await citus.schema_of(connection, [*STATEMENTS, later])
            await citus.spread(connection, schema, lambda _: None, alone=False)
        finally:
            await connection.close()

    asyncio.run(work())
    assert places(cluster.server, cluster.name)["notes"][0] == ""
    assert foreign_keys(cluster.server, cluster.name) - keys == {
        ("notes", "FOREIGN KEY (org_id) REFERENCES organizations(id)"),
        ("notes", "FOREIGN KEY (org_id, queue_id) REFERENCES queues(org_id, id) ON DELETE CASCADE"),
        ("listeners", "FOREIGN KEY (made_by) REFERENCES organizations(id)"),
    }


def test_every_reference_is_found() -> None:
    """The foreign keys of all migrations are taken out, however they are written, and nothing else."""
    for sql in STATEMENTS:
        assert "REFERENCES" not in citus.without_references(sql)
        assert "FOREIGN KEY" not in citus.without_references(sql)
        assert citus.without_references(sql).count("NOT NULL") == sql.count("NOT NULL")
        assert citus.without_references(sql).count("PRIMARY KEY") == sql.count("PRIMARY KEY")


def test_the_stand_in_refuses(cluster: PostgresHome) -> None:
    """As Citus does: a foreign key to a table that is not distributed, a unique key without the column."""
    cluster.rows("CREATE EXTENSION citus")
    for refused in (
        "SELECT create_distributed_table('attempts', 'org_id', colocate_with => 'none')",
        "SELECT create_reference_table('organizations')",
        "SELECT create_distributed_table('liveness', 'success_count', colocate_with => 'none')",
        "SELECT truncate_local_data_after_distributing_table('deliveries')",
    ):
        with pytest.raises(asyncpg.PostgresError):
            cluster.rows(refused)
    assert places(cluster.server, cluster.name) == {}
