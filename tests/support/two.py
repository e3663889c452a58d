"""Two processes on one PostgreSQL, at the same moment at the same rows."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from postroom.domain.delivery import Outcome, Owed
from postroom.domain.listener import Listener
from postroom.domain.retry import Policy
from postroom.domain.usage import Kind
from tests.support.clock import MovingClock
from tests.support.home import PostgresHome
from tests.support.hub import (
    Place,
    answered,
    beside,
    blocked,
    opened,
    place,
    place_of,
)

ONCE: Final = Policy((0,))
# Parts of the statements of who deletes listeners, and of who changes what they are owed.
HOLDING: Final = "AND id = $2 FOR UPDATE"
ACCEPTING: Final = "version"
SETTLING: Final = "FOR KEY SHARE OF q"
QUEUE: Final = "SELECT 1 FROM queues FOR UPDATE"
DELIVERIES: Final = "SELECT 1 FROM deliveries FOR UPDATE"
Doing = Callable[[], Awaitable[Any]]


class Two(NamedTuple):
    """An organization with a queue and a listener, as two processes see it."""

    home: PostgresHome
    clock: MovingClock
    here: Place
    there: Place
    listener: Listener

    async def check(self) -> None:
        """All counts are what the facts say, to both."""
        for each in (self.here, self.there):
            assert await each.hub.audit.differences() == []
        one, other = [await each.hub.statistics.messages(each.org_id) for each in (self.here, self.there)]
        assert one == other

    async def stats(self, *kinds: Kind) -> list[int]:
        """How often each happened."""
        stats = await self.here.hub.statistics.messages(self.here.org_id)
        return [stats.last_1_hours[kind] for kind in kinds]


@asynccontextmanager
async def working(home: PostgresHome) -> AsyncIterator[Two]:
    """Two processes with a schedule of one attempt."""
    clock = MovingClock()
    async with opened(home, clock, policy=ONCE) as one, opened(home, clock, policy=ONCE) as other:
        here = await place(one)
        listener = await here.listener()
        yield Two(home, clock, here, await place_of(other, here.org_id, here.queue_id), listener)


async def in_turn(two: Two, lock: str, *acts: tuple[str, Doing]) -> list[Any]:
    """Let them come to the same rows, one after another, while somebody holds these; what came of each.

    With each act goes a part of the statement that waits then.
    """
    doing = list[asyncio.Future[Any]]()
    with beside(two.home) as other:
        other.execute("BEGIN")
        other.execute(lock)
        for words, act in acts:
            doing.append(asyncio.ensure_future(act()))
            await blocked(two.home, words, len(doing))
        other.execute("COMMIT")
    return await asyncio.gather(*doing, return_exceptions=True)


def outcome(two: Two, message_id: str, status: int = 200, attempts: int = 0) -> Outcome:
    """What an attempt led to that was answered now."""
    hub, owed = two.here.hub, Owed(message_id, attempts)
    attempt = answered(two.listener, owed, hub.clock(), status)
    return hub.deliveries.outcome(two.listener, owed, attempt, None)


def in_order(reverse: bool, *acts: tuple[str, Doing]) -> tuple[tuple[str, Doing], ...]:
    """The same, or the other way round."""
    return acts[::-1] if reverse else acts


async def remembered(here: Place, known: bool) -> int:
    """Let the process know the queue's listeners, if so; how many messages that takes."""
    if known:
        await here.send()
    return int(known)
