"""Activities in the database, and the numbers of the people, spaces and sources in them."""

from collections.abc import Iterable
from typing import NamedTuple

from postroom.store.database import Reader, Row, Transaction

UNKNOWN_DAY = -1


class Numbers(NamedTuple):
    """What the next new person and space are numbered."""

    people: int
    spaces: int


async def secret(reader: Reader, org_id: str) -> bytes | None:
    """What keys the organization's hashes; None while it has none."""
    rows = await reader.fetch("find_activity_secret", org_id)
    return rows[0][0] if rows else None


async def set_secret(tx: Transaction, org_id: str, new: bytes) -> None:
    """Give the organization a secret, unless it has one."""
    await tx.execute("set_activity_secret", org_id, new)


async def hold_numbers(tx: Transaction, org_id: str) -> Numbers:
    """The next numbers, which nobody else gives away before the commit."""
    await tx.execute("add_activity_head", org_id)
    ((people, spaces),) = await tx.fetch("hold_activity_head", org_id)
    return Numbers(people, spaces)


async def set_numbers(tx: Transaction, org_id: str, numbers: Numbers) -> None:
    """They are the next ones."""
    await tx.execute("set_activity_head", org_id, *numbers)


async def sources(reader: Reader, org_id: str) -> dict[str, int]:
    """The numbers of the organization's sources by their names."""
    return dict(await reader.fetch("list_sources", org_id))


async def add_source(tx: Transaction, org_id: str, number: int, name: str) -> None:
    """Another name under which activity is kept."""
    await tx.execute("insert_source", org_id, number, name)


async def people(tx: Transaction, org_id: str, ids: Iterable[bytes]) -> dict[bytes, int]:
    """The numbers of those people that have one."""
    return dict(await tx.fetch_many("find_person", [(org_id, each) for each in ids]))


async def add_people(tx: Transaction, org_id: str, numbers: dict[bytes, int]) -> None:
    """New people."""
    await tx.execute_many("insert_person", [(org_id, *item) for item in numbers.items()])


async def spaces(tx: Transaction, org_id: str, ids: Iterable[bytes]) -> dict[bytes, int]:
    """The numbers of those spaces that have one."""
    return dict(await tx.fetch_many("find_space", [(org_id, each) for each in ids]))


async def add_spaces(tx: Transaction, org_id: str, numbers: dict[bytes, int]) -> None:
    """New spaces."""
    await tx.execute_many("insert_space", [(org_id, *item) for item in numbers.items()])


async def insert(tx: Transaction, rows: list[Row]) -> set[bytes]:
    """Keep activities with different ids, in the order of these; answers the ids of those that are new.

    A row has the organization's id, the id, the day, the source, the time, the person, the space, the traits,
    and the files, their bytes and how many are of unknown size.
    """
    return {new for (new,) in await tx.fetch_many("insert_activity", rows)}


async def delete(tx: Transaction, rows: list[Row]) -> dict[bytes, int]:
    """Mark as deleted what was not, in the order of ids; answers the days on which that was sent, by id.

    A row has the organization's id, the id, the source, and the time, ms, or 0. What is not known yet is kept
    for later, and its day is UNKNOWN_DAY.
    """
    return dict(await tx.fetch_many("delete_activity", rows))


async def add_duplicates(tx: Transaction, org_id: str, counts: dict[tuple[int, int], int]) -> None:
    """What was taken in again, counted by (day, source)."""
    rows = [(org_id, day, source, count) for (day, source), count in sorted(counts.items())]
    await tx.execute_many("add_duplicates", rows)


async def mark(tx: Transaction, org_id: str, days: Iterable[int], writer: str) -> None:
    """The totals of these days are older than their facts, because of what `writer` wrote."""
    await tx.execute_many("mark_day", [(org_id, day, writer) for day in sorted(days)])
