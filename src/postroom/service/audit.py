"""Holds what was counted against the facts."""

from functools import partial

import msgspec

from postroom.domain.clock import DAY, Clock
from postroom.domain.day import day_of, iso
from postroom.domain.listener import Counts
from postroom.domain.totals import BITMAPS, Cell, added, united
from postroom.domain.usage import NAMES, NOTHING, plus
from postroom.service.folding import folded
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

        Each organization is read in one state of the database: nothing changes between counts and facts.
        """
        found: list[Difference] = []
        for organization in await organizations_store.every(self._database):
            found += await self._database.snapshot(partial(self._of, organization.id))
        return found

    async def _of(self, org_id: str, reader: Reader) -> list[Difference]:
        now = self._clock()
        return [
            *await _of_listeners(reader, org_id),
            *await _of_counters(reader, org_id, now - DAY),
            *await _of_days(reader, org_id, day_of(now) - 1),
        ]


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


async def _of_days(reader: Reader, org_id: str, last: int) -> list[Difference]:
    """The totals that are kept of days up to `last` are what their activity gives, unless they are dirty."""
    dirty = {mark.day for mark in await days.dirty(reader, org_id, 0, last)}
    found: list[Difference] = []
    for day in await days.every(reader, org_id):
        if day <= last and day not in dirty:
            kept, facts = await days.cells(reader, org_id, day, day), await folded(reader, org_id, day)
            found += _of_day(org_id, day, kept, sorted(facts))
    return found


def _of_day(org_id: str, day: int, kept: list[Cell], facts: list[Cell]) -> list[Difference]:
    """Numbers of all parts together; who is behind them may differ where the numbers do not."""
    if _sets(kept) == _sets(facts):
        return []
    counted, fact = _numbers(kept), _numbers(facts)
    names = [name for name in counted if counted[name] != fact[name]] or [*BITMAPS]
    return [Difference(org_id, None, name, counted[name], fact[name], iso(day)) for name in names]


def _sets(cells: list[Cell]) -> list[tuple[object, ...]]:
    """The same, where bitmaps are equal whenever what is in them is."""
    return [(*cell[:-3], *(united([bitmap]) for bitmap in cell[-3:])) for cell in cells]


def _numbers(cells: list[Cell]) -> dict[str, int]:
    """The counts of all parts of a day, and how many people and spaces are in any of them."""
    sizes = {name: len(united(getattr(cell, name) for cell in cells)) for name in BITMAPS}
    return added(cell.counts for cell in cells)._asdict() | sizes
