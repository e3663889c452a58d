"""Numbered migrations: `NNNN_name.sql`, applied in order, each in a transaction of its own."""

from collections.abc import Callable
from importlib import resources
from pathlib import Path

import apsw
import msgspec

from postroom.domain.clock import Clock
from postroom.domain.errors import StoreError
from postroom.store.sqlite import connect, translated

_JOURNAL = """
    CREATE TABLE IF NOT EXISTS migrations (
        number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL
    ) STRICT
"""


class Migration(msgspec.Struct, frozen=True):
    """One step of the schema."""

    number: int
    name: str
    sql: str


def known() -> list[Migration]:
    """The migrations of this version, in order."""
    folder = resources.files("postroom.store").joinpath("migrations")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return [Migration(int(f.name[:4]), f.name[5:-4], f.read_text("utf-8")) for f in files]


def migrate(path: Path, clock: Clock, may_change: Callable[[], None] = lambda: None) -> list[Migration]:
    """Bring the file `path` to this version's schema; answers what was applied.

    `may_change` is called before an existing schema is changed, and raises where that must not be.

    Raises:
        StoreError: the file was written by a newer version.
    """
    connection = connect(path)
    try:
        pending = _pending(connection, path)
        if pending and pending[0].number > 1:
            may_change()
        return [step for step in pending if _apply(connection, step, clock())]
    finally:
        connection.close()


def _pending(connection: apsw.Connection, path: Path) -> list[Migration]:
    steps = known()
    applied = _applied(connection)
    if applied > len(steps):
        raise StoreError(
            f"{path} was written by a newer Postroom (schema {applied}, this version knows {len(steps)});"
            " start that version, or restore a backup"
        )
    return steps[applied:]


def _applied(connection: apsw.Connection) -> int:
    with translated():
        exists = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'migrations'").get
        return connection.execute("SELECT max(number) FROM migrations").get or 0 if exists else 0


def _apply(connection: apsw.Connection, step: Migration, at: int) -> bool:
    # Not `with connection`, which keeps Python's lock while it waits for SQLite's.
    with translated():
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(_JOURNAL)
            needed = _applied(connection) < step.number  # else another process was quicker
            if needed:
                connection.execute(step.sql)
                connection.execute("INSERT INTO migrations VALUES (?, ?, ?)", (step.number, step.name, at))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk has rolled it back already
                connection.execute("ROLLBACK")
            raise
    return needed
