"""Whether anybody is at work on a PostgreSQL database: who serves has a lease, and who counts has one too."""

from postroom.domain.errors import StoreError
from postroom.store.connections import Connection

LEASES_SINCE = 2
"""The schema that has them."""
_NOW = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
_LEASES = """
    SELECT (SELECT count(*) FROM processes WHERE expires_at > $1)
        + (SELECT count(*) FROM series WHERE holder IS NOT NULL AND expires_at > $1)
"""


async def refuse_beside_others(connection: Connection) -> None:
    """Return only where nobody is.

    Raises:
        StoreError: somebody is.
    """
    count = await connection.fetchval(_LEASES, await connection.fetchval(_NOW))
    if count:
        raise StoreError(
            f"the database is in use ({count} leases of processes or commands); stop all of them first,"
            " or wait a minute where one was killed"
        )
