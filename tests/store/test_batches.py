"""Queries for one row of parameters, turned into one statement for many."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import pytest

from postroom.store import queries
from postroom.store.batches import Part, batched, joined, repeated, table_of_insert
from postroom.store.sqlite import TOGETHER
from tests.support.home import PostgresHome

pytestmark = pytest.mark.anyio

GIVEN: Final = "unnest($1::text[], $2::int8[]) AS given (p1, p2)"
TYPES: Final = ["text", "int8"]
SQLITE: Final = {name: re.sub(r"\$(\d+)", r"?\1", sql) for name, sql in queries.load("sqlite").items()}


@pytest.mark.parametrize(
    ("sql", "many"),
    [
        (
            "INSERT INTO t (a, b) VALUES ($1, $2)",
            f"INSERT INTO t (a, b) SELECT given.p1, given.p2 FROM {GIVEN}",
        ),
        (
            "INSERT INTO t (a, b, c)\nVALUES ($1, 0, $2)\nON CONFLICT (a) DO UPDATE SET b = excluded.b",
            f"INSERT INTO t (a, b, c)\nSELECT given.p1, 0, given.p2 FROM {GIVEN}"
            "\nON CONFLICT (a) DO UPDATE SET b = excluded.b",
        ),
        (
            "INSERT INTO t (a, b) VALUES ($1, abs($2)) ON CONFLICT DO NOTHING RETURNING a",
            f"INSERT INTO t (a, b) SELECT given.p1, abs(given.p2) FROM {GIVEN}"
            " ON CONFLICT DO NOTHING RETURNING a",
        ),
        (
            "UPDATE t SET b = $2 WHERE a = $1 AND b < $2 RETURNING a",
            f"UPDATE t SET b = given.p2 FROM {GIVEN} WHERE a = given.p1 AND b < given.p2 RETURNING a",
        ),
        (
            "UPDATE t SET b = $2 WHERE a = $1 AND NOT EXISTS (SELECT 1 FROM t AS o WHERE o.a = $1)",
            f"UPDATE t SET b = given.p2 FROM {GIVEN}"
            " WHERE a = given.p1 AND NOT EXISTS (SELECT 1 FROM t AS o WHERE o.a = given.p1)",
        ),
        (
            "DELETE FROM t WHERE a = $1 AND b = $2",
            f"DELETE FROM t USING {GIVEN} WHERE a = given.p1 AND b = given.p2",
        ),
        (
            "SELECT x.a FROM t AS x JOIN u ON u.a = x.a WHERE x.a = $1 AND u.b = $2 FOR SHARE OF x",
            f"SELECT x.a FROM t AS x JOIN u ON u.a = x.a CROSS JOIN {GIVEN}"
            " WHERE x.a = given.p1 AND u.b = given.p2 FOR SHARE OF x",
        ),
        (
            "SELECT a FROM (SELECT a, b FROM t WHERE b > 0) AS s WHERE a = $1 AND b = (SELECT $2 WHERE TRUE)",
            f"SELECT a FROM (SELECT a, b FROM t WHERE b > 0) AS s CROSS JOIN {GIVEN}"
            " WHERE a = given.p1 AND b = (SELECT given.p2 WHERE TRUE)",
        ),
        (
            "SELECT a FROM t WHERE a = $1 AND c = 'WHERE (' AND b = $2",
            f"SELECT a FROM t CROSS JOIN {GIVEN} WHERE a = given.p1 AND c = 'WHERE (' AND b = given.p2",
        ),
    ],
)
def test_what_a_query_becomes(sql: str, many: str) -> None:
    """Parameters become columns of the rows that are given; the rest stays as it is."""
    assert batched(sql, TYPES) == many


def test_parameters_beyond_the_ninth() -> None:
    """They are not taken for the first one and a digit."""
    marks = ", ".join(f"${number}" for number in range(1, 13))
    columns = ", ".join(f"given.p{number}" for number in range(1, 13))
    assert f"SELECT {columns} FROM" in batched(f"INSERT INTO t VALUES ({marks})", ["text"] * 12)


def test_several_inserts_become_one_statement() -> None:
    """Their parameters are numbered on, and each is a part but the last, which is the statement itself."""
    text = joined(
        [
            Part("INSERT INTO t (a, b) VALUES ($1, $2)", TYPES, many=True),
            Part("INSERT INTO u VALUES ($1)", ["bytea"], many=True),
        ]
    )
    assert text == (
        f"WITH part1 AS (INSERT INTO t (a, b) SELECT given.p1, given.p2 FROM {GIVEN})"
        " INSERT INTO u SELECT given.p1 FROM unnest($3::bytea[]) AS given (p1)"
    )


def test_one_row_is_given_as_values() -> None:
    """Each of its type; what is inserted only on a condition, or into a row that is there, too."""
    counted = "INSERT INTO t (a, b) VALUES ($1, abs($2)) ON CONFLICT (a) DO UPDATE SET b = excluded.b"
    text = joined(
        [Part("INSERT INTO u VALUES ($1)", ["bytea"], many=False), Part(counted, TYPES, many=False)],
        [Part("SELECT 1 FROM s WHERE id = $1", ["text"], many=False)],
    )
    assert text == (
        "WITH required1 AS (SELECT 1 FROM s WHERE id = $1::text),"
        " part1 AS (INSERT INTO u SELECT $2::bytea)"
        " INSERT INTO t (a, b) SELECT $3::text, abs($4::int8)"
        " WHERE 1 / CAST((SELECT count(*) FROM required1) = 1 AS INT) = 1"
        " ON CONFLICT (a) DO UPDATE SET b = excluded.b"
    )


def test_what_is_the_same_in_all_rows_is_given_once() -> None:
    """As a value, in its place among the parameters; also behind those of other parts."""
    sql = "INSERT INTO t (a, b, c) VALUES ($1, abs($2), $3) ON CONFLICT DO NOTHING"
    part = Part(sql, ["text", "int8", "bytea"], many=True, same=(1, 3))
    text = joined([Part("INSERT INTO u VALUES ($1)", ["text"], many=False), part])
    assert text == (
        "WITH part1 AS (INSERT INTO u SELECT $1::text)"
        " INSERT INTO t (a, b, c) SELECT $2::text, abs(given.p2), $4::bytea"
        " FROM unnest($3::int8[]) AS given (p2) ON CONFLICT DO NOTHING"
    )


def test_what_is_required_stands_before_the_inserts() -> None:
    """Its parameters are the first; where a row is missing, the statement divides by zero."""
    text = joined(
        [
            Part("INSERT INTO t VALUES ($1)", ["text"], many=True),
            Part("INSERT INTO u (a, b) VALUES ($1, $2)", TYPES, many=True),
        ],
        [
            Part("SELECT 1 FROM s WHERE id = $1 AND held = $2 FOR SHARE", TYPES, many=True),
            Part("UPDATE w SET b = 1 WHERE a = $1 RETURNING a", ["text"], many=False),
        ],
    )
    assert text == (
        "WITH required1 AS (SELECT 1 FROM s CROSS JOIN unnest($1::text[], $2::int8[]) AS given (p1, p2)"
        " WHERE id = given.p1 AND held = given.p2 FOR SHARE),"
        " required2 AS (UPDATE w SET b = 1 WHERE a = $3::text RETURNING a),"
        " part1 AS (INSERT INTO t SELECT given.p1 FROM unnest($4::text[]) AS given (p1))"
        " INSERT INTO u (a, b) SELECT given.p1, given.p2"
        " FROM unnest($5::text[], $6::int8[]) AS given (p1, p2)"
        " WHERE 1 / CAST((SELECT count(*) FROM required1) = cardinality($1::text[]) AS INT) = 1"
        " AND 1 / CAST((SELECT count(*) FROM required2) = 1 AS INT) = 1"
    )


def test_one_insert_is_joined_with_nothing() -> None:
    """It is what it is alone."""
    sql = "INSERT INTO t (a, b) VALUES ($1, $2)"
    assert joined([Part(sql, TYPES, many=True)]) == batched(sql, TYPES)


@pytest.mark.parametrize(
    ("sql", "table"),
    [
        ("INSERT INTO t (a) VALUES ($1)", "t"),
        ("INSERT INTO t (a)\nVALUES ($1)\nON CONFLICT (a) DO NOTHING", "t"),
        ("INSERT INTO t (a) VALUES ($1) RETURNING a", None),
        ("INSERT INTO t (a) SELECT a FROM u WHERE b = $1", None),
        ("UPDATE t SET a = $1 WHERE b = 1", None),
        ("DELETE FROM t WHERE a = $1", None),
        ("SELECT a FROM t WHERE a = $1", None),
    ],
)
def test_what_can_be_kept_back(sql: str, table: str | None) -> None:
    """An insertion that nobody waits for the answer of."""
    assert table_of_insert(sql) == table


@pytest.fixture
async def connection(postgresql_home: PostgresHome) -> AsyncIterator[Any]:
    """To a database with two tables for trying."""
    connection = await asyncpg.connect(postgresql_home.address, ssl=False)
    await connection.execute("CREATE TABLE parents (id text PRIMARY KEY, n bigint)")
    await connection.execute(
        "CREATE TABLE children (id text REFERENCES parents, n bigint, PRIMARY KEY (id, n))"
    )
    yield connection
    await connection.close()


async def test_rows_are_inserted_as_one_by_one(connection: Any) -> None:
    """With nothing in some columns, and added up where they are there already."""
    sql = (
        "INSERT INTO parents AS p (id, n) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET n = p.n + excluded.n"
    )
    many = batched(sql, TYPES)
    await connection.fetch(many, ["a", "b", "c"], [1, None, 3])
    await connection.fetch(many, ["c", "d"], [30, 4])
    found = await connection.fetch("SELECT id, n FROM parents ORDER BY id")
    assert found == [("a", 1), ("b", None), ("c", 33), ("d", 4)]


async def test_rows_are_changed_deleted_and_found_as_one_by_one(connection: Any) -> None:
    """Each row of parameters for itself; what none asks for stays as it is."""
    await connection.fetch("INSERT INTO parents SELECT chr(96 + n), n FROM generate_series(1, 6) AS n")
    update = batched("UPDATE parents SET n = $2 WHERE id = $1 AND n < $2 RETURNING id", TYPES)
    changed = await connection.fetch(update, ["a", "b", "z"], [100, 1, 7])
    assert [row[0] for row in changed] == ["a"]
    await connection.fetch(
        batched("DELETE FROM parents WHERE id = $1 AND n = $2", TYPES), ["b", "c"], [2, 99]
    )
    found = await connection.fetch(
        batched("SELECT id, n FROM parents WHERE id = $1 AND n >= $2 ORDER BY id", TYPES),
        ["f", "a", "b", "c", "d"],
        [0, 0, 0, 0, 99],
    )
    assert found == [("a", 100), ("c", 3), ("f", 6)]


async def test_a_reference_is_checked_when_all_parts_are_done(connection: Any) -> None:
    """Parents and children go in together, in whichever order the parts stand."""
    parts = [
        Part("INSERT INTO parents (id, n) VALUES ($1, $2)", TYPES, many=True),
        Part("INSERT INTO children (id, n) VALUES ($1, $2)", TYPES, many=True),
    ]
    await connection.fetch(joined(parts), ["a", "b"], [1, 2], ["a", "a", "b"], [1, 2, 3])
    await connection.fetch(joined(parts[::-1]), ["c"], [1], ["c"], [1])
    assert await connection.fetchval("SELECT count(*) FROM children") == 4
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await connection.fetch(joined(parts), ["d"], [1], ["e"], [1])
    assert await connection.fetchval("SELECT count(*) FROM parents") == 3


@pytest.mark.parametrize("many", [False, True])
async def test_all_that_is_required_or_nothing(connection: Any, many: bool) -> None:
    """One that is missing undoes what others that are required have written, and all that is inserted."""
    await connection.fetch("INSERT INTO parents SELECT chr(96 + n), n FROM generate_series(1, 6) AS n")
    text = joined(
        [Part("INSERT INTO children (id, n) VALUES ($1, $2)", TYPES, many=False)],
        [
            Part("SELECT 1 FROM parents WHERE id = $1 FOR SHARE", ["text"], many=many),
            Part("UPDATE parents SET n = 99 WHERE id = $1 AND n = $2 RETURNING id", TYPES, many=False),
        ],
    )
    for found, changed in (("a", ("b", 1)), ("z", ("b", 2)), ("z", ("b", 1))):
        with pytest.raises(asyncpg.DivisionByZeroError):
            await connection.fetch(text, ["a", found] if many else found, *changed, "c", 1)
    assert await connection.fetchval("SELECT count(*) FROM parents WHERE n = 99") == 0
    assert await connection.fetchval("SELECT count(*) FROM children") == 0
    await connection.fetch(text, ["a", "f"] if many else "a", "b", 2, "c", 1)
    assert await connection.fetch("SELECT id FROM parents WHERE n = 99") == [("b",)]
    assert await connection.fetch("SELECT id, n FROM children") == [("c", 1)]


async def test_locks_are_taken_for_every_row(connection: Any, postgresql_home: PostgresHome) -> None:
    """Whoever wants one of them waits."""
    await connection.fetch("INSERT INTO parents SELECT chr(96 + n), n FROM generate_series(1, 6) AS n")
    lock = batched("SELECT id FROM parents WHERE id = $1 AND n > $2 FOR UPDATE", TYPES)
    async with connection.transaction():
        await connection.fetch(lock, ["a", "b"], [0, 0])
        free = "SELECT id FROM parents ORDER BY id FOR UPDATE SKIP LOCKED"
        found = await asyncio.to_thread(postgresql_home.rows, free)
        assert found == [("c",), ("d",), ("e",), ("f",)]


def test_several_rows_in_one_statement() -> None:
    """The parameters of the second row follow those of the first; what stands behind stays as it is."""
    sql = "INSERT INTO t (a, b, c, d) VALUES (?1, ?2, 0, ?2) ON CONFLICT (a) DO UPDATE SET b = excluded.b"
    assert repeated(sql, 2) == (
        "INSERT INTO t (a, b, c, d) VALUES (?1, ?2, 0, ?2), (?3, ?4, 0, ?4)"
        " ON CONFLICT (a) DO UPDATE SET b = excluded.b"
    )


@pytest.mark.parametrize("name", sorted(name for name, sql in SQLITE.items() if table_of_insert(sql)))
def test_parameters_stand_among_the_values(name: str) -> None:
    """None stands behind the values, where it would be that of one row only; SQLite keeps the statement."""
    before, _, values = SQLITE[name].partition("VALUES")
    assert "?" not in before + values.partition("ON CONFLICT")[2]
    assert len(repeated(SQLITE[name], TOGETHER)) < 16_384
