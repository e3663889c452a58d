"""Holds what was counted against the facts."""

from functools import partial

import msgspec
from pyroaring import BitMap

from postroom.domain.clock import DAY, Clock
from postroom.domain.day import day_of, iso
from postroom.domain.listener import Counts
from postroom.domain.totals import BITMAPS, Cell, added, united
from postroom.domain.usage import NAMES, NOTHING, plus
from postroom.service.folding import FOLDED_TOGETHER, folded
from postroom.store import days, deliveries, listeners, processes, usage
from postroom.store import organizations as organizations_store
from postroom.store.database import Database, Reader


class Difference(msgspec.Struct, frozen=True):
    """A count that is not what counting the facts gives; of a listener, or of a past day, or of neither."""

    organization: str
    listener: str | None
    counter: str
    counted: int
    facts: int
    day: str | None = None


class Audit:
    """Holds listeners' counts against deliveries, counters against usage events, days against activity."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def differences(self) -> list[Difference]:
        """Every count that the facts contradict; none, if Postroom keeps its promises.

        Each organization is read in one state of the database, in which nothing changes between counts and
        facts, and so are some past days at a time.
        """
        found: list[Difference] = []
        for organization in await organizations_store.every(self._database):
            found += await self._database.snapshot(partial(self._of, organization.id))
            found += await self._of_days(organization.id)
        return found

    async def _of_days(self, org_id: str) -> list[Difference]:
        """All days that are over; to read them takes long, and long transactions hinder cleaning up."""
        found: list[Difference] = []
        after, last = -1, day_of(self._clock()) - 1
        while after < last:
            some, after = await self._database.snapshot(partial(_of_days, org_id, after, last))
            found += some
        return found

    async def _of(self, org_id: str, reader: Reader) -> list[Difference]:
        return await _of_listeners(reader, org_id) + await _of_counters(reader, org_id, self._clock() - DAY)


async def _of_listeners(reader: Reader, org_id: str) -> list[Difference]:
    """As accepted = delivered + pending + failed + discarded, the counts tell how many are pending."""
    counts = await listeners.every_count(reader, org_id)
    living = {listener.id for listener in await listeners.of(reader, org_id)}
    rows = await deliveries.pending_counts(reader, org_id)
    differences = []
    for listener_id in sorted(living | counts.keys()):
        counted = counts.get(listener_id, Counts()).pending
        # What a deleted listener was owed is discarded at once; its rows are removed later.
        facts = rows.get(listener_id, 0) if listener_id in living else 0
        differences.append(Difference(org_id, listener_id, "pending", counted, facts))
    return [each for each in differences if each.counted != each.facts]


async def _of_counters(reader: Reader, org_id: str, edge: int) -> list[Difference]:
    """The running totals since the edge, ms, are the events since then, counted one by one."""
    (totals, *_) = await usage.totals_since(reader, org_id, (edge, edge, edge))
    facts = NOTHING
    for series in await processes.every_series(reader):
        facts = plus(facts, await usage.count(reader, org_id, series, edge))
    return [
        Difference(org_id, None, name, counted, fact)
        for name, counted, fact in zip(NAMES, totals, facts, strict=True)
        if counted != fact
    ]


async def _of_days(org_id: str, after: int, last: int, reader: Reader) -> tuple[list[Difference], int]:
    """Of some days after the one, up to the last: what is kept is what their activity gives, unless dirty.

    Also answers the last day that was looked at.
    """
    dirty = {mark.day for mark in await days.dirty(reader, org_id, after, last)}
    found: list[Difference] = []
    for _ in range(FOLDED_TOGETHER):
        day = await days.following(reader, org_id, after)
        if day is None or day > last:
            return found, last
        if day not in dirty:
            found += _of_day(
                org_id, day, await days.cells(reader, org_id, day, day), await folded(reader, org_id, day)
            )
        after = day
    return found, after


def _of_day(org_id: str, day: int, kept: list[Cell], facts: list[Cell]) -> list[Difference]:
    """Of all parts together, or how many parts there are where only those differ."""
    if _plain(kept) == _plain(facts):
        return []
    counted, fact = _together(kept), _together(facts)
    names = [name for name in counted if counted[name] != fact[name]]
    numbers = [(name, _number(counted[name]), _number(fact[name])) for name in names]
    told = numbers or [("parts", len(kept), len(facts))]
    return [Difference(org_id, None, *each, day=iso(day)) for each in told]


def _plain(cells: list[Cell]) -> list[tuple[object, ...]]:
    """The same, where bitmaps are equal whenever what is in them is."""
    return [(*cell[:-3], *(united([bitmap]) for bitmap in cell[-3:])) for cell in sorted(cells)]


def _together(cells: list[Cell]) -> dict[str, int | BitMap]:
    """The counts of all parts of a day, and who and what is in any of them."""
    sets = {name: united(getattr(cell, name) for cell in cells) for name in BITMAPS}
    return added(cell.counts for cell in cells)._asdict() | sets


def _number(value: int | BitMap) -> int:
    return value if isinstance(value, int) else len(value)
