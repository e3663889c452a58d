"""Probing liveness URLs: who, how often, and what it leads to."""

from contextlib import AsyncExitStack

import pytest

from postroom.domain.listener import Listener
from postroom.domain.liveness import Liveness
from postroom.domain.retry import Policy
from postroom.service.hub import Hub
from tests.acceptance.house import until
from tests.acceptance.receiver import Receiver, answer, hanging
from tests.support.clock import MovingClock
from tests.support.home import Home
from tests.support.hub import opened, place, rows
from tests.support.workers import delivering, probing, unwritable

pytestmark = pytest.mark.anyio

BUSY, IDLE = 100, 60_000  # ms


async def findings(hub: Hub, listener: Listener) -> Liveness:
    """What the probes of a listener found so far."""
    return (await hub.listeners.report(listener)).liveness


async def probed(hub: Hub, listener: Listener, recent: str) -> None:
    """Wait until the last results are these, newest last."""
    await until(lambda: findings(hub, listener), lambda found: found.recent == recent)


async def test_the_state_follows_the_answers(home: Home) -> None:
    """2xx is life; an error status, and a redirect, are not. One probe for each step of the clock."""
    behaviours = answer(200), answer(500), answer(302), answer(404), answer(204)
    clock = MovingClock()
    async with opened(home, clock) as hub, Receiver() as receiver, probing(hub, BUSY, IDLE):
        here = await place(hub)
        listener = await here.listener(liveness_url=receiver.on("/live", *behaviours))
        states = []
        for recent in ("1", "10", "100", "1000", "10001"):
            await probed(hub, listener, recent)
            states.append((await hub.listeners.report(listener)).liveness.state)
            clock.pass_(ms=IDLE)
        assert states == ["stable", "unstable", "unstable", "dead", "unstable"]
        assert {got.method for got in receiver.got("/live")} == {"GET"}


async def test_the_busy_are_probed_more_often(home: Home) -> None:
    """What waits or has failed lately is asked every busy interval, the others every idle one."""
    clock = MovingClock()
    async with opened(home, clock) as hub, Receiver() as receiver, probing(hub, BUSY, IDLE):
        here, there = await place(hub), await place(hub)
        busy = await here.listener(liveness_url=receiver.url("/busy"))
        failing = await there.listener(liveness_url=receiver.on("/failing", answer(500)))
        idle = await there.listener(liveness_url=receiver.url("/idle"))
        await here.send()
        for count in range(1, 5):
            await probed(hub, busy, "1" * count)
            await probed(hub, failing, "0" * count)
            await probed(hub, idle, "1")
            clock.pass_(ms=BUSY)
        clock.pass_(ms=IDLE - 4 * BUSY)
        await probed(hub, idle, "11")
        assert len(receiver.got("/idle")) == 2


async def test_one_that_hangs_holds_up_nobody(home: Home) -> None:
    """It is asked once at a time, while the others are asked as before."""
    clock = MovingClock()
    async with opened(home, clock) as hub, Receiver() as receiver, probing(hub, BUSY, IDLE):
        here = await place(hub)
        await here.listener(liveness_url=receiver.on("/hanging", hanging()))
        healthy = await here.listener(liveness_url=receiver.url("/healthy"))
        for count in range(1, 4):
            await probed(hub, healthy, "1" * count)
            clock.pass_(ms=IDLE)
        assert len(receiver.got("/hanging")) == 1


async def test_switched_off_is_not_asked(home: Home) -> None:
    """Nor one that is deleted; switched on again it is."""
    clock = MovingClock()
    async with opened(home, clock) as hub, Receiver() as receiver:
        here = await place(hub)
        off = await here.listener(liveness_url=receiver.url("/off"))
        gone = await here.listener(liveness_url=receiver.url("/gone"))
        on = await here.listener(liveness_url=receiver.url("/on"))
        await hub.listeners.update(here.org_id, here.queue_id, off.id, status="disabled")
        await hub.listeners.delete(here.org_id, here.queue_id, gone.id)
        async with probing(hub, BUSY, IDLE):
            await probed(hub, on, "1")
            clock.pass_(ms=IDLE)
            await probed(hub, on, "11")
            assert receiver.got("/off") == receiver.got("/gone") == []
            await hub.listeners.update(here.org_id, here.queue_id, off.id, status="enabled")
            await receiver.received("/off")


async def test_findings_survive_a_restart(home: Home) -> None:
    """So does the time of the last probe: a restart does not ask everybody at once."""
    clock = MovingClock()
    async with Receiver() as receiver:
        async with opened(home, clock) as hub, probing(hub, BUSY, IDLE):
            here = await place(hub)
            listener = await here.listener(liveness_url=receiver.url("/old"))
            await probed(hub, listener, "1")
        async with opened(home, clock) as hub, probing(hub, BUSY, IDLE):
            fresh = await hub.listeners.create(
                here.org_id, here.queue_id, "fresh", receiver.url("/"), receiver.url("/fresh")
            )
            await probed(hub, fresh, "1")
            assert len(receiver.got("/old")) == 1
            clock.pass_(ms=IDLE)
            await probed(hub, listener, "11")


async def test_death_holds_deliveries_and_life_releases_them(home: Home) -> None:
    """Prober and deliverer together: what waits for a dead receiver goes as soon as it answers."""
    async with opened(home, policy=Policy((0, 3_600_000, 3_600_000), 0)) as hub, Receiver() as receiver:
        here = await place(hub)
        live = receiver.on("/live", answer(200), answer(500))
        listener = await here.listener(receiver.on("/notify", answer(500)), live)
        async with delivering(hub), probing(hub, 10, 10):
            await until(
                lambda: findings(hub, listener),
                lambda found: found.state == "dead" and found.holds_deliveries,
            )
            await here.send()
            probes = len(receiver.got("/live"))
            await receiver.received("/live", probes + 3)
            assert receiver.got("/notify") == []
            receiver.on("/live", answer(200))
            await receiver.received("/notify", 1)
            assert (await here.counts(listener)).pending == 1


async def test_a_store_that_takes_nothing_ends_no_probing(home: Home) -> None:
    """What was found meanwhile is lost, and found again."""
    async with opened(home) as hub, Receiver() as receiver:
        here = await place(hub)
        listener = await here.listener(liveness_url=receiver.url("/live"))
        async with AsyncExitStack() as meanwhile:
            await meanwhile.enter_async_context(unwritable(home))
            async with probing(hub, 10, 10):
                await receiver.received("/live", 2)
                assert rows(home, "SELECT count(*) FROM liveness") == [(0,)]
                await meanwhile.aclose()
                await until(lambda: findings(hub, listener), lambda found: found.success_count > 0)
