"""The named queries: all used, all understood by both databases, all within one organization."""

import ast
import re
from collections.abc import Iterator
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import Final

import apsw
import asyncpg
import pytest

import postroom.store
from postroom.store import queries
from postroom.store.batches import Part, batched, joined, table_of_insert
from postroom.store.citus import BIG
from tests.support.home import SqliteHome
from tests.support.postgres import Server, wait

# They are about all organizations; the last column says when each is asked.
ACROSS: Final = {
    "list_liveness",  # to probe: every few seconds
    "list_liveness_like",  # who is dead: when a process looks everywhere
    "waiting_listeners",  # what no news told of: every few seconds
    "unfinished_listeners",  # whom to probe often
    "last_segment_start",  # when a process starts
    "last_event_time",  # when a process starts
    "list_dirty_organizations",  # what is to be folded: every few seconds
}
# Those that PostgreSQL needs in other words, because others write there at the same time.
LOCKING: Final = {
    "present_listener",
    "share_queue",
    "unchanged_queue",
    "hold_queue",
    "hold_api_key",
    "hold_live_source",
    "present_live_source",
    "hold_series",
    "hold_slots",
    "hold_taking",
}
# Those that it would plan badly while it knows nothing of the tables.
LATERAL: Final = {"newest_of_each_series", "segments_before"}
ONLY_POSTGRES: Final = {"begun_in_time", "database_time", "settled_time"}
# Their number of an attempt, or of bytes, is compared with one of 32 bits.
NARROW: Final = {"retry_delivery", "end_delivery", "due_deliveries"}
RUNS: Final = {"fetch", "fetch_many", "require", "execute", "execute_many"}
FOR_MANY: Final = {"fetch_many", "require", "execute", "execute_many"}
QUERIES: Final = queries.load("sqlite")
ON_SERVER: Final = queries.load("postgres")


def connected(home: SqliteHome) -> "closing[apsw.Connection]":
    """A connection to a file with this version's tables."""
    return closing(apsw.Connection(str(home.file)))


def parameters(sql: str) -> set[int]:
    """The numbers of the parameters."""
    return {int(number) for number in re.findall(r"\$(\d+)", sql)}


def prepared(connection: apsw.Connection, prefix: str, sql: str) -> list[tuple[object, ...]]:
    """What SQLite says to `prefix sql`, with nothing for each parameter."""
    numbered = re.sub(r"\$(\d+)", r"?\1", sql)
    return list(connection.execute(f"{prefix} {numbered}", (None,) * len(parameters(sql))))


def tables_by_alias(sql: str) -> dict[str, str]:
    """The tables that a query reads or changes, by the name that its plan uses."""
    found = re.findall(r"\b(?:FROM|JOIN|UPDATE)\s+(\w+)(?:\s+AS\s+(\w+))?", sql)
    return {alias or table: table for table, alias in found}


def sources() -> Iterator[ast.AST]:
    """Every node of the package's source."""
    for file in sorted(Path(postroom.store.__path__[0]).glob("*.py")):
        yield from ast.walk(ast.parse(file.read_text()))


def asked(methods: set[str]) -> set[str]:
    """The queries that the code names where it calls one of these methods."""
    return {
        str(node.args[0].value)
        for node in sources()
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in methods
        and isinstance(node.args[0], ast.Constant)
        and str(node.args[0].value).islower()
    }


def test_every_query_named_in_the_code_is_there() -> None:
    """A misspelt name would otherwise show only when it runs."""
    named = {name for name in asked(RUNS) if re.fullmatch("[a-z_]+", name)}
    assert named <= ON_SERVER.keys()
    assert len(named) > 60


def test_every_query_is_used() -> None:
    """What nobody asks for is not kept."""
    named = {node.value for node in sources() if isinstance(node, ast.Constant)}
    assert ON_SERVER.keys() - named == set()


def test_the_dialects_differ_where_they_must() -> None:
    """PostgreSQL is asked the same in the same words, but for locks, and for its time."""
    files = [f for f in resources.files("postroom.store").joinpath("sql").iterdir() if f.name.count(".") > 1]
    assert {f.name.split(".")[1] for f in files} == {"postgres"}
    overridden = {name for f in files for name in re.findall(r"^-- ([a-z_]+): ", f.read_text(), re.MULTILINE)}
    assert overridden == LOCKING | LATERAL | ONLY_POSTGRES
    assert ON_SERVER.keys() - QUERIES.keys() == ONLY_POSTGRES
    for name in LOCKING:
        said, _, lock = ON_SERVER[name].rpartition(" FOR ")
        assert said == QUERIES[name]
        assert lock.split(" OF")[0] in {"SHARE", "KEY SHARE", "UPDATE"}


def test_a_choice_of_some_rows_is_made_once() -> None:
    """PostgreSQL never gets an IN (SELECT ... LIMIT), which it may run again for each row."""
    chosen = [
        name
        for name, sql in QUERIES.items()
        if re.search(r"\bIN \([^()]*\bSELECT\b.*\bLIMIT\b", sql, re.DOTALL)
    ]
    assert len(chosen) >= 5
    for name in chosen:
        assert "= ANY (ARRAY (" in ON_SERVER[name]
        assert not re.search(r"\bIN \(", ON_SERVER[name])


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_every_query_prepares(sqlite_home: SqliteHome, name: str) -> None:
    """Against the schema of this version, with parameters numbered from 1 without a gap."""
    numbers = parameters(QUERIES[name])
    assert numbers == set(range(1, len(numbers) + 1))
    with connected(sqlite_home) as connection:
        assert prepared(connection, "EXPLAIN", QUERIES[name])


def prepare(server: Server, template: str, statements: dict[str, str]) -> dict[str, list[str]]:
    """The types of the parameters of each statement, as the server tells them."""

    async def ask() -> dict[str, list[str]]:
        connection = await asyncpg.connect(server.url(template), ssl=False)
        try:
            types = {}
            for name, sql in statements.items():
                prepared = await connection.prepare(sql)
                types[name] = [each.name for each in prepared.get_parameters()]
            return types
        finally:
            await connection.close()

    return wait(ask())


@pytest.fixture(scope="module")
def types(postgres: Server, template: str) -> dict[str, list[str]]:
    """The types of every query's parameters."""
    return prepare(postgres, template, ON_SERVER)


def test_every_query_prepares_on_a_server(types: dict[str, list[str]]) -> None:
    """Against the schema of this version, each parameter of a type that is stored, or a small number."""
    assert {name for name, of_one in types.items() if "int4" in of_one} == NARROW
    assert {kind for of_one in types.values() for kind in of_one} == {"text", "int4", "int8", "bytea"}
    assert {name: len(of_one) for name, of_one in types.items()} == {
        name: len(parameters(sql)) for name, sql in ON_SERVER.items()
    }


def test_every_query_for_many_rows_prepares_on_a_server(
    postgres: Server, template: str, types: dict[str, list[str]]
) -> None:
    """What the code runs for many rows, as the one statement that it becomes: arrays of the same types."""
    names = asked(FOR_MANY) & ON_SERVER.keys()
    assert len(names) > 25
    found = prepare(postgres, template, {name: batched(ON_SERVER[name], types[name]) for name in names})
    assert found == {name: [f"{kind}[]" for kind in types[name]] for name in names}


def test_all_inserts_prepare_together(postgres: Server, template: str, types: dict[str, list[str]]) -> None:
    """One statement for inserts into as many tables as there are, and for all that is ever required of one.

    Their parameters come one after another, in the types that the queries have alone.
    """
    inserts = {table: name for name, sql in ON_SERVER.items() if (table := table_of_insert(sql))}
    assert {"messages", "deliveries", "attempts", "usage_events", "usage_totals"} <= inserts.keys()
    required = sorted(asked({"require"}))
    assert {"begun_in_time", "hold_series", "unchanged_queue", "end_delivery"} <= set(required)
    for many in (False, True):
        text = joined(
            *(
                [Part(ON_SERVER[name], types[name], many) for name in names]
                for names in (inserts.values(), required)
            )
        )
        found = prepare(postgres, template, {"all": text})["all"]
        names = [*required, *inserts.values()]
        assert found == [f"{kind}[]" if many else kind for name in names for kind in types[name]]


@pytest.mark.parametrize("name", sorted(QUERIES.keys() - ACROSS))
def test_big_tables_are_reached_within_one_organization(sqlite_home: SqliteHome, name: str) -> None:
    """Each step that reads a big table searches a key by org_id first; none walks through all of it."""
    sql = QUERIES[name]
    tables = tables_by_alias(sql)
    with connected(sqlite_home) as connection:
        details = [str(row[3]) for row in prepared(connection, "EXPLAIN QUERY PLAN", sql)]
    for detail in details:
        step = re.match(r"(SEARCH|SCAN) (\w+)", detail)
        if step and tables.get(step[2]) in BIG:
            assert step[1] == "SEARCH", detail
            assert "(org_id=?" in detail, detail
            assert "AUTOMATIC" not in detail, detail


@pytest.mark.parametrize("name", sorted(ACROSS))
def test_the_exceptions_still_are_ones(sqlite_home: SqliteHome, name: str) -> None:
    """A query that no longer crosses organizations leaves the list."""
    with connected(sqlite_home) as connection:
        details = [str(row[3]) for row in prepared(connection, "EXPLAIN QUERY PLAN", QUERIES[name])]
    assert any(re.match("SCAN|SEARCH", detail) and "(org_id=?" not in detail for detail in details)


@pytest.mark.parametrize("table", sorted(BIG))
def test_org_id_leads_every_key_of_a_big_table(sqlite_home: SqliteHome, table: str) -> None:
    """Primary keys, unique keys, indices and references: so the table can be distributed by it.

    One index does not, which only finds the latest time.
    """
    with connected(sqlite_home) as connection:
        indices = [str(row[1]) for row in connection.execute(f"PRAGMA index_list({table})")]
        firsts = {i: connection.execute(f"PRAGMA index_info({i})").fetchall()[0][2] for i in indices}
        references = list(connection.execute(f"PRAGMA foreign_key_list({table})"))
    assert firsts.pop("usage_totals_by_time", "started_at") == "started_at"
    assert set(firsts.values()) == {"org_id"}
    assert {row[3] for row in references if row[1] == 0} <= {"org_id"}


def test_every_table_is_strict(sqlite_home: SqliteHome) -> None:
    """A column holds what it is declared to hold."""
    with connected(sqlite_home) as connection:
        tables = list(connection.execute("SELECT name, strict FROM pragma_table_list WHERE schema = 'main'"))
    assert {name: strict for name, strict in tables if not name.startswith("sqlite_")} == {
        name: 1 for name, _ in tables if not name.startswith("sqlite_")
    }
    assert {name for name, _ in tables} >= set(BIG)
