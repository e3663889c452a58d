"""What probes found, and who is to be probed."""

import pytest

from postroom.domain.liveness import Liveness
from postroom.domain.retry import Policy
from tests.support.clock import NOON, MovingClock
from tests.support.home import Home
from tests.support.hub import opened, place, rows

pytestmark = pytest.mark.anyio


async def test_findings_add_up_and_are_kept(home: Home) -> None:
    """Counts, the last results and the time, also across a restart."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        here = await place(hub)
        listener = await here.listener()
        for answered in (True, False, True):
            await hub.probes.found((here.org_id, listener.id), answered)
            clock.pass_(seconds=1)
    async with opened(home, clock) as hub:
        report = await hub.listeners.report(listener)
        assert report.liveness == Liveness(2, 1, "101", NOON + 2_000)


async def test_a_deleted_listener_is_not_brought_back(home: Home) -> None:
    """A probe that was under way when it was deleted leaves nothing behind."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        listener = await here.listener()
        await hub.listeners.delete(here.org_id, here.queue_id, listener.id)
        await hub.probes.found((here.org_id, listener.id), True)
    assert rows(home, "SELECT count(*) FROM liveness") == [(0,)]


async def test_who_is_busy(home: Home) -> None:
    """While something is pending, was missed, or a probe failed lately; else it is idle."""
    clock = MovingClock()
    async with opened(home, clock, policy=Policy((0,))) as hub:
        here = await place(hub)
        listener = await here.listener()

        async def busy() -> bool:
            (probed,) = await hub.probes.every()
            return probed.busy

        assert not await busy()
        await here.send()
        assert await busy()
        await here.try_all(listener, 200)
        assert not await busy()
        await hub.probes.found((here.org_id, listener.id), False)
        assert await busy()
        for _ in range(10):
            await hub.probes.found((here.org_id, listener.id), True)
        assert not await busy()
        message_id = await here.send()
        await hub.messages.delete(here.org_id, here.queue_id, message_id)
        assert not await busy()
        await here.send()
        await here.try_all(listener, 500)
        assert await busy()


async def test_a_listener_switched_off_is_not_probed(home: Home) -> None:
    """Nor one that is deleted."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        off, gone, on = await here.listener(), await here.listener(), await here.listener()
        await hub.listeners.update(here.org_id, here.queue_id, off.id, status="disabled")
        await hub.listeners.delete(here.org_id, here.queue_id, gone.id)
        (probed,) = await hub.probes.every()
        assert probed.key == (here.org_id, on.id)
        assert (probed.liveness_url, probed.checked_at) == (on.liveness_url, None)


async def test_death_and_life_change_whether_a_lane_is_open(home: Home) -> None:
    """Three failures close it if it ever answered, one answer opens it."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        listener = await here.listener()
        seen = []
        for answered in (False, False, False, True, False, False, False, False, True):
            await hub.probes.found((here.org_id, listener.id), answered)
            lane = await hub.deliveries.lane(here.org_id, listener.id)
            assert lane is not None
            seen.append(lane.open)
    assert seen == [True, True, True, True, True, True, False, False, True]
