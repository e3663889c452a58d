"""Usage events and running totals in the database."""

from collections import defaultdict

from postroom.domain import ids
from postroom.domain.usage import BEGINNING, NOTHING, Kind, Segment, Totals, UsageEvent, minus, plus
from postroom.store.database import Reader, Row, Transaction

FOREVER = 1 << 62


async def append(
    tx: Transaction, series: int, at: int, events: list[UsageEvent], newest: dict[str, Segment]
) -> dict[str, Segment]:
    """Keep the events of one commit, all of the time `at`, and count each of them in the running totals.

    `newest` has the newest segments of organizations as far as they are known; answers those that are new.
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
    segments: dict[str, Segment] = {}
    for org_id, totals in added.items():
        before = newest.get(org_id) or await _newest(tx, org_id, series)
        segments[org_id] = before.with_more(at, tuple(totals))
    await tx.execute_many(
        "write_segment",
        [(org_id, series, s.started_at, s.last_at, s.events, *s.totals) for org_id, s in segments.items()],
    )
    return segments


async def _newest(reader: Reader, org_id: str, series: int) -> Segment:
    rows = await reader.fetch("newest_segment", org_id, series)
    return _segment(rows[0]) if rows else BEGINNING


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
    rows = await reader.fetch("last_event_time")
    return rows[0][0] or 0


async def delete_some_events(tx: Transaction, org_id: str, before: str, limit: int) -> int:
    """Delete at most `limit` of the oldest events with ids below `before`; answers how many."""
    return len(await tx.fetch("delete_some_usage_events", org_id, before, limit))


async def thin_some(
    tx: Transaction, org_id: str, series: int, start: int, end: int, step: int, limit: int
) -> list[int]:
    """Delete some segments that are not the last of their `step` ms; answers when they started."""
    return [at for (at,) in await tx.fetch("thin_some_totals", org_id, series, start, end, step, limit)]


async def every_series(reader: Reader) -> list[int]:
    """The series of running totals that were ever written."""
    return [series for (series,) in await reader.fetch("list_series")]


async def mark_process(tx: Transaction, series: int, at: int) -> None:
    """The process that writes this series is alive at `at`, ms."""
    await tx.execute("mark_process", series, at)


def _segment(row: Row) -> Segment:
    started_at, last_at, events, *totals = row
    return Segment(started_at, last_at, events, tuple(totals))
