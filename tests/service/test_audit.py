"""Holds what was counted against the facts."""

import pytest

from postroom.service.audit import Difference
from tests.support.clock import MovingClock
from tests.support.home import Home
from tests.support.hub import beside, execute, opened, place

pytestmark = pytest.mark.anyio


async def test_nothing_to_complain_about(home: Home) -> None:
    """With nothing there, and with deliveries in every state."""
    async with opened(home, MovingClock()) as hub:
        assert await hub.audit.differences() == []
        here = await place(hub)
        listener, gone = await here.listener(), await here.listener()
        await here.send_many(3)
        await here.try_all(listener, 200)
        await here.send()
        await hub.listeners.delete(here.org_id, here.queue_id, gone.id)
        assert await hub.audit.differences() == []


async def test_it_reads_beside_a_writer(home: Home) -> None:
    """Somebody else's write under way neither holds it up nor shows in it."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        await here.listener()
        await here.send_many(2)
        with beside(home) as connection:
            connection.execute("BEGIN")
            connection.execute("UPDATE listener_counts SET accepted = accepted + 1")
            assert await hub.audit.differences() == []
            connection.execute("ROLLBACK")


@pytest.mark.parametrize(
    ("damage", "counted", "facts"),
    [
        ("UPDATE listener_counts SET accepted = accepted + 1", 3, 2),
        ("UPDATE listener_counts SET delivered = delivered + 2", 0, 2),
        ("UPDATE deliveries SET state = 1", 2, 0),
        ("DELETE FROM messages", 2, 0),
        ("DELETE FROM listener_counts", 0, 2),
    ],
)
async def test_a_difference_is_named(home: Home, damage: str, counted: int, facts: int) -> None:
    """Whichever side is wrong: whose, which counter, and both numbers."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        listener = await here.listener()
        await here.send_many(2)
        execute(home, damage)
        assert await hub.audit.differences() == [
            Difference(here.org_id, listener.id, "pending", counted, facts)
        ]
