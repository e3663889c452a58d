"""Counts are facts: whatever happens, every number is what counting one by one gives."""

from collections import Counter
from typing import Final

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from postroom.domain.clock import DAY, HOUR, MINUTE, SECOND
from postroom.domain.ids import LATEST, lowest
from postroom.domain.listener import MISSED_SHOWN, Counts
from postroom.domain.usage import GROUPS
from postroom.store import listeners as listeners_store
from tests.support.clock import NOON, MovingClock
from tests.support.history import Fact, fact_of
from tests.support.home import Home
from tests.support.world import NAMES, Step, Tenant, World

pytestmark = pytest.mark.anyio

# The clocks of Europe, the Azores and Troll change at 2025-03-30 01:00 UTC, and back at 2025-10-26 01:00 UTC.
CHANGES: Final = (1_743_296_400_000, 1_761_440_400_000)
ZONES: Final = ("Europe/Berlin", "Atlantic/Azores", "Antarctica/Troll", "Asia/Kathmandu")
OFTEN: Final = (
    "send",
    "send",
    "send",
    "attempt",
    "attempt",
    "begin_attempts",
    "end_attempts",
    "reach_edge",
    "reach_edge",
)

beginnings = st.sampled_from([NOON, *CHANGES]) | st.builds(
    lambda change, before: change - before, st.sampled_from(CHANGES), st.integers(0, 30 * HOUR)
)
waits = st.sampled_from(
    [0, 0, 0, 1, 999, SECOND, MINUTE, HOUR - 1, HOUR, HOUR + 1, DAY - 1, DAY, DAY + 1, -MINUTE, -2 * HOUR]
) | st.one_of(st.integers(0, 5 * SECOND), st.integers(0, 26 * HOUR), st.integers(0, 40 * DAY))
steps = st.builds(
    Step,
    st.sampled_from(NAMES + OFTEN),
    st.integers(0, 1),
    st.integers(0, 7),
    st.integers(1, 4),
    st.sampled_from([False, False, False, True]),
    st.integers(0, 1),
)
stories = st.lists(st.tuples(waits, steps), min_size=5, max_size=40)


@given(beginnings, st.sampled_from(ZONES), stories)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@example(
    NOON,
    ZONES[0],
    [
        (0, Step("send")),
        (0, Step("send", by_command=True)),
        (500, Step("send")),
        (0, Step("send", by_command=True)),
        (HOUR, Step("send")),
    ],
)
@example(
    CHANGES[1] + 30 * MINUTE,
    "Atlantic/Azores",
    [(0, Step("send", 1)), (-HOUR, Step("restart")), (MINUTE, Step("send", 1))],
)
async def test_every_number_is_what_counting_gives(
    home: Home, beginning: int, zone: str, story: list[tuple[int, Step]]
) -> None:
    """Statistics, events, listeners' counts and the audit, after each step, in two organizations."""
    home.clear()
    async with World(home, MovingClock(beginning)) as world:
        for time_zone in ("UTC", zone):
            await world.settle_in(time_zone)
        await compare(world)
        for wait, step in story:
            world.clock.pass_(ms=wait)
            await compare(world)
            await world.happen(step)
            await compare(world)


async def compare(world: World) -> None:
    """Everything that can be read, against the plain list."""
    for tenant in world.tenants:
        for process in world.processes:
            now = process.hub.clock()
            assert await process.hub.statistics.messages(tenant.org_id) == tenant.history.stats(now)
        await compare_events(world, tenant)
        await compare_counts(world, tenant)
        await compare_messages(world, tenant)
    assert await world.hub.audit.differences() == []


async def compare_events(world: World, tenant: Tenant) -> None:
    """The list of the past day, read from the start in pages of a size that varies."""
    groups, length = list(GROUPS), len(tenant.history.facts)
    group, limit = groups[length % len(groups)], 3 + length % 5
    wanted = tenant.history.events(world.hub.clock(), group)
    found, after = list[Fact](), None
    while page := await world.hub.statistics.events(tenant.org_id, group, after, limit):
        assert len(page) <= limit
        assert [event.id for event in page] == sorted({event.id for event in page})
        assert after is None or page[0].id > after
        found += [fact_of(event) for event in page]
        after = page[-1].id
    assert [fact.at for fact in found] == sorted(fact.at for fact in wanted)
    assert Counter(found) == Counter(wanted)


async def compare_counts(world: World, tenant: Tenant) -> None:
    """What became of each listener's deliveries, also of those that are deleted."""
    wanted = {
        listener_id: Counts(o.accepted, o.delivered, o.failed, o.discarded)
        for listener_id, o in tenant.history.owing.items()
        if o.accepted or o.discarded
    }
    counted = await listeners_store.every_count(world.hub.database, tenant.org_id)
    assert {key: counts for key, counts in counted.items() if counts != Counts()} == wanted
    for listener in tenant.listeners:
        report = await world.hub.listeners.report(listener)
        owing = tenant.history.owing[listener.id]
        assert report.counts.pending == len(owing.pending)
        assert report.missed == owing.missed[::-1][:MISSED_SHOWN]


async def compare_messages(world: World, tenant: Tenant) -> None:
    """The messages that are there."""
    found = await world.hub.messages.newest(tenant.org_id, None, lowest(LATEST), 1_000)
    assert [message.id for message in found] == sorted(tenant.messages, reverse=True)
