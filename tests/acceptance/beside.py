"""Somebody else at the same database: looks into it, changes it behind everybody's back, holds it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.acceptance.house import Place
from tests.support.home import Beside, PostgresBeside, SqliteBeside


def beside(place: Place) -> "closing[Beside]":
    """A connection of somebody else's."""
    found: Beside = SqliteBeside(place / "postroom.db") if isinstance(place, Path) else PostgresBeside(place)
    return closing(found)


def rows(place: Place, sql: str, *params: str | int | None) -> list[tuple[Any, ...]]:
    """What one statement answers."""
    with beside(place) as connection:
        return connection.execute(sql, params)


@contextmanager
def write_lock(place: Place) -> Iterator[None]:
    """Nobody else can write while the block runs; reading goes on.

    On PostgreSQL some small tables are held, in the order in which everybody writes them: whatever is counted
    writes `series`, whoever serves `processes`, activity `dirty_days`, and what is heard live `live_counts`.
    """
    lock = ["BEGIN", "LOCK TABLE processes, series, dirty_days, live_counts IN EXCLUSIVE MODE"]
    if isinstance(place, Path):
        lock = ["PRAGMA busy_timeout = 60000", "BEGIN IMMEDIATE"]
    with beside(place) as connection:
        for statement in lock:
            connection.execute(statement)
        yield
        connection.execute("ROLLBACK")
