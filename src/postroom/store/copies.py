"""Which databases were copied into this one, and whether one of those copies was never finished."""

from postroom.domain.errors import StoreError
from postroom.store.database import Reader, Transaction


async def refuse_unfinished(reader: Reader) -> None:
    """Pass where all rows of the database are there.

    Raises:
        StoreError: a copy into it was begun and is not finished.
    """
    for source in await unfinished(reader):
        raise StoreError(
            f"the copy from {source} into this database is not finished; run the same postroom copy again"
        )


async def unfinished(reader: Reader) -> list[str]:
    """The sources of copies into this database that were begun and are not finished."""
    return [source for (source,) in await reader.fetch("unfinished_copies")]


async def begin(tx: Transaction, source: str, at: int) -> None:
    """Rows of the source follow."""
    await tx.execute("begin_copy", source, at)


async def finish(tx: Transaction, source: str, at: int) -> None:
    """All rows of the source are here."""
    await tx.execute("finish_copy", source, at)


async def serving(reader: Reader, now: int) -> list[int]:
    """For each process that serves from this shared database, until when, ms, its lease is."""
    return [expires_at for _, expires_at in await reader.fetch("serving_processes", now)]
