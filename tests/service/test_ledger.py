"""Group commit: one transaction for what arrives together, each answered for itself."""

import asyncio
import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from postroom.domain.clock import HeldClock
from postroom.domain.errors import Invalid, NotFound, Unavailable
from postroom.domain.ids import IdSources, time_of
from postroom.domain.usage import Kind
from postroom.service import waiting
from postroom.service.hub import Hub
from postroom.service.ledger import Entry, Ledger
from tests.support.clock import NOON, MovingClock
from tests.support.home import Home, PostgresHome
from tests.support.hub import LEASE, attempted, beside, blocked, opened, place, rows

pytestmark = pytest.mark.anyio

EVENTS = "SELECT count(*) FROM usage_events"


class Ticking:
    """A clock that shows a later millisecond each time it is read: one reading, one commit."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        self.now += 1
        return self.now


async def stamps(hub: Hub, org_id: str) -> list[int]:
    """When each message was accepted."""
    events = await hub.statistics.events(org_id, "messages", None, 1_000)
    return [event.stored_at for event in events]


async def test_what_arrives_together_is_one_transaction(home: Home) -> None:
    """Fifty requests of one turn: fifty events of one time, one row of totals."""
    async with opened(home, Ticking()) as hub:
        here = await place(hub)
        await here.send_many(50)
        times = await stamps(hub, here.org_id)
        assert len(times) == 50
        assert len(set(times)) == 1
        totals = "SELECT message_added, last_at FROM usage_totals WHERE message_added > 0"
        assert rows(home, totals) == [(50, times[0])]


async def test_what_follows_is_another_transaction(home: Home) -> None:
    """One after another, each has its own time, and the next is later."""
    async with opened(home, Ticking()) as hub:
        here = await place(hub)
        for _ in range(5):
            await here.send()
        times = await stamps(hub, here.org_id)
        assert times == sorted(set(times))
        assert len(times) == 5


async def test_a_transaction_is_bounded(home: Home) -> None:
    """What exceeds the most that goes together goes next; all is answered in order."""
    many = 2 * waiting.MOST_TOGETHER + 1
    async with opened(home, Ticking()) as hub:
        here = await place(hub)
        sent = await here.send_many(many)
        found: dict[bytes, str] = dict(rows(home, "SELECT data, id FROM messages"))
        assert [found[str(number).encode()] for number in range(many)] == sent
        stored = rows(home, "SELECT id, message_id FROM usage_events WHERE kind = $1", Kind.MESSAGE_ADDED)
        together = Counter(time_of(event_id) for event_id, _ in stored)
        assert sorted(together.values()) == [1, waiting.MOST_TOGETHER, waiting.MOST_TOGETHER]


async def test_an_id_bears_the_time_of_its_commit(postgresql_home: PostgresHome) -> None:
    """Also where a commit that was begun later has come first."""
    async with opened(postgresql_home, Ticking()) as hub:
        here = await place(hub)
        with beside(postgresql_home) as other:
            other.execute("BEGIN")
            other.execute("SELECT 1 FROM queues FOR UPDATE")
            sending = asyncio.create_task(here.send())
            await blocked(postgresql_home, "version")
            await hub.queues.create(here.org_id, "later")
            other.execute("COMMIT")
        await sending
        found = rows(
            postgresql_home,
            "SELECT e.id, t.last_at FROM usage_events AS e JOIN usage_totals AS t USING (org_id, series)"
            " WHERE e.kind = $1",
            Kind.MESSAGE_ADDED,
        )
        assert [time_of(event_id) for event_id, _ in found] == [at for _, at in found] == [found[0][1]]


async def test_different_writes_share_a_transaction(home: Home) -> None:
    """Messages accepted and attempts settled in one turn are of one time."""
    async with opened(home, Ticking()) as hub:
        here = await place(hub)
        listener = await here.listener()
        await here.send_many(3)
        due = await here.due(listener)
        await asyncio.gather(*(attempted(hub, listener, owed) for owed in due), here.send_many(3))
        events = await hub.statistics.events(here.org_id, "messages", None, 100)
        later = [event for event in events if event.stored_at == events[-1].stored_at]
        assert {event.kind for event in later} == {Kind.MESSAGE_ADDED, Kind.MESSAGE_PUBLISHED_OK}
        assert len(later) == 6


async def test_each_is_answered_for_itself(home: Home) -> None:
    """A queue deleted behind this process's back: its messages fail, the others of the commit do not."""
    async with opened(home, Ticking()) as hub, opened(home, Ticking()) as command:
        here, there = await place(hub), await place(hub)
        await there.send()
        await command.queues.delete(there.org_id, there.queue_id)
        answers = await asyncio.gather(here.send(), there.send(), here.send(), return_exceptions=True)
        assert isinstance(answers[1], NotFound)
        assert [type(answer) for answer in answers] == [str, NotFound, str]
        times = await stamps(hub, here.org_id)
        assert len(times) == 2
        assert len(set(times)) == 1


async def refuse_odd(entry: Entry, items: list[int]) -> Sequence[int | Exception]:
    """A write that fails as a whole when an odd number is among its items."""
    for item in items:
        entry.event(Kind.QUEUE_UPDATED, f"org {item}")
    if any(item % 2 for item in items):
        raise Invalid("number", "must be even")
    return [item * 10 for item in items]


async def test_one_that_spoils_the_commit_fails_alone(home: Home) -> None:
    """The others are written, each once; of the spoilt ones nothing is."""
    async with opened(home, Ticking()) as hub:
        submitted = (hub.ledger.submit(refuse_odd, number) for number in range(6))
        answers = await asyncio.gather(*submitted, return_exceptions=True)
        assert [answer for answer in answers if not isinstance(answer, Exception)] == [0, 20, 40]
        assert [type(answer) for answer in answers[1::2]] == [Invalid] * 3
        found = rows(home, "SELECT org_id FROM usage_events ORDER BY org_id")
        assert found == [("org 0",), ("org 2",), ("org 4",)]


@contextmanager
def stopped(home: Home) -> Iterator[None]:
    """Somebody else holds what every commit has to write."""
    with beside(home) as other:
        other.execute("BEGIN")
        other.execute("UPDATE queues SET name = name" if home.kind == "sqlite" else "LOCK TABLE messages")
        yield


@pytest.mark.usefixtures("impatient")
async def test_unavailable_answers_all_and_writes_nothing(home: Home) -> None:
    """While somebody else holds the database: all who wait are told, and may try again with success."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        ((before,),) = rows(home, EVENTS)
        with stopped(home):
            answers = await asyncio.gather(*(here.send() for _ in range(20)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [Unavailable] * 20
        assert rows(home, EVENTS) == [(before,)]
        assert rows(home, "SELECT count(*) FROM messages") == [(0,)]
        assert len(await here.send_many(20)) == 20
        assert rows(home, EVENTS) == [(before + 20,)]


async def test_closing_writes_what_waits_and_takes_no_more(home: Home) -> None:
    """Whoever was let in is answered; whoever comes later is told to try again."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        sending = [asyncio.create_task(here.send()) for _ in range(10)]
        await asyncio.sleep(0)
        hub.ledger.close()
        with pytest.raises(Unavailable, match="stopping"):
            await here.send()
        assert len(set(await asyncio.gather(*sending))) == 10
    assert rows(home, "SELECT count(*) FROM messages") == [(10,)]


async def test_closing_an_idle_ledger_ends_it(home: Home) -> None:
    """Nothing waits: `run` returns."""
    database = await home.open()
    idle = Ledger(database, HeldClock(MovingClock()), IdSources(), "idle", LEASE, home.flushers)
    running = asyncio.create_task(idle.run())
    await asyncio.sleep(0)
    idle.close()
    await running
    await database.close()


async def test_too_much_at_once_is_refused(home: Home) -> None:
    """What waits is bounded: memory does not grow with the load. The others are written."""

    async def take(entry: Entry, items: list[int]) -> Sequence[int]:
        return items

    async with opened(home, MovingClock()) as hub:
        submitted = (hub.ledger.submit(take, number) for number in range(waiting.MOST_WAITING + 5))
        answers = await asyncio.gather(*submitted, return_exceptions=True)
    assert answers[: waiting.MOST_WAITING] == list(range(waiting.MOST_WAITING))
    assert [type(answer) for answer in answers[waiting.MOST_WAITING :]] == [Unavailable] * 5


async def test_whoever_has_gone_disturbs_nobody(home: Home) -> None:
    """A request cut off while it waits is still written, and the others are answered."""
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        gone, stays = asyncio.create_task(here.send()), asyncio.create_task(here.send())
        await asyncio.sleep(0)
        gone.cancel()
        assert await stays
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert rows(home, "SELECT count(*) FROM messages") == [(2,)]


async def test_a_commit_that_fails_counts_nothing_and_tells_nobody(home: Home) -> None:
    """Events, tallies and what was to be done afterwards go with the transaction."""
    done = list[str]()

    async def body(entry: Entry) -> None:
        entry.event(Kind.QUEUE_ADDED, "org")
        entry.tally("org", "listener", accepted=1)
        entry.then(lambda: done.append("told"))
        raise Invalid("field", "broke")

    async with opened(home, MovingClock()) as hub:
        with pytest.raises(Invalid, match="broke"):
            await hub.ledger.commit(body)
    assert done == []
    assert rows(home, EVENTS) == rows(home, "SELECT count(*) FROM listener_counts") == [(0,)]


async def test_tallies_of_one_commit_add_up(home: Home) -> None:
    """Several for the same listener in one commit, and over commits."""

    async def body(entry: Entry) -> None:
        for _ in range(3):
            entry.tally("org", "one", accepted=2)
        entry.tally("org", "one", delivered=1)
        entry.tally("org", "other", failed=4)

    async with opened(home, MovingClock()) as hub:
        await hub.ledger.commit(body)
        await hub.ledger.commit(body)
    found = rows(home, "SELECT listener_id, accepted, delivered, failed FROM listener_counts ORDER BY 1")
    assert found == [("one", 12, 2, 0), ("other", 0, 0, 8)]


async def test_a_commit_leaves_nothing_to_the_collector(home: Home) -> None:
    """Whose pauses would be seen in the slowest answers: once a commit is answered, its entry is gone."""
    async with opened(home) as hub:
        here = await place(hub)
        await here.send_many(50)
        gc.collect()
        gc.disable()
        try:
            await here.send_many(50)
            await here.send()
            assert [each for each in gc.get_objects() if isinstance(each, Entry)] == []
        finally:
            gc.enable()
