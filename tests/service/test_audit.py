"""Holds what was counted against the facts."""

from typing import Final

import pytest

from postroom.domain.activity import Activity, Deletion
from postroom.domain.clock import DAY
from postroom.domain.day import day_of, iso
from postroom.domain.totals import packed
from postroom.service.audit import Difference
from tests.support.clock import NOON, MovingClock
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


DAY_TOTALS: Final = "UPDATE day_totals SET messages = messages + 1 WHERE day = $1"
NOBODY: Final = "UPDATE day_totals SET people = $2 WHERE day = $1"
SOMEBODY_ELSE: Final = "UPDATE activities SET person = person + 99 WHERE day = $1"
OTHER_PARTS: Final = "UPDATE day_totals SET part = part + 2 WHERE day = $1"
NO_TOTALS: Final = "DELETE FROM day_totals WHERE day = $1"
NO_FACTS: Final = "DELETE FROM activities WHERE day = $1"


@pytest.mark.parametrize(
    ("damage", "more", "told"),
    [
        (DAY_TOTALS, [], [("messages", 3, 2)]),
        (NOBODY, [packed([])], [("people", 0, 2)]),
        (SOMEBODY_ELSE, [], [("people", 2, 2)]),
        (OTHER_PARTS, [], [("parts", 1, 1)]),
        (NO_TOTALS, [], [("messages", 0, 2), ("people", 0, 2), ("groups", 0, 1)]),
        (NO_FACTS, [], [("messages", 2, 0), ("people", 2, 0), ("groups", 1, 0)]),
    ],
)
async def test_a_past_day(
    home: Home, damage: str, more: list[bytes], told: list[tuple[str, int, int]]
) -> None:
    """What is kept of it is held against its activity; a day that is to be folded is not."""
    day = day_of(NOON) - 2
    async with opened(home, MovingClock()) as hub:
        org_id = (await hub.organizations.create("acme")).id
        some = [Activity("slack", f"m{n}", (day + n % 2) * DAY, f"p{n}", "s", False) for n in range(4)]
        await hub.intake.take(org_id, some)
        assert await hub.audit.differences() == []
        await hub.folding.fold_closed()
        assert await hub.audit.differences() == []
        home.rows(damage, day, *more)
        expected = [Difference(org_id, None, *each, day=iso(day)) for each in told]
        assert await hub.audit.differences() == expected
        await hub.intake.take(org_id, [Deletion("slack", "m0"), Deletion("slack", "m2")])
        if damage != NO_FACTS:
            assert await hub.audit.differences() == []
