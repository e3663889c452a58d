"""Live sources, when they took events in, what became of these, and what was seen of Matrix rooms."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from postroom.domain.live_source import Counts, LiveSource
from postroom.store.database import Reader, Transaction


class Period(NamedTuple):
    """When a live source took in what it keeps under `name`, ms UTC; `ended_at` is None while it does."""

    name: str
    began_at: int
    ended_at: int | None


class Room(NamedTuple):
    """What was seen of a room: hashes of people, its creation, an invitation that called it direct."""

    people: bytes
    created: bool
    invited: bool


async def insert(tx: Transaction, source: LiveSource) -> None:
    """A new one."""
    v = source
    made = v.created_at, v.updated_at
    await tx.execute("insert_live_source", v.org_id, v.id, v.name, v.kind, v.secret, v.status, v.salt, *made)


async def find(reader: Reader, source_id: str) -> LiveSource | None:
    """One by id, whoever's it is."""
    rows = await reader.fetch("find_live_source", source_id)
    return LiveSource(*rows[0]) if rows else None


async def of(reader: Reader, org_id: str) -> list[LiveSource]:
    """All of an organization, oldest first."""
    return [LiveSource(*row) for row in await reader.fetch("list_live_sources", org_id)]


async def hold(tx: Transaction, org_id: str, source_id: str) -> None:
    """Until the commit, nobody else changes or deletes the source."""
    await tx.execute("hold_live_source", org_id, source_id)


async def present(tx: Transaction, org_id: str, source_id: str) -> bool:
    """Whether it is there; if so, nobody deletes the source until the commit."""
    return bool(await tx.fetch("present_live_source", org_id, source_id))


async def update(tx: Transaction, source: LiveSource) -> None:
    """Its name, secret and status."""
    v = source
    await tx.execute("update_live_source", v.org_id, v.id, v.name, v.secret, v.status, v.updated_at)


async def delete(tx: Transaction, org_id: str, source_id: str) -> None:
    """The source and what was counted and seen; when it took events in stays known."""
    await tx.execute("delete_live_source", org_id, source_id)
    await tx.execute("delete_live_counts", org_id, source_id)
    await tx.execute("delete_live_rooms", org_id, source_id)


async def begin(tx: Transaction, source: LiveSource, at: int) -> None:
    """It takes events in from now on."""
    await tx.execute("begin_live_period", source.org_id, source.id, at, source.name)


async def end(tx: Transaction, org_id: str, source_id: str, at: int) -> None:
    """It takes none in any more."""
    await tx.execute("end_live_period", org_id, source_id, at)


async def periods(reader: Reader, org_id: str) -> list[Period]:
    """Of all live sources that the organization ever had, oldest first."""
    return [Period(*row) for row in await reader.fetch("list_live_periods", org_id)]


async def add_counts(
    tx: Transaction, org_id: str, source_id: str, stripe: int, added: Counts, at: int
) -> None:
    """What became of some events that came at `at`; `stripe` is one of the rows that are summed."""
    counts = added.accepted, added.duplicates, added.ignored, added.rejected
    await tx.execute("add_live_counts", org_id, source_id, stripe, *counts, at)


async def counts(reader: Reader, org_id: str) -> dict[str, Counts]:
    """What became of the events of each source, by its id."""
    rows = await reader.fetch("list_live_counts", org_id)
    return {source_id: Counts(*sums) for source_id, *sums in rows}


async def rooms(reader: Reader, org_id: str, source_id: str, ids: Iterable[bytes]) -> dict[bytes, Room]:
    """Those of the rooms of which something was seen."""
    found = {}
    for room in ids:
        for people, created, invited in await reader.fetch("find_live_room", org_id, source_id, room):
            found[room] = Room(people, bool(created), bool(invited))
    return found


async def write_rooms(tx: Transaction, org_id: str, source_id: str, seen: Mapping[bytes, Room]) -> None:
    """What was seen of the rooms by now."""
    rows = [
        (org_id, source_id, room, found.people, int(found.created), int(found.invited))
        for room, found in sorted(seen.items())
    ]
    await tx.execute_many("write_live_room", rows)
