"""Imports in the database: how far those came that are not finished, and what those gave that are."""

from typing import NamedTuple

from postroom.store.database import Reader, Transaction


class Begun(NamedTuple):
    """An import under way; only its `runner` keeps how far it is."""

    org_id: str
    id: str
    runner: str


class Brought(NamedTuple):
    """An import, times in ms; days are those of its messages, where it is finished and has any."""

    source: str
    started_at: int
    finished_at: int | None
    first_day: int | None
    last_day: int | None


async def find(tx: Transaction, org_id: str, fingerprint: str) -> tuple[str, str] | None:
    """Of the unfinished imports of an export, the id and the state of the one that came furthest."""
    rows = await tx.fetch("find_unfinished_import", org_id, fingerprint)
    return (rows[0][0], rows[0][1]) if rows else None


async def insert(tx: Transaction, begun: Begun, identity: tuple[str, str, str], at: int, state: str) -> None:
    """A new one; the identity is the platform, the source and the fingerprint."""
    await tx.execute("insert_import", *begun, *identity, at, state)


async def claim(tx: Transaction, begun: Begun) -> None:
    """From now on this runner keeps how far it is, and no other."""
    await tx.execute("claim_import", *begun)


async def keep(tx: Transaction, begun: Begun, records: int, state: str) -> None:
    """So far it is by now; forgotten where another runner has claimed or finished it."""
    await tx.execute("keep_import", *begun, records, state)


async def finish(
    tx: Transaction, org_id: str, fingerprint: str, at: int, days: tuple[int | None, int | None]
) -> None:
    """Everything of the export is taken in, so all imports of it are finished; days are of its messages."""
    await tx.execute("finish_imports", org_id, fingerprint, at, *days)


async def of(reader: Reader, org_id: str) -> list[Brought]:
    """All of an organization, finished or not."""
    return [Brought(*row) for row in await reader.fetch("list_import_days", org_id)]
