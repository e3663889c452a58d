"""Holds what was counted against the facts."""

from pathlib import Path

import pytest

from postroom.service.audit import Difference
from tests.support.clock import MovingClock
from tests.support.hub import beside, opened, place

pytestmark = pytest.mark.anyio


async def test_nothing_to_complain_about(tmp_path: Path) -> None:
    """With nothing there, and with deliveries in every state."""
    async with opened(tmp_path, MovingClock()) as hub:
        assert await hub.audit.differences() == []
        here = await place(hub)
        listener, gone = await here.listener(), await here.listener()
        await here.send_many(3)
        await here.try_all(listener, 200)
        await here.send()
        await hub.listeners.delete(here.org_id, here.queue_id, gone.id)
        assert await hub.audit.differences() == []


async def test_it_reads_beside_a_writer(tmp_path: Path) -> None:
    """Somebody else's write under way neither holds it up nor shows in it."""
    async with opened(tmp_path, MovingClock()) as hub:
        here = await place(hub)
        await here.listener()
        await here.send_many(2)
        with beside(tmp_path) as connection:
            connection.execute("BEGIN IMMEDIATE")
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
async def test_a_difference_is_named(tmp_path: Path, damage: str, counted: int, facts: int) -> None:
    """Whichever side is wrong: whose, which counter, and both numbers."""
    async with opened(tmp_path, MovingClock()) as hub:
        here = await place(hub)
        listener = await here.listener()
        await here.send_many(2)
        with beside(tmp_path) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(damage)
        assert await hub.audit.differences() == [
            Difference(here.org_id, listener.id, "pending", counted, facts)
        ]
