"""A stand-in for Citus: an extension of its name, whose functions record and check how they are called.

There is no package of Citus for the machines that the tests run on; the real cluster is tried elsewhere.
"""

import shutil
from pathlib import Path

from tests.support.postgres import Server

SCRIPTS = Path(__file__).with_name("citus")


def offer_citus(server: Server, database: str) -> None:
    """From the next connection on, the extension can be created in the database."""
    share = server.folder / "share"
    if not share.exists():
        shutil.copytree(SCRIPTS, share / "extension")  # where the server's account can read it
    server.rows(database, f"ALTER DATABASE \"{database}\" SET extension_control_path = '{share}:$system'")


def fail_at(server: Server, database: str, table: str) -> None:
    """From the next connection on, this table cannot be taken in; any can, where it is ''."""
    server.rows(database, f"ALTER DATABASE \"{database}\" SET standin.fails_at = '{table}'")


def calls(server: Server, database: str) -> list[str]:
    """What was asked of the extension, in order."""
    return [call for (call,) in server.rows(database, "SELECT call FROM citus.calls ORDER BY number")]


def places(server: Server, database: str) -> dict[str, tuple[str, int]]:
    """The column that each table is distributed by ('' for reference tables), and its colocation group."""
    sql = "SELECT logicalrelid::text, coalesce(partkey, ''), colocationid FROM pg_dist_partition"
    return {table: (column, group) for table, column, group in server.rows(database, sql)}


def foreign_keys(server: Server, database: str) -> set[tuple[str, str]]:
    """Tables with what their foreign keys say."""
    sql = """
        SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE contype = 'f' AND connamespace = 'public'::regnamespace
    """
    return {(table, definition) for table, definition in server.rows(database, sql)}
