"""Handlers of statistics and events."""

from postroom.domain import ids
from postroom.domain.usage import NAMES, Totals
from postroom.http.bodies import Client, Counters, Event, EventsAnswer, Named, StatsAnswer, Windows
from postroom.http.call import Call
from postroom.service import stats


async def get_messages(call: Call) -> StatsAnswer:
    """Count what happened in the last 24 hours, the last hour and today so far."""
    counted = await call.hub.statistics.messages(call.org_id)
    return StatsAnswer(
        aggregated_api_usage_events=Windows(
            _counters(counted.last_24_hours),
            _counters(counted.last_1_hours),
            _counters(counted.today_so_far),
        ),
        links=call.links("/messages/stats"),
    )


async def get_events(call: Call) -> EventsAnswer:
    """List what happened, oldest first, 24 hours back at the most."""
    limit, group = call.limit(), call.query.events
    found = await call.hub.statistics.events(call.org_id, group, _after(call), limit + 1)
    return EventsAnswer(
        events=[_event(call.org_id, each) for each in found[:limit]],
        links=call.links("/events", _next(group, found, limit)),
    )


def _after(call: Call) -> str | None:
    """The id after which to begin: the cursor's own, or the last possible of its millisecond."""
    if call.query.startAfterId is not None:
        return str(call.query.startAfterId)
    if call.query.startAfter is not None:
        return ids.lowest(min(call.query.startAfter, ids.LATEST) + 1)
    return None


def _next(group: str, found: list[stats.Event], limit: int) -> list[tuple[str, str]]:
    if len(found) <= limit:
        return []
    last = found[limit - 1]
    cursor = f"startAfter={last.stored_at}&startAfterId={last.id}"
    return [("next", f"/events?events={group}&limit={limit}&{cursor}")]


def _event(org_id: str, event: stats.Event) -> Event:
    return Event(
        event.id,
        NAMES[event.kind],
        event.stored_at,
        Client(org_id),
        _named(event.api_key),
        _named(event.queue),
        _named(event.listener),
        _named(event.message),
    )


def _named(thing: stats.Named | None) -> Named | None:
    return None if thing is None else Named(thing.id, thing.name)


def _counters(totals: Totals) -> Counters:
    return Counters(*totals)
