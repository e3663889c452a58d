"""What Citus asks of the schema and of the statements, so that distribution is the operator's choice.

The catalogue is that of a real PostgreSQL, and statements are read by PostgreSQL's own parser (pglast). The
real cluster is tried elsewhere: there is no package of Citus for the machines that these tests run on.
"""

import ast
import re
from pathlib import Path
from typing import Final

import asyncpg
import pytest

import postroom.store
from postroom.store import queries
from postroom.store.batches import batched
from postroom.store.citus import BIG
from tests.support.postgres import Server, wait
from tests.support.sharding import across, complaints, needs_values

QUERIES: Final = queries.load("postgres")
# They read, each shard for itself, what all organizations have.
ACROSS: Final = {
    "last_event_time",  # when a process starts: no id is minted below those there are
    "last_segment_start",
    "list_dirty_organizations",  # what is to be folded
    "list_liveness",  # when a process takes slots
    "list_liveness_like",
    "unfinished_listeners",  # whom to probe often
    "waiting_listeners",  # the search for what no news told of
}
# Citus finds their shards by the values of their parameters, and refuses a plan that is to hold for any.
BY_VALUES: Final = {
    "activity_stamp",
    "count_pending",
    "delete_some_messages_of_queue",
    "delete_some_usage_events",
    "discard_some_deliveries",
    "due_deliveries",
    "hasten_deliveries",
    "last_event_time",
    "next_day",
    "list_dirty_organizations",
    "list_liveness_like",
    "list_messages",
    "list_rare_usage_events",
    "list_usage_events",
    "newest_of_each_series",
    "newest_segment",
    "segments_before",
    "some_old_messages",
    "thin_some_totals",
}
# Tables that have organizations but stay small: what is edited one by one.
SMALL: Final = {
    "api_keys",
    "listeners",
    "live_periods",
    "live_sources",
    "queues",
    "removals",
    "schemas",
    "sources",
}
FOR_MANY: Final = {"execute", "execute_many", "fetch_many", "require"}


def used_for_many() -> set[str]:
    """The queries that the store runs as one statement for many rows, be it for one."""
    return {
        str(node.args[0].value)
        for file in Path(postroom.store.__path__[0]).glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in FOR_MANY
        and isinstance(node.args[0], ast.Constant)
        and node.args[0].value in QUERIES
    }


MANY: Final = used_for_many()


@pytest.fixture(scope="module")
def types(postgres: Server, template: str) -> dict[str, list[str]]:
    """The types of every query's parameters, as PostgreSQL tells them."""

    async def ask() -> dict[str, list[str]]:
        connection = await asyncpg.connect(postgres.url(template))
        try:
            statements = {name: await connection.prepare(sql) for name, sql in QUERIES.items()}
            return {
                name: [each.name for each in statement.get_parameters()]
                for name, statement in statements.items()
            }
        finally:
            await connection.close()

    return wait(ask())


def keys(postgres: Server, template: str, kind: str, where: str = "TRUE") -> list[tuple[str, str, list[str]]]:
    """Constraints of a kind: table, name, and the columns in order."""
    sql = f"""
        SELECT c.conrelid::regclass::text, c.conname, (
            SELECT array_agg(a.attname::text ORDER BY k.place)
            FROM unnest(c.conkey) WITH ORDINALITY AS k (number, place)
            JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.number
        )
        FROM pg_constraint AS c WHERE c.contype = '{kind}' AND {where}
    """
    return [(table, name, columns) for table, name, columns in postgres.rows(template, sql)]


def test_every_table_of_organizations_has_its_place(postgres: Server, template: str) -> None:
    """Whoever adds a table with org_id says whether it is big; the others are small."""
    sql = """
        SELECT c.relname FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
        WHERE a.attname = 'org_id' AND c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
    """
    assert {table for (table,) in postgres.rows(template, sql)} == SMALL | set(BIG)


def test_unique_keys_of_big_tables(postgres: Server, template: str) -> None:
    """Primary keys, unique keys and unique indices begin with org_id: a shard can hold them by itself."""
    sql = """
        SELECT i.indrelid::regclass::text, (
            SELECT attname FROM pg_attribute WHERE attrelid = i.indrelid AND attnum = i.indkey[0]
        )
        FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
        WHERE i.indisunique AND c.relnamespace = 'public'::regnamespace
    """
    firsts = [(table, column) for table, column in postgres.rows(template, sql) if table in BIG]
    assert {table for table, _ in firsts} == set(BIG)
    assert {column for _, column in firsts} == {"org_id"}
    assert {table for table, _, _ in keys(postgres, template, "p")} >= set(BIG)


def test_org_id_is_given_and_of_one_type(postgres: Server, template: str) -> None:
    """Big tables are colocated by it, so it is of one type and collation, and never null."""
    sql = """
        SELECT c.relname, a.attnotnull, a.atttypid, a.attcollation
        FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
        WHERE a.attname = 'org_id' AND c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
    """
    found = [row[1:] for row in postgres.rows(template, sql) if row[0] in BIG]
    assert len(found) == len(BIG)
    assert len(set(found)) == 1
    assert found[0][0] is True


def test_foreign_keys(postgres: Server, template: str) -> None:
    """From big to big: org_id to org_id at the same place. To a small table: any. From small to big: none."""
    sql = """
        SELECT c.conrelid::regclass::text, c.confrelid::regclass::text, (
            SELECT array_agg(a.attname::text || ' ' || b.attname::text)
            FROM unnest(c.conkey, c.confkey) AS k (mine, theirs)
            JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.mine
            JOIN pg_attribute AS b ON b.attrelid = c.confrelid AND b.attnum = k.theirs
        )
        FROM pg_constraint AS c WHERE c.contype = 'f'
    """
    found = postgres.rows(template, sql)
    of_big = {(table, target): pairs for table, target, pairs in found if table in BIG}
    assert ("attempts", "deliveries") in of_big
    for (_, target), pairs in of_big.items():
        assert target not in BIG or "org_id org_id" in pairs
    assert not [table for table, target, _ in found if table not in BIG and target in BIG]


def test_no_triggers_rules_or_sequences(postgres: Server, template: str) -> None:
    """Nothing of the schema works on one node only."""
    assert postgres.rows(template, "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal") == []
    others = "relkind IN ('S', 'v', 'm') AND relnamespace = 'public'::regnamespace"
    assert postgres.rows(template, f"SELECT relname FROM pg_class WHERE {others}") == []


@pytest.mark.parametrize("name", sorted(QUERIES.keys() - ACROSS))
def test_statements_for_one(name: str) -> None:
    """Every big table in it is restricted to one organization, the same for all."""
    assert complaints(QUERIES[name]) == []


@pytest.mark.parametrize("name", sorted(MANY))
def test_statements_for_many(name: str, types: dict[str, list[str]]) -> None:
    """The same statement for rows of several organizations joins one big table with them by org_id."""
    assert complaints(batched(QUERIES[name], types[name])) == []


def test_statements_for_many_are_found() -> None:
    """Those that write what is counted are among them."""
    assert {"insert_message", "end_delivery", "write_segment", "delete_message"} <= MANY
    assert len(MANY) > 15


@pytest.mark.parametrize("name", sorted(ACROSS))
def test_statements_for_all_organizations(name: str) -> None:
    """They read one table; what they put together is within an organization, or a highest of all."""
    assert across(QUERIES[name]) == []
    assert QUERIES[name].startswith("SELECT")


def test_statements_that_are_planned_by_values() -> None:
    """Because of these, and of all for many rows, no session with Citus is told to make plans for any."""
    assert {name for name, sql in QUERIES.items() if needs_values(sql)} == BY_VALUES


@pytest.mark.parametrize("name", sorted(MANY))
def test_statements_for_many_are_planned_by_values(name: str, types: dict[str, list[str]]) -> None:
    """Which shards they are for stands in the rows."""
    sql = batched(QUERIES[name], types[name])
    assert needs_values(sql) is not set(BIG).isdisjoint(re.findall(r"\w+", sql))


BAD: Final = {
    "SELECT data FROM messages WHERE id = $1": "not bound",
    "SELECT data FROM messages WHERE org_id = $1 OR id = $2": "not bound",
    "SELECT data FROM messages WHERE org_id <> $1": "not bound",
    "UPDATE deliveries SET state = 3 WHERE message_id = $1": "not bound",
    "DELETE FROM attempts": "not bound",
    "SELECT * FROM messages AS m JOIN deliveries AS d ON d.message_id = m.id WHERE m.org_id = $1": "bound",
    "SELECT * FROM messages AS m LEFT JOIN deliveries AS d ON d.message_id = m.id AND m.org_id = $1": "bound",
    "SELECT * FROM messages AS m LEFT JOIN deliveries AS d ON d.org_id = m.org_id AND d.org_id = $1": "bound",
    "SELECT * FROM messages AS m JOIN deliveries AS d ON d.org_id = $2 WHERE m.org_id = $1": "different",
    "SELECT id FROM messages WHERE org_id = $1 AND id IN (SELECT message_id FROM deliveries)": "not bound",
    "SELECT id FROM messages AS m WHERE org_id = $1 AND EXISTS (SELECT FROM deliveries AS d WHERE"
    " d.org_id = m.org_id)": "not bound",
    "SELECT * FROM (SELECT org_id, id FROM messages WHERE org_id = $1 LIMIT $2) AS m"
    " LEFT JOIN deliveries AS d ON d.org_id = m.org_id": "not bound",
    "INSERT INTO messages (id, org_id) VALUES ($1, 'x')": "not bound",
    "INSERT INTO messages (org_id, id) SELECT given.p2 || 'x', given.p1 FROM unnest($1::text[], $2::text[])"
    " AS given (p1, p2)": "not bound",
    "SELECT data FROM messages WHERE org_id = $1 FOR UPDATE": "locked",
    "SELECT data FROM messages AS m JOIN queues AS q ON q.org_id = m.org_id WHERE m.org_id = $1"
    " FOR SHARE OF m": "locked",
    "INSERT INTO liveness (org_id, listener_id) VALUES ($1, $2) ON CONFLICT (listener_id)"
    " DO NOTHING": "conflict",
    "INSERT INTO liveness (org_id, listener_id) VALUES ($1, $2) ON CONFLICT (org_id, listener_id)"
    " DO UPDATE SET org_id = $1": "changed",
    "UPDATE messages SET org_id = $2 WHERE org_id = $1": "changed",
    "DELETE FROM messages WHERE org_id = $1 AND random() < 0.5": "random",
    "WITH m AS (INSERT INTO messages (org_id, id) VALUES ($1, $2))"
    " INSERT INTO deliveries (org_id, message_id) VALUES ($1, $2)": "WITH",
    "SELECT m.id FROM messages AS m JOIN deliveries AS d ON d.org_id = m.org_id CROSS JOIN"
    " unnest($1::text[]) AS given (p1) WHERE m.org_id = given.p1": "several big tables",
    "SELECT t.last_at FROM usage_totals AS t CROSS JOIN unnest($1::text[]) AS given (p1) WHERE"
    " t.org_id = given.p1 AND t.started_at = (SELECT max(started_at) FROM usage_totals AS last"
    " WHERE last.org_id = given.p1)": "several big tables",
    "SELECT m.id FROM queues AS q LEFT JOIN messages AS m ON m.queue_id = q.id AND m.org_id = given.p1"
    " CROSS JOIN unnest($1::text[]) AS given (p1) WHERE q.org_id = given.p1": "outer join",
    "SELECT m.id FROM messages AS m CROSS JOIN unnest($1::text[]) AS given (p1) WHERE m.org_id = given.p1"
    " LIMIT 5": "LIMIT",
}


@pytest.mark.parametrize("sql", BAD)
def test_bad_statements_are_noticed(sql: str) -> None:
    """What Citus refuses, or would do by asking every shard for everything, is found."""
    assert any(BAD[sql] in complaint for complaint in complaints(sql)), complaints(sql)


GOOD: Final = (
    "SELECT name FROM queues WHERE id = $1 FOR UPDATE",
    "SELECT * FROM messages AS m JOIN deliveries AS d ON d.org_id = m.org_id WHERE d.org_id = $1",
    "SELECT * FROM messages AS m LEFT JOIN deliveries AS d ON d.org_id = m.org_id WHERE m.org_id = $1",
    "SELECT * FROM usage_events AS e LEFT JOIN messages AS m ON m.org_id = $1 WHERE e.org_id = $1",
    "SELECT id FROM messages WHERE org_id = $1"
    " AND id IN (SELECT message_id FROM deliveries WHERE org_id = $1)",
)


@pytest.mark.parametrize("sql", GOOD)
def test_good_statements_are_let_by(sql: str) -> None:
    """Small tables in any way, big ones within an organization."""
    assert complaints(sql) == []


BAD_ACROSS: Final = (
    "SELECT org_id FROM listener_counts GROUP BY listener_id, org_id",
    "SELECT m.org_id FROM messages AS m JOIN deliveries AS d ON d.org_id = m.org_id",
    "SELECT org_id FROM messages WHERE id IN (SELECT message_id FROM deliveries)",
    "SELECT org_id FROM messages WHERE org_id = $1",
    "SELECT org_id FROM messages FOR UPDATE",
    "SELECT DISTINCT queue_id FROM messages",
    "SELECT name FROM queues",
)


@pytest.mark.parametrize("sql", BAD_ACROSS)
def test_bad_statements_for_all_are_noticed(sql: str) -> None:
    """More than each shard can do by itself, or less than is meant."""
    assert across(sql)
