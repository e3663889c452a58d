"""Statements are planned while a database is new, and kept so: their plans must be good for a full one."""

import re
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import pytest

from postroom.store import postgres as driver
from postroom.store import queries
from tests.support.postgres import Server

pytestmark = pytest.mark.anyio

QUERIES: Final = queries.load("postgres")
# They join what is edited one by one, or what the server does just now, and nothing that grows.
SMALL: Final = {"find_queue", "list_queues", "settled_time"}
# How one reads all of a table for the rows of another, rather than those that belong to them, by their keys.
ALL_OF_IT: Final = re.compile(r"Join Filter|Hash Join|Hash \w+ Join|Merge Join|Merge \w+ Join")


@pytest.fixture
async def connection(postgres: Server, template: str) -> AsyncIterator[Any]:
    """A session as the driver's are, in a database without a row."""
    session = await asyncpg.connect(postgres.url(template), server_settings=driver._SETTINGS)
    yield session
    await session.close()


async def plan(connection: Any, sql: str) -> str:
    """How a statement is run, whatever its parameters are."""
    count = max((int(number) for number in re.findall(r"\$(\d+)", sql)), default=0)
    given = f"({', '.join(['NULL'] * count)})" if count else ""
    await connection.execute(f"PREPARE statement AS {sql.rstrip(';')}")
    rows = await connection.fetch(f"EXPLAIN EXECUTE statement{given}")
    return "\n".join(line for (line,) in rows)


@pytest.mark.parametrize("name", sorted(QUERIES.keys() - SMALL))
async def test_nothing_is_read_but_by_its_key(connection: Any, name: str) -> None:
    """PostgreSQL likes to read all of a table of which it knows nothing, for each row of another one."""
    assert ALL_OF_IT.search(await plan(connection, QUERIES[name])) is None


async def test_what_such_a_plan_looks_like(connection: Any) -> None:
    """A join leaves open how the rows are found."""
    sql = """
        SELECT m.data FROM deliveries AS d JOIN messages AS m ON m.org_id = d.org_id AND m.id = d.message_id
        WHERE d.org_id = $1 AND d.listener_id = $2 AND d.state = 0 ORDER BY d.due_at LIMIT 10
    """
    assert ALL_OF_IT.search(await plan(connection, sql)) is not None
