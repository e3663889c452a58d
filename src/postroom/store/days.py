"""Totals of days in the database, and which of them are older than their facts."""

from collections.abc import Iterable
from itertools import starmap
from operator import itemgetter
from typing import NamedTuple, cast

from postroom.domain.totals import PARTS, Cell, Counts
from postroom.store.database import Reader, Row, Transaction


class Mark(NamedTuple):
    """How many changes of a writer make a day's totals older than its facts."""

    day: int
    writer: str
    changes: int


class Sums(NamedTuple):
    """What a day's facts come to; each row begins with the source, the sender and whether it was deleted."""

    counts: list[Row]
    people: list[Row]
    spaces: list[Row]


async def stamp(reader: Reader, org_id: str, last: int) -> tuple[Row, ...]:
    """Equal as long as no answer about days up to `last` can have changed; begins with the revision."""
    rows = await reader.fetch("activity_stamp", org_id, last)
    return tuple(sorted(map(tuple, rows), key=itemgetter(1, 2)))  # cheaper here than in the query


async def dirty(reader: Reader, org_id: str, first: int, last: int) -> list[Mark]:
    """Why days from `first` to `last` are dirty, by day."""
    return list(starmap(Mark, await reader.fetch("list_dirty_days", org_id, first, last)))


async def organizations(reader: Reader, last: int) -> list[str]:
    """The ids of those that have dirty days up to `last`."""
    return [org_id for (org_id,) in await reader.fetch("list_dirty_organizations", last)]


async def sums(reader: Reader, org_id: str, day: int) -> Sums:
    """What a day's facts come to."""
    return Sums(
        await reader.fetch("fold_counts", org_id, day),
        await reader.fetch("fold_people", org_id, day),
        await reader.fetch("fold_spaces", org_id, day),
    )


async def note_fold(tx: Transaction, org_id: str, revision: int) -> bool:
    """False where somebody else has folded since the revision was read."""
    return bool(await tx.fetch("note_fold", org_id, revision))


async def note_change(tx: Transaction, org_id: str) -> None:
    """An answer about past days changes though no fact of theirs does."""
    await tx.execute("note_change", org_id)


async def replace(tx: Transaction, org_id: str, days: Iterable[int], cells: Iterable[Cell]) -> None:
    """These cells, and no others, are the totals of the days."""
    await tx.execute_many("forget_day", [(org_id, day) for day in days])
    await tx.execute_many(
        "write_cell",
        [(org_id, c.day, c.source, c.part.number, *c.counts, c.people, c.groups, c.directs) for c in cells],
    )


async def unmark(tx: Transaction, org_id: str, marks: Iterable[Mark]) -> None:
    """The totals hold these changes; a day stays dirty where more have come."""
    await tx.execute_many("unmark_day", [(org_id, *mark) for mark in marks])


async def cells(reader: Reader, org_id: str, first: int, last: int) -> list[Cell]:
    """The totals of days from `first` to `last`, by day, source and part."""
    rows = await reader.fetch("list_cells", org_id, first, last)
    return [
        Cell(day, source, PARTS[part], Counts._make(rest[:10]), *rest[10:])
        for day, source, part, *rest in rows
    ]


async def following(reader: Reader, org_id: str, after: int) -> int | None:
    """The first day after this one with activity, or with totals; None where there is none."""
    ((day,),) = await reader.fetch("next_day", org_id, after)
    return cast(int | None, day)


async def duplicates(reader: Reader, org_id: str, first: int, last: int) -> dict[tuple[int, int], int]:
    """What was taken in again, counted by (day, source)."""
    rows = await reader.fetch("list_duplicates", org_id, first, last)
    return {(day, source): count for day, source, count in rows}
