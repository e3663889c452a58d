"""What happened to an organization's messages lately."""

import msgspec

from postroom.domain import ids, usage
from postroom.domain.clock import DAY, Clock
from postroom.domain.usage import GROUPS, Kind, Totals, UsageEvent
from postroom.store import organizations
from postroom.store import usage as usage_store
from postroom.store.database import Database


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


class Statistics:
    """Reads what was counted."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def messages(self, org_id: str) -> Stats:
        """The counters at this moment; costs the same whatever was counted."""
        now = self._clock()
        organization = await organizations.find(self._database, org_id)
        zone = organization.time_zone if organization else "UTC"
        edges = msgspec.structs.astuple(usage.windows(now, zone))
        return Stats(*await usage_store.totals_since(self._database, org_id, edges))

    async def events(self, org_id: str, group: str, after: str | None, limit: int) -> list[Event]:
        """At most `limit` events of a group (a key of `GROUPS`) after an id, oldest first, 24 hours back."""
        oldest = ids.lowest(self._clock() - DAY)
        after = oldest if after is None else max(after, oldest)
        found = await usage_store.events_after(self._database.apart, org_id, after, GROUPS[group], limit)
        return [_event(*each) for each in found]


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
