"""Windows exact to the millisecond, at a cost that does not grow."""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from postroom.domain.clock import DAY, HOUR, MINUTE, SECOND
from postroom.domain.usage import SEGMENT_EVENTS, Kind
from postroom.service.hub import Hub
from postroom.service.retention import Retention
from postroom.service.stats import Named
from postroom.service.waiting import MOST_TOGETHER
from tests.support.clock import NOON, MovingClock
from tests.support.home import Home
from tests.support.hub import Place, opened, place, rows

pytestmark = pytest.mark.anyio

ADDED = Kind.MESSAGE_ADDED
SEGMENTS = """
    SELECT series, started_at, last_at, events, message_added FROM usage_totals
    WHERE org_id = $1 ORDER BY series, started_at
"""


async def added(hub: Hub, org_id: str) -> tuple[int, int, int]:
    """Messages added, in the last 24 hours, the last hour and today so far."""
    stats = await hub.statistics.messages(org_id)
    return stats.last_24_hours[ADDED], stats.last_1_hours[ADDED], stats.today_so_far[ADDED]


def retention(hub: Hub) -> Retention:
    """The default ages."""
    return Retention(hub.ledger, hub.database, hub.clock, 30 * DAY, 8 * DAY)


def within(times: list[int], now: int, window: int) -> int:
    """How many times lie in the window that ends now."""
    return sum(now - window <= at for at in times)


async def test_nothing_happened(home: Home) -> None:
    """An organization without events, and one that does not exist: all zero."""
    async with opened(home, MovingClock()) as hub:
        organization = await hub.organizations.create("quiet")
        for org_id in (organization.id, "-" * 21):
            stats = await hub.statistics.messages(org_id)
            assert stats.last_24_hours == stats.last_1_hours == stats.today_so_far == (0,) * 12


@pytest.mark.parametrize(("window", "which"), [(DAY, 0), (HOUR, 1)])
async def test_an_event_leaves_a_window_after_its_last_millisecond(
    home: Home, window: int, which: int
) -> None:
    """At exactly now - window it is inside; a millisecond later it is not."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
        for _ in range(3):
            await here.send()
            clock.pass_(ms=1)
        seen = []
        for after in range(-1, 5):
            clock.now = NOON + window + after
            seen.append((await added(hub, here.org_id))[which])
    assert seen == [3, 3, 2, 1, 0, 0]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu"])
async def test_today_begins_at_midnight(home: Home, zone: str) -> None:
    """Of the organization's zone: the last millisecond of yesterday is out, the first of today is in."""
    midnight = int(datetime(2025, 7, 15, tzinfo=ZoneInfo(zone)).timestamp()) * SECOND
    clock = MovingClock(midnight - 2)
    async with opened(home, clock) as hub:
        here = await place(hub, zone)
        seen = []
        for _ in range(5):
            await here.send()
            seen.append((await added(hub, here.org_id))[2])
            clock.pass_(ms=1)
    assert seen == [1, 2, 1, 2, 3]


@pytest.mark.parametrize(("month", "day", "hours"), [(3, 30, 23), (10, 26, 25), (7, 15, 24)])
async def test_days_are_as_long_as_they_are(home: Home, month: int, day: int, hours: int) -> None:
    """When the clocks change, today has 23 or 25 hours; one event in each of them."""
    zone = ZoneInfo("Europe/Berlin")
    clock = MovingClock(int(datetime(2025, month, day, tzinfo=zone).timestamp()) * SECOND)
    async with opened(home, clock) as hub:
        here = await place(hub, "Europe/Berlin")
        for _ in range(hours):
            await here.send()
            clock.pass_(hours=1)
        clock.pass_(ms=-1)
        assert (await added(hub, here.org_id))[2] == hours
        clock.pass_(ms=1)
        assert (await added(hub, here.org_id))[2] == 0


async def test_organizations_do_not_count_each_other(home: Home) -> None:
    """Also when their events are of one commit."""
    async with opened(home, MovingClock()) as hub:
        one, other = await place(hub), await place(hub)
        await asyncio.gather(one.send_many(3), other.send_many(5))
        assert await added(hub, one.org_id) == (3, 3, 3)
        assert await added(hub, other.org_id) == (5, 5, 5)


async def busy_second(here: Place, clock: MovingClock) -> list[int]:
    """More than three thousand events within one second, many in some milliseconds; when each was."""
    times: list[int] = []
    for count in (1, 255, 1, 40, 400, 300, 1, 255, 256, 257, 600, 1, 800, 3):
        await here.send_many(count)
        times += [clock.now] * count
        clock.pass_(ms=60)
    return times


async def test_a_busy_second_is_split(home: Home) -> None:
    """However much happens in a second, the events between an edge and the totals beside it are few."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
        times = await busy_second(here, clock)
        segments = rows(home, SEGMENTS, here.org_id)
        for window, which in ((HOUR, 1), (DAY, 0)):
            for at in sorted({edge + near for edge in times for near in (-1, 0, 1)}):
                clock.now = at + window
                assert (await added(hub, here.org_id))[which] == within(times, clock.now, window)
    assert len(segments) > len(times) / (SEGMENT_EVENTS + MOST_TOGETHER)
    assert max(events for *_, events, _ in segments) < SEGMENT_EVENTS + MOST_TOGETHER
    assert {started // SECOND for _, started, *_ in segments} == {NOON // SECOND}
    assert all(a[0] < b[0] or a[2] < b[1] for a, b in pairwise(segments))


async def test_reading_does_not_count_what_lies_inside(home: Home) -> None:
    """The totals answer, not the raw events: without those inside a window nothing changes."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
        for _ in range(5):
            await here.send_many(20)
            clock.pass_(minutes=10)
        before = await added(hub, here.org_id)
        rows(home, "DELETE FROM usage_events")
        assert await added(hub, here.org_id) == before == (100, 100, 100)


def across_two_days(clock: MovingClock) -> Iterator[int]:
    """Times of events: several in some minutes, some minutes in most hours."""
    for number in range(180):
        yield clock.now
        clock.pass_(ms=(7, 40 * SECOND, 61 * MINUTE, 400, 13 * MINUTE)[number % 5])


async def test_thinning_changes_no_answer(home: Home) -> None:
    """Rows are thinned after 25 hours; the windows, a day of 25 hours too, are answered as before."""
    clock, times = MovingClock(1_761_350_400_000), list[int]()  # 2025-10-25 00:00 UTC; a long day follows
    async with opened(home, clock) as hub:
        here, keeper = await place(hub, "Europe/Berlin"), retention(hub)
        midnights = [
            int(datetime(2025, 10, d, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()) for d in (25, 26, 27)
        ]
        for at in across_two_days(clock):
            await here.send()
            times.append(at)
            if len(times) % 9 == 0:
                await keeper.sweep()
            today = max(m * SECOND for m in midnights if m * SECOND <= clock.now)
            assert await added(hub, here.org_id) == (
                within(times, clock.now, DAY),
                within(times, clock.now, HOUR),
                within(times, clock.now, clock.now - today),
            )


def totals_kept(home: Home, here: Place) -> dict[tuple[int, int], int]:
    """The messages that a series had counted by the end of each row of totals that is kept, in order.

    By series, and when the row started.
    """
    return {(series, at): added for series, at, _, _, added in rows(home, SEGMENTS, here.org_id)}


def lasts(whole: Iterable[tuple[int, int]], step: int) -> list[tuple[int, int]]:
    """Of each series, the last row of each step."""
    return list({(series, at // step): (series, at) for series, at in whole}.values())


async def test_totals_are_thinned_and_kept_for_ever(home: Home) -> None:
    """By the minute after 25 hours, by the hour after 8 days: the last of each stays as it was."""
    clock, times = MovingClock(), list[int]()
    async with opened(home, clock) as hub:
        here, keeper = await place(hub), retention(hub)
        for at in across_two_days(clock):
            await here.send()
            times.append(at)
        whole = totals_kept(home, here)
        for later, step in ((25 * HOUR + 1, MINUTE), (8 * DAY + 1, HOUR), (800 * DAY, HOUR)):
            clock.now = times[-1] + later
            await keeper.sweep()
            kept = totals_kept(home, here)
            assert kept == {key: whole[key] for key in lasts(whole, step)}
        assert len(kept) < len(whole)
        assert await added(hub, here.org_id) == (0, 0, 0)
        await here.send()
        newest = {series: count for (series, _), count in totals_kept(home, here).items()}
        assert sum(newest.values()) == len(times) + 1


async def test_a_sweep_that_failed_halfway_is_made_up_for(home: Home) -> None:
    """A process that starts later thins what an earlier one left."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
        for _ in across_two_days(clock):
            await here.send()
    whole = totals_kept(home, here)
    clock.pass_(days=20)
    async with opened(home, clock) as hub:
        await retention(hub).sweep()
    assert list(totals_kept(home, here)) == lasts(whole, HOUR)
    assert len(lasts(whole, HOUR)) < len(whole)


async def test_a_clock_that_steps_back_is_held(home: Home) -> None:
    """Also across a restart: nothing is stamped earlier than what was counted, or counted twice."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
        await here.send()
    clock.pass_(hours=-5)
    async with opened(home, clock) as hub:
        again = Place(hub, here.org_id, here.queue_id)
        await again.send()
        clock.pass_(minutes=10)
        await again.send()
        assert await added(hub, here.org_id) == (3, 3, 3)
        events = await hub.statistics.events(here.org_id, "messages", None, 100)
        assert min(event.stored_at for event in events) >= NOON
        clock.now = NOON + HOUR + MINUTE
        assert await added(hub, here.org_id) == (3, 0, 3)


async def test_a_restart_while_the_clock_stands_still_skips_no_event(home: Home) -> None:
    """Whoever reads on from the last event sees all that come after it, whichever process made them."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
    seen = list[str]()
    for _ in range(8):
        async with opened(home, clock) as hub:
            await Place(hub, here.org_id, here.queue_id).send()
            after = seen[-1] if seen else None
            seen += [event.id for event in await hub.statistics.events(here.org_id, "messages", after, 10)]
    assert len(seen) == 8


async def test_a_command_beside_the_server_is_counted_with_it(home: Home) -> None:
    """Two processes, two series of totals: at each edge both are cut where they should be."""
    clock, times = MovingClock(), list[int]()
    async with opened(home, clock) as server, opened(home, clock) as command:
        here = await place(server)
        there = Place(command, here.org_id, here.queue_id)
        for number in range(40):
            await (here, there)[number % 3 == 0].send()
            times.append(clock.now)
            clock.pass_(ms=(0, 3, 250)[number % 3])
        for hub in (server, command):
            for at in sorted({edge + near for edge in times for near in (-1, 0, 1)}):
                clock.now = max(clock.now, at + HOUR)
                assert (await added(hub, here.org_id))[1] == within(times, clock.now, HOUR)


def named(*things: Named | None) -> list[str | None]:
    """The names of what is there."""
    return [thing.name for thing in things if thing is not None]


async def test_an_event_has_the_name_that_its_subject_had(home: Home) -> None:
    """A queue that was renamed was added under its old name."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        old = (await hub.queues.get(here.org_id, here.queue_id)).name
        await hub.queues.update(here.org_id, here.queue_id, "new")
        events = await hub.statistics.events(here.org_id, "queues", None, 10)
        assert named(*(event.queue for event in events)) == [old, "new"]


async def test_an_attempt_names_what_it_was_about(home: Home) -> None:
    """Queue, listener and message, by the names of today; what is gone has its id, and no name."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        listener = await here.listener()
        message_id = await hub.messages.accept(here.org_id, here.queue_id, "x", "the message")
        await here.try_all(listener)
        await hub.queues.update(here.org_id, here.queue_id, "the queue")
        key = here.org_id, here.queue_id, listener.id
        await hub.listeners.update(*key, name="the listener")
        added, attempt = await hub.statistics.events(here.org_id, "messages", None, 10)
        assert named(added.queue, added.listener, added.message) == ["the queue", "the message"]
        assert named(attempt.queue, attempt.listener) == ["the queue", "the listener"]
        assert attempt.message == Named(message_id, "the message")
        await hub.listeners.delete(*key)
        _, attempt = await hub.statistics.events(here.org_id, "messages", None, 10)
        assert attempt.listener == Named(listener.id, None)


async def test_events_of_the_past_day_only(home: Home) -> None:
    """Whatever cursor is given: at exactly 24 hours it is there, a millisecond later it is not."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
        await here.send()
        clock.now = NOON + DAY
        everything = await hub.statistics.events(here.org_id, "all", None, 10)
        assert [event.kind for event in everything] == [Kind.QUEUE_ADDED, ADDED]
        assert await hub.statistics.events(here.org_id, "all", "-" * 21, 10) == everything
        assert await hub.statistics.events(here.org_id, "all", everything[0].id, 10) == everything[1:]
        clock.pass_(ms=1)
        assert await hub.statistics.events(here.org_id, "all", None, 10) == []
        assert await hub.statistics.events(here.org_id, "all", "-" * 21, 10) == []
