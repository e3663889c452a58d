"""What happened to an organization's messages lately."""

import asyncio
from typing import NamedTuple

import msgspec

from postroom.domain import ids, usage
from postroom.domain.clock import DAY, MINUTE, Clock
from postroom.domain.usage import GROUPS, Kind, Totals, UsageEvent
from postroom.service.ledger import Ledger
from postroom.store import organizations
from postroom.store import usage as usage_store
from postroom.store.database import Database

MOST_KEPT = 10_000
_PAUSES = (0.003, 0.006, 0.012, 0.024, 0)  # seconds
QUARTER = 15 * MINUTE  # in every time zone of today, midnight is on a quarter of an hour


class Stats(msgspec.Struct, frozen=True):
    """The twelve counters of each window, in the order of `Kind`."""

    last_24_hours: Totals
    last_1_hours: Totals
    today_so_far: Totals


class Named(msgspec.Struct, frozen=True):
    """A thing that an event is about; its name is None when it has none, or is gone."""

    id: str
    name: str | None


class Event(msgspec.Struct, frozen=True):
    """A usage event with what it is about."""

    id: str
    kind: Kind
    stored_at: int
    api_key: Named | None
    queue: Named | None
    listener: Named | None
    message: Named | None


class _Memo(NamedTuple):
    """An answer, and for how long it is the right one: while the stamp stays, and up to a time, ms."""

    stats: Stats
    stamp: object
    until: int


class Statistics:
    """Reads what was counted."""

    def __init__(self, database: Database, clock: Clock, ledger: Ledger) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._memos: dict[str, _Memo] = {}

    async def messages(self, org_id: str) -> Stats:
        """The counters at this moment; costs the same whatever was counted.

        The last answer is given again while it is still right: until the organization does something, here or
        in another process, or an event leaves a window.
        """
        now = self._clock()
        stamp = await self._stamp(org_id)
        memo = self._memos.get(org_id)
        if memo and memo.stamp == stamp and now <= memo.until:
            return memo.stats
        stats, until = await self._count(org_id, now)
        if len(self._memos) >= MOST_KEPT:
            self._memos.clear()
        self._memos[org_id] = _Memo(stats, stamp, until)
        return stats

    async def _stamp(self, org_id: str) -> object:
        """What differs as soon as something more of the organization is counted, wherever that is."""
        version = await self._database.version()
        if version is None:
            return await usage_store.stamp(self._database, org_id)
        return version, self._ledger.newest(org_id)

    async def _count(self, org_id: str, now: int) -> tuple[Stats, int]:
        """The counters, and the time, ms, up to which they stay while nothing is added."""
        organization = await organizations.find(self._database, org_id)
        edges = usage.windows(now, organization.time_zone if organization else "UTC")
        totals = await usage_store.totals_since(self._database, org_id, msgspec.structs.astuple(edges))
        until = now - now % QUARTER + QUARTER - 1
        for edge in (edges.last_24_hours, edges.last_1_hours):
            leaves = await usage_store.next_time(self._database, org_id, edge)
            if leaves is not None:
                until = min(until, now + leaves - edge)
        return Stats(*totals), until

    async def events(self, org_id: str, group: str, after: str | None, limit: int) -> list[Event]:
        """At most `limit` events of a group (a key of `GROUPS`) after an id, oldest first, 24 hours back.

        None that is listed later comes before one that is listed now.
        """
        oldest = ids.lowest(self._clock() - DAY)
        after = oldest if after is None else max(after, oldest)
        now = self._clock()
        for pause in _PAUSES:
            settled = await self._database.settled()
            found = await usage_store.events_after(self._database.apart, org_id, after, GROUPS[group], limit)
            events = [_event(*each) for each in found]
            listed = [event for event in events if settled is None or event.stored_at < settled]
            if settled is None or settled > now or len(listed) == len(events):
                break
            await asyncio.sleep(pause)  # what was just written is settled in the next milliseconds
        return listed


def _event(event: UsageEvent, queue_name: str | None, listener_name: str | None) -> Event:
    """The subject has the name it had then, all else the name it has today."""
    subject = usage.NAMES[event.kind].split("_")[0]
    return Event(
        event.id,
        event.kind,
        ids.time_of(event.id),
        _named(event.api_key_id, event.name),
        _named(event.queue_id, event.name if subject == "queue" else queue_name),
        _named(event.listener_id, event.name if subject == "listener" else listener_name),
        _named(event.message_id, event.name),
    )


def _named(identifier: str | None, name: str | None) -> Named | None:
    return None if identifier is None else Named(identifier, name)
