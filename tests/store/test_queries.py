"""The named queries: all used, all understood by SQLite, all within one organization."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import apsw
import pytest

import postroom.store
from postroom.store import queries
from tests.support.hub import beside

BIG: Final = {
    "usage_events",
    "usage_totals",
    "messages",
    "deliveries",
    "attempts",
    "listener_counts",
    "liveness",
}
# Read once when a process starts: what the probes found, one row for each listener of the process.
ACROSS: Final = {"list_liveness", "waiting_listeners"}
RUNS: Final = {"fetch", "fetch_many", "execute", "execute_many"}
QUERIES: Final = queries.load("sqlite")


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


def test_every_query_named_in_the_code_is_there() -> None:
    """A misspelt name would otherwise show only when it runs."""
    asked = {
        node.args[0].value
        for node in sources()
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in RUNS
        and isinstance(node.args[0], ast.Constant)
        and str(node.args[0].value).islower()
    }
    assert asked <= QUERIES.keys()
    assert len(asked) > 40


def test_every_query_is_used() -> None:
    """What nobody asks for is not kept."""
    named = {node.value for node in sources() if isinstance(node, ast.Constant)}
    assert QUERIES.keys() - named == set()


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_every_query_prepares(tmp_path: Path, name: str) -> None:
    """Against the schema of this version, with parameters numbered from 1 without a gap."""
    numbers = parameters(QUERIES[name])
    assert numbers == set(range(1, len(numbers) + 1))
    with beside(tmp_path) as connection:
        assert prepared(connection, "EXPLAIN", QUERIES[name])


@pytest.mark.parametrize("name", sorted(QUERIES.keys() - ACROSS))
def test_big_tables_are_reached_within_one_organization(tmp_path: Path, name: str) -> None:
    """Each step that reads a big table searches a key by org_id first; none walks through all of it."""
    sql = QUERIES[name]
    tables = tables_by_alias(sql)
    with beside(tmp_path) as connection:
        details = [str(row[3]) for row in prepared(connection, "EXPLAIN QUERY PLAN", sql)]
    for detail in details:
        step = re.match(r"(SEARCH|SCAN) (\w+)", detail)
        if step and tables.get(step[2]) in BIG:
            assert step[1] == "SEARCH", detail
            assert "(org_id=?" in detail, detail
            assert "AUTOMATIC" not in detail, detail


@pytest.mark.parametrize("name", sorted(ACROSS))
def test_the_exceptions_still_are_ones(tmp_path: Path, name: str) -> None:
    """A query that no longer crosses organizations leaves the list."""
    with beside(tmp_path) as connection:
        details = [str(row[3]) for row in prepared(connection, "EXPLAIN QUERY PLAN", QUERIES[name])]
    assert any(detail.startswith("SCAN") for detail in details)


@pytest.mark.parametrize("table", sorted(BIG))
def test_org_id_leads_every_key_of_a_big_table(tmp_path: Path, table: str) -> None:
    """Primary keys, unique keys, indices and references: so the table can be distributed by it."""
    with beside(tmp_path) as connection:
        indices = [str(row[1]) for row in connection.execute(f"PRAGMA index_list({table})")]
        firsts = [connection.execute(f"PRAGMA index_info({index})").fetchall()[0][2] for index in indices]
        references = list(connection.execute(f"PRAGMA foreign_key_list({table})"))
    assert firsts
    assert set(firsts) == {"org_id"}
    assert {row[3] for row in references if row[1] == 0} <= {"org_id"}


def test_every_table_is_strict(tmp_path: Path) -> None:
    """A column holds what it is declared to hold."""
    with beside(tmp_path) as connection:
        tables = list(connection.execute("SELECT name, strict FROM pragma_table_list WHERE schema = 'main'"))
    assert {name: strict for name, strict in tables if not name.startswith("sqlite_")} == {
        name: 1 for name, _ in tables if not name.startswith("sqlite_")
    }
    assert {name for name, _ in tables} >= BIG
