"""Folding days: their totals, always computed from their facts, and never older than these for a reader."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from postroom.domain.clock import Clock
from postroom.domain.day import day_of
from postroom.domain.totals import Cell, Counts, Part, Sender, packed
from postroom.store import activities, days
from postroom.store.database import Database, Reader, Row, Transaction
from postroom.store.days import Mark

FOLDED_TOGETHER = 8
"""Days in one commit; a day of many facts takes long to read, and little to write."""


class Days(NamedTuple):
    """The totals of some days at one moment; `stamp` is that of the moment.

    `sources` are names by number. Duplicates are counted by (day, source).
    """

    stamp: tuple[Row, ...]
    cells: list[Cell]
    sources: dict[int, str]
    duplicates: dict[tuple[int, int], int]


class _Folded(NamedTuple):
    revision: int
    marks: list[Mark]
    cells: list[Cell]


class Folding:
    """The totals of closed days: those that are over, in UTC."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def yesterday(self) -> int:
        """The last day that is over."""
        return day_of(self._clock()) - 1

    async def stamp(self, org_id: str, last: int) -> tuple[Row, ...]:
        """Equal as long as no answer about days up to `last` can have changed.

        Raises:
            Unavailable: the database cannot be read.
        """
        return await days.stamp(self._database, org_id, last)

    async def days(self, org_id: str, first: int, last: int) -> Days:
        """The totals of closed days, as their facts are now: what is dirty is folded first.

        Raises:
            Unavailable: the database cannot be read or written.
        """
        await self.fold(org_id, first, last)
        return await self._database.snapshot(lambda reader: _read(reader, org_id, first, last))

    async def fold(self, org_id: str, first: int, last: int, may: Callable[[], bool] = lambda: True) -> int:
        """Fold what is dirty of these days now, while it `may`; answers how many days were dirty.

        Raises:
            Unavailable: the database cannot be read or written.
        """
        async with self._turns[org_id]:
            marks = await days.dirty(self._database, org_id, first, last)
            dirty = sorted({mark.day for mark in marks})
            for start in range(0, len(dirty), FOLDED_TOGETHER):
                if may():
                    await self._fold(org_id, dirty[start : start + FOLDED_TOGETHER])
        return len(dirty)

    async def fold_closed(self, may: Callable[[], bool] = lambda: True) -> None:
        """Fold every dirty day that is over, of all organizations, while it `may`.

        Raises:
            Unavailable: the database cannot be read or written.
        """
        for org_id in await days.organizations(self._database.apart, self.yesterday):
            if may():
                await self.fold(org_id, 0, self.yesterday, may)

    async def _fold(self, org_id: str, some: list[int]) -> None:
        """Fold these days, in order; where somebody else folds at the same time, they may stay dirty."""
        folded = await self._database.snapshot(lambda reader: _computed(reader, org_id, some))

        async def body(tx: Transaction) -> None:
            if await days.note_fold(tx, org_id, folded.revision):
                await days.replace(tx, org_id, some, folded.cells)
                await days.unmark(tx, org_id, folded.marks)

        await self._database.transaction(body)


async def _computed(reader: Reader, org_id: str, some: list[int]) -> _Folded:
    marks = await days.dirty(reader, org_id, some[0], some[-1])
    ((revision, *_), *_) = await days.stamp(reader, org_id, some[0])
    cells = [cell for day in some for cell in await folded(reader, org_id, day)]
    return _Folded(revision, [mark for mark in marks if mark.day in some], cells)


async def _read(reader: Reader, org_id: str, first: int, last: int) -> Days:
    stamp = await days.stamp(reader, org_id, last)
    dirty = {mark.day for mark in await days.dirty(reader, org_id, first, last)}
    cells = [cell for cell in await days.cells(reader, org_id, first, last) if cell.day not in dirty]
    for day in dirty:  # became so after they were folded, or others folded at that moment
        cells += await folded(reader, org_id, day)
    names = {number: name for name, number in (await activities.sources(reader, org_id)).items()}
    return Days(stamp, sorted(cells), names, await days.duplicates(reader, org_id, first, last))


async def folded(reader: Reader, org_id: str, day: int) -> list[Cell]:
    """What the facts of a day come to."""
    sums = await days.sums(reader, org_id, day)
    people, spaces = _numbers(sums.people), _numbers(sums.spaces)
    return [
        Cell(
            day,
            source,
            Part(Sender(sender), bool(deleted)),
            Counts(*counts),
            packed(people[source, sender, deleted]),
            packed(spaces[source, sender, deleted, 0]),
            packed(spaces[source, sender, deleted, 1]),
        )
        for source, sender, deleted, *counts in sums.counts
    ]


def _numbers(rows: Iterable[Row]) -> defaultdict[Row, list[int]]:
    """The last column by all others."""
    groups: defaultdict[Row, list[int]] = defaultdict(list)
    for row in rows:
        groups[row[:-1]].append(row[-1])
    return groups
