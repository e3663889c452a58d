"""Queues and listeners that are gone while rows of theirs are still being removed."""

from postroom.store.database import Reader, Transaction


async def every(reader: Reader) -> list[tuple[str, str, str]]:
    """(organization's id, the id, `queue` or `listener`) of each."""
    return [(org_id, removed_id, kind) for org_id, removed_id, kind in await reader.fetch("list_removals")]


async def done(tx: Transaction, org_id: str, removed_id: str) -> None:
    """All rows are removed."""
    await tx.execute("delete_removal", org_id, removed_id)
