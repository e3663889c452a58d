"""Usage events and running totals in the database."""

from collections import defaultdict
from collections.abc import Set

from postroom.domain import ids
from postroom.domain.clock import SECOND
from postroom.domain.usage import BEGINNING, NOTHING, Kind, Segment, Totals, UsageEvent, minus, plus
from postroom.store.database import Reader, Row, Transaction

FOREVER = 1 << 62


class Behind(Exception):
    """Events were counted at the time `last`, ms, and the clock of this process has not come to that."""

    def __init__(self, last: int) -> None:
        super().__init__(last)
        self.last = last


async def append(
    tx: Transaction, series: int, at: int, events: list[UsageEvent], newest: dict[str, Segment]
) -> dict[str, Segment]:
    """Keep the events of one commit, all of the time `at`, and count each of them in the running totals.

    `newest` has the newest segments of organizations as far as they are known; answers those that are new.

    Raises:
        Behind: whoever wrote the series before has counted later events already.
    """
    await tx.execute_many(
        "insert_usage_event",
        [
            (
                e.org_id,
                e.id,
                series,
                e.kind.value,
                e.api_key_id,
                e.queue_id,
                e.listener_id,
                e.message_id,
                e.name,
            )
            for e in events
        ],
    )
    added: defaultdict[str, list[int]] = defaultdict(lambda: list(NOTHING))
    for event in events:
        added[event.org_id][event.kind] += 1
    found = await _newest(tx, added.keys() - newest.keys(), series)
    if found and (last := max(segment.last_at for segment in found.values())) > at:
        raise Behind(last)
    segments: dict[str, Segment] = {}
    for org_id, totals in added.items():
        before = newest.get(org_id) or found.get(org_id, BEGINNING)
        segments[org_id] = before.with_more(at, tuple(totals))
    await tx.execute_many(
        "write_segment",
        [(org_id, series, s.started_at, s.last_at, s.events, *s.totals) for org_id, s in segments.items()],
    )
    return segments


async def _newest(tx: Transaction, org_ids: Set[str], series: int) -> dict[str, Segment]:
    # One after another: in a statement for several organizations, Citus refuses the query inside the query.
    rows = [row for org_id in org_ids for row in await tx.fetch("newest_segment", org_id, series)]
    return {row[0]: _segment(row[1:]) for row in rows}


async def stamp(reader: Reader, org_id: str) -> list[tuple[int, ...]]:
    """What changes whenever something of the organization is counted, in whatever series."""
    return [tuple(row) for row in await reader.fetch("newest_of_each_series", org_id)]


async def next_time(reader: Reader, org_id: str, at: int) -> int | None:
    """The time, ms, of the first event at or after `at`; None when there is none."""
    rows = await reader.fetch("next_event", org_id, ids.lowest(at))
    return ids.time_of(rows[0][0]) if rows else None


async def totals_since(reader: Reader, org_id: str, edges: tuple[int, int, int]) -> list[Totals]:
    """For each of three edges, what was counted at or after it, exact to the millisecond."""
    before = [NOTHING] * 4
    for row in await reader.fetch("segments_before", org_id, FOREVER, *edges):
        edge, series, segment = row[0], row[1], _segment(row[2:])
        passed = segment.totals
        if edge > 0 and segment.last_at >= edges[edge - 1]:
            rest = await count(reader, org_id, series, edges[edge - 1], segment.last_at)
            passed = minus(passed, rest)
        before[edge] = plus(before[edge], passed)
    return [minus(before[0], passed) for passed in before[1:]]


async def count(reader: Reader, org_id: str, series: int, start: int, end: int = ids.LATEST) -> Totals:
    """The events of one series from `start` to `end`, ms, both included, counted one by one."""
    counted = list(NOTHING)
    between = ids.lowest(start), ids.lowest(end + 1)
    for kind, number in await reader.fetch("count_events", org_id, *between, series):
        counted[kind] = number
    return tuple(counted)


async def events_after(
    reader: Reader, org_id: str, after: str, kinds: tuple[Kind, Kind], limit: int
) -> list[tuple[UsageEvent, str | None, str | None]]:
    """Events with ids above `after`, oldest first, each with its queue's and its listener's name of today."""
    query = "list_rare_usage_events" if kinds[1] < Kind.MESSAGE_ADDED else "list_usage_events"
    rows = await reader.fetch(query, org_id, after, limit, kinds[0].value, kinds[1].value)
    return [
        (UsageEvent(org_id, event_id, Kind(kind), *subject), queue_name, listener_name)
        for event_id, kind, *subject, queue_name, listener_name in rows
    ]


async def last_time(reader: Reader) -> int:
    """The latest time that was ever counted, ms; 0 for none."""
    ((started_at,),) = await reader.fetch("last_segment_start")
    if started_at is None:
        return 0
    # A segment that began a second or more before the last one ended before it.
    ((last_at,),) = await reader.fetch("last_event_time", started_at - SECOND)
    return int(last_at)


async def delete_some_events(tx: Transaction, org_id: str, before: str, limit: int) -> int:
    """Delete at most `limit` of the oldest events with ids below `before`; answers how many."""
    return len(await tx.fetch("delete_some_usage_events", org_id, before, limit))


async def thin_some(
    tx: Transaction, org_id: str, series: int, start: int, end: int, step: int, limit: int
) -> list[int]:
    """Delete some segments that are not the last of their `step` ms; answers when they started."""
    return [at for (at,) in await tx.fetch("thin_some_totals", org_id, series, start, end, step, limit)]


def _segment(row: Row) -> Segment:
    started_at, last_at, events, *totals = row
    return Segment(started_at, last_at, events, tuple(totals))
