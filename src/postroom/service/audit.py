"""Holds what was counted against the facts."""

from functools import partial

import msgspec

from postroom.domain.clock import DAY, Clock
from postroom.domain.listener import Counts
from postroom.domain.usage import NAMES, NOTHING, plus
from postroom.store import deliveries, listeners, processes, usage
from postroom.store import organizations as organizations_store
from postroom.store.database import Database, Reader


class Difference(msgspec.Struct, frozen=True):
    """A count that is not what counting the facts gives."""

    organization: str
    listener: str | None
    counter: str
    counted: int
    facts: int


class Audit:
    """Holds a listener's counts against its deliveries, and the counters against the usage events."""

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
