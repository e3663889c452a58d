"""Brings a SQLite file to this version's schema."""

from collections.abc import Callable
from pathlib import Path

import apsw

from postroom.domain.clock import Clock
from postroom.store.sqlite import connect, translated
from postroom.store.steps import JOURNAL, Migration, pending


def migrate(path: Path, clock: Clock, may_change: Callable[[], None] = lambda: None) -> list[Migration]:
    """Apply what the file `path` lacks, and make it if there is none; answers what was applied.

    `may_change` is called before an existing schema is changed, and raises where that must not be.

    Raises:
        StoreError: the file was written by a newer version.
        Unavailable: it is busy, or the disk is full.
    """
    connection = connect(path)
    try:
        steps = pending(*_applied(connection), path)
        if steps and steps[0].number > 1:
            may_change()
        return [step for step in steps if _apply(connection, step, clock())]
    finally:
        connection.close()


def _applied(connection: apsw.Connection) -> tuple[int, int]:
    """The newest migration, and the lowest schema that can work with it."""
    with translated():
        columns = {row[1] for row in connection.execute("PRAGMA table_info(migrations)")}
        if not columns:
            return 0, 0
        oldest = "max(oldest)" if "oldest" in columns else "max(number)"
        row = next(connection.execute(f"SELECT max(number), {oldest} FROM migrations"))  # noqa: S608
    return row[0] or 0, row[1] or 0


def _apply(connection: apsw.Connection, step: Migration, at: int) -> bool:
    # Not `with connection`, which keeps Python's lock while it waits for SQLite's.
    with translated():
        connection.execute("BEGIN IMMEDIATE")
        try:
            _keep_journal(connection)
            needed = _applied(connection)[0] < step.number  # else another process was quicker
            if needed:
                connection.execute(step.sql)
                values = step.number, step.name, at, step.oldest
                connection.execute("INSERT INTO migrations VALUES (?, ?, ?, ?)", values)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk has rolled it back already
                connection.execute("ROLLBACK")
            raise
    return needed


def _keep_journal(connection: apsw.Connection) -> None:
    connection.execute(JOURNAL)
    columns = [row[1] for row in connection.execute("PRAGMA table_info(migrations)")]
    if "oldest" not in columns:  # a file of the first version
        connection.execute("ALTER TABLE migrations ADD COLUMN oldest INTEGER NOT NULL DEFAULT 0")
