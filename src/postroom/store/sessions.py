"""How sessions with PostgreSQL begin: told what Postroom relies on, whatever the server was told."""

from typing import Any

import asyncpg

from postroom.domain.errors import StoreError
from postroom.store.connections import Connection

NO_HURRY = """
    SET statement_timeout = 0;
    SET lock_timeout = 0;
    SET idle_in_transaction_session_timeout = 0;
"""
"""Whatever the database and the user were told, statements may take as long as they need."""

# After the beginning, not with it: PgBouncer may leave out settings that come with the beginning.
_RELIED_ON = """
    SELECT set_config('default_transaction_isolation', 'read committed', false)
    UNION ALL
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
    UNION ALL
    SELECT set_config('plan_cache_mode', 'force_custom_plan', false) FROM pg_extension WHERE extname = 'citus'
"""


async def begin_session(url: str, told: str = "", **options: Any) -> Connection:
    """A connection to a server that can be written, with the options of asyncpg, that is first `told` this.

    Who waited for a lock sees what its holder wrote, on which the locks rely. An acknowledged write is on
    disk, though stricter settings stay. Citus is given the values that it needs to find a statement's shard,
    which a plan for any values has not.

    Raises:
        StoreError: the database cannot hold all text.
    """
    connection = await asyncpg.connect(url, target_session_attrs="read-write", **options)
    try:
        _refuse_other_encodings(connection.get_settings().server_encoding)
        await connection.execute(told + _RELIED_ON)
    except BaseException:
        connection.terminate()
        raise
    return connection


def _refuse_other_encodings(encoding: str) -> None:
    if encoding != "UTF8":
        raise StoreError(
            f"the database has the encoding {encoding}, which does not hold all text; give one that was made"
            " with CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0"
        )
