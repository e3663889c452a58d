"""Removes what is over: a few rows at a time, so that nobody waits for it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from postroom.domain import ids
from postroom.domain.clock import DAY, HOUR, MINUTE, Clock
from postroom.service.ledger import Entry, Ledger
from postroom.store import deliveries, messages, processes, removals, usage
from postroom.store import organizations as organizations_store
from postroom.store.database import Database

SOME = 500
MINUTES_AFTER = 25 * HOUR
HOURS_AFTER = 8 * DAY


class _NoMore(Exception):
    """Another process is to go on."""


class Retention:
    """Keeps messages `message_age` ms after their last delivery ended, and usage events `event_age` ms."""

    def __init__(
        self, ledger: Ledger, database: Database, clock: Clock, message_age: int, event_age: int
    ) -> None:
        self._ledger = ledger
        self._database = database
        self._clock = clock
        self._message_age = message_age
        self._event_age = event_age
        self._thinned = {MINUTE: 0, HOUR: 0}
        self._may: Callable[[], bool] = lambda: True

    async def sweep(self, may: Callable[[], bool] = lambda: True) -> None:
        """Remove all that is over by now, for as long as it `may`; what is left is for whoever may next."""
        self._may = may
        with suppress(_NoMore):
            await self._sweep()

    async def _sweep(self) -> None:
        await self._finish_removals()
        now = self._clock()
        for organization in await organizations_store.every(self._database):
            await self._old_messages(organization.id, now - self._message_age)
            await self._old_events(organization.id, now - self._event_age)
            await self._thin(organization.id, now)
        self._thinned = {MINUTE: now - MINUTES_AFTER, HOUR: now - HOURS_AFTER}

    async def _finish_removals(self) -> None:
        for org_id, removed_id, kind in await removals.every(self._database):
            more = True
            while more:
                more = await self._remove_some(org_id, removed_id, kind)
                await self._between()

    async def _remove_some(self, org_id: str, removed_id: str, kind: str) -> bool:
        async def body(entry: Entry) -> bool:
            if kind == "queue":
                count = await messages.delete_some_of_queue(entry.tx, org_id, removed_id, SOME)
            else:
                count = await deliveries.discard_some(entry.tx, org_id, removed_id, entry.at, SOME)
            if count < SOME:
                await removals.done(entry.tx, org_id, removed_id)
            return count == SOME

        return await self._ledger.commit(body)

    async def _old_messages(self, org_id: str, before: int) -> None:
        after, some = "", await self._some_old(org_id, "", before)
        while some:
            await self._delete(
                org_id, [message for message, ended_at in some if ended_at is not None and ended_at < before]
            )
            await self._between()
            after = some[-1][0]
            some = await self._some_old(org_id, after, before) if len(some) == SOME else []

    async def _some_old(self, org_id: str, after: str, before: int) -> list[tuple[str, int | None]]:
        return await messages.some_old(self._database.apart, org_id, after, ids.lowest(before), SOME)

    async def _delete(self, org_id: str, message_ids: list[str]) -> None:
        if message_ids:
            await self._ledger.commit(lambda entry: messages.delete(entry.tx, org_id, message_ids))

    async def _old_events(self, org_id: str, before: int) -> None:
        deleted = SOME
        while deleted == SOME:
            deleted = await self._ledger.commit(
                lambda entry: usage.delete_some_events(entry.tx, org_id, ids.lowest(before), SOME)
            )
            await self._between()

    async def _thin(self, org_id: str, now: int) -> None:
        """Keep the last totals of each minute after 25 hours, of each hour after 8 days, for good."""
        for series in await processes.every_series(self._database):
            for step, age in ((MINUTE, MINUTES_AFTER), (HOUR, HOURS_AFTER)):
                start = self._thinned[step] - step
                await self._thin_between(org_id, series, start, now - age, step)

    async def _thin_between(self, org_id: str, series: int, start: int, end: int, step: int) -> None:
        while start < end:
            deleted = await self._thin_some(org_id, series, start, end, step)
            await self._between()
            start = max(deleted) if len(deleted) == SOME else end

    async def _thin_some(self, org_id: str, series: int, start: int, end: int, step: int) -> list[int]:
        return await self._ledger.commit(
            lambda entry: usage.thin_some(entry.tx, org_id, series, start, end, step, SOME)
        )

    async def _between(self) -> None:
        """Between two transactions others work; on the embedded database nothing else makes the loop turn.

        Raises:
            _NoMore: this process may not sweep any more.
        """
        await asyncio.sleep(0)
        if not self._may():
            raise _NoMore
