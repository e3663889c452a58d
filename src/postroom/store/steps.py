"""The schema's migrations: `NNNN_name.sql`, applied in order, each once and in a transaction of its own."""

import re
from functools import cache
from importlib import resources

import msgspec

from postroom.domain.errors import StoreError

JOURNAL = """
    CREATE TABLE IF NOT EXISTS migrations (
        number INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        applied_at INTEGER NOT NULL,
        oldest INTEGER NOT NULL DEFAULT 0
    ) STRICT
"""
_OLDEST = re.compile(r"^-- Programs of schema (\d+) can work beside it\.$", re.MULTILINE)


class Migration(msgspec.Struct, frozen=True):
    """One step of the schema; programs that know the schema `oldest` can go on working after it."""

    number: int
    name: str
    sql: str
    oldest: int


@cache
def known() -> tuple[Migration, ...]:
    """The migrations of this version, in order."""
    folder = resources.files("postroom.store").joinpath("migrations")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return tuple(_migration(f.name, f.read_text("utf-8")) for f in files)


def pending(newest: int, oldest: int, place: object) -> tuple[Migration, ...]:
    """What is to be applied after the migration `newest`; programs of the schema `oldest` can work with it.

    Raises:
        StoreError: the database was changed by a newer version, in a way that this one cannot work with.
    """
    steps = known()
    if newest > len(steps) and oldest > len(steps):
        raise StoreError(
            f"{place} was written by a newer Postroom (schema {newest}, this version knows {len(steps)});"
            " start that version, or restore a backup"
        )
    return steps[newest:]


def _migration(file: str, sql: str) -> Migration:
    number = int(file[:4])
    declared = _OLDEST.search(sql)
    return Migration(number, file[5:-4], sql, int(declared[1]) if declared else number)
