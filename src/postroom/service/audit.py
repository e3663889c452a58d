"""Holds what was counted against the facts."""

import msgspec

from postroom.domain.listener import Counts
from postroom.store import deliveries, listeners
from postroom.store import organizations as organizations_store
from postroom.store.database import Database


class Difference(msgspec.Struct, frozen=True):
    """A count that is not what counting the facts gives."""

    organization: str
    listener: str
    counter: str
    counted: int
    facts: int


class Audit:
    """The promise that accepted = delivered + pending + failed + discarded, for every listener."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def differences(self) -> list[Difference]:
        """Every listener's counts that its deliveries contradict; none, if Postroom keeps its promise."""
        found: list[Difference] = []
        for organization in await organizations_store.every(self._database):
            counts = await listeners.every_count(self._database, organization.id)
            living = {listener.id for listener in await listeners.of(self._database, organization.id)}
            rows = await deliveries.pending_counts(self._database, organization.id)
            for listener_id in sorted(living | counts.keys()):
                count = counts.get(listener_id, Counts())
                # What a deleted listener was owed is discarded at once; its rows are removed later.
                pending = rows.get(listener_id, 0) if listener_id in living else 0
                if count.pending != pending:
                    found.append(Difference(organization.id, listener_id, "pending", count.pending, pending))
        return found
