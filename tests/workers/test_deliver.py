"""Delivering: every message, to every listener, until it is acknowledged or given up."""

import asyncio

import pytest
import structlog
from aiohttp import web
from standardwebhooks import Webhook

from postroom.domain.clock import HOUR
from postroom.domain.listener import Counts
from postroom.domain.retry import Policy
from postroom.workers.deliver import READ_AT_ONCE
from postroom.workers.lane import MOST_HELD
from tests.acceptance.house import until
from tests.acceptance.receiver import Receiver, answer, held
from tests.support.home import Home
from tests.support.hub import Place, opened, place, rows
from tests.support.workers import delivering, reached, unwritable

pytestmark = pytest.mark.anyio

QUICK = Policy((0, 10, 10), 0)
SLOW = Policy((0, HOUR), 0)


async def test_a_message_arrives_as_it_was_sent(home: Home) -> None:
    """POST, the data as the body, signed, with headers that say what it is."""
    async with opened(home) as hub, Receiver() as receiver, delivering(hub):
        here = await place(hub)
        listener = await here.listener(receiver.url("/hook?a=b"))
        message_id = await here.send('{"größe": 1}')
        (got,) = await receiver.received("/hook")
        assert (got.method, got.target, got.text) == ("POST", "/hook?a=b", '{"größe": 1}')
        assert Webhook(listener.secret).verify(got.body, dict(got.headers)) == {"größe": 1}
        assert got.headers["webhook-id"] == message_id
        assert got.headers["content-type"] == "application/json"
        assert got.headers["postroom-queue"] == here.queue_id
        assert got.headers["postroom-listener"] == listener.id
        assert got.headers["postroom-attempt"] == "1"
        await reached(here, listener, Counts(1, 1))


async def test_tried_until_it_is_acknowledged(home: Home) -> None:
    """The same message under the same id, with the number of the attempt; every attempt is kept."""
    async with opened(home, policy=QUICK) as hub, Receiver() as receiver, delivering(hub):
        here = await place(hub)
        listener = await here.listener(receiver.on("/", answer(500, b"no"), answer(302), answer(204)))
        message_id = await here.send()
        got = await receiver.received("/", 3)
        assert [(each.message_id, each.attempt) for each in got] == [(message_id, n) for n in (1, 2, 3)]
        await reached(here, listener, Counts(1, 1))
        kept = await hub.messages.attempts(here.org_id, here.queue_id, message_id)
        assert [(a.number, a.status, a.error, a.answer) for a in kept] == [
            (1, 500, "status", b"no"),
            (2, 302, "redirect", b""),
            (3, 204, None, b""),
        ]


async def test_given_up_when_the_schedule_is_used_up(home: Home) -> None:
    """Then it is missed, and not sent again."""
    async with opened(home, policy=QUICK) as hub, Receiver() as receiver, delivering(hub):
        here = await place(hub)
        listener = await here.listener(receiver.on("/", answer(500)))
        message_id = await here.send()
        await reached(here, listener, Counts(1, 0, 1))
        assert await here.missed(listener) == [message_id]
        assert len(receiver.got("/")) == 3


async def test_a_receiver_may_ask_for_time(home: Home) -> None:
    """Retry-After puts the next attempt off."""
    async with opened(home, policy=Policy((0, 10), 0)) as hub, Receiver() as receiver, delivering(hub):
        here = await place(hub)
        listener = await here.listener(receiver.on("/", answer(503, b"", {"Retry-After": "3600"})))
        message_id = await here.send()
        next_due = await until(lambda: here.next_due(listener), lambda due: due is not None)
        (made,) = await hub.messages.attempts(here.org_id, here.queue_id, message_id)
        assert next_due == made.at + made.duration + HOUR


async def test_each_listener_has_its_limit(home: Home) -> None:
    """So many requests at once for one listener, and no more, also when answers come in."""
    async with opened(home) as hub, Receiver() as receiver, delivering(hub, per_listener=4):
        here, gate = await place(hub), asyncio.Event()
        paths = ["/one", "/two", "/three"]
        all_of_them = [await here.listener(receiver.on(path, held(gate))) for path in paths]
        await here.send_many(30)
        for path in paths:
            await receiver.received(path, 4)
        assert [receiver.open_at(path) for path in paths] == [4, 4, 4]
        gate.set()
        for listener in all_of_them:
            await reached(here, listener, Counts(30, 30))
        assert [receiver.most_open(path) for path in paths] == [4, 4, 4]
        assert [len(receiver.got(path)) for path in paths] == [30, 30, 30]


async def test_all_listeners_together_have_a_limit(home: Home) -> None:
    """However many want more."""
    async with opened(home) as hub, Receiver() as receiver, delivering(hub, per_listener=4, in_all=8):
        here, gate = await place(hub), asyncio.Event()
        paths = [f"/{number}" for number in range(12)]
        all_of_them = [await here.listener(receiver.on(path, held(gate))) for path in paths]
        await here.send_many(5)

        async def under_way() -> int:
            return sum(receiver.open_at(path) for path in paths)

        assert await until(under_way, lambda count: count >= 8) == 8
        gate.set()
        for listener in all_of_them:
            await reached(here, listener, Counts(5, 5))
        assert sum(len(receiver.got(path)) for path in paths) == 60


async def test_a_healthy_listener_beside_fifty_that_hang(home: Home) -> None:
    """With the default limits: it finds a place at once, and none of the fifty is ever given up."""
    async with opened(home) as hub, Receiver() as receiver, delivering(hub):
        crowd, here = await place(hub), await place(hub)
        paths = [f"/hanging/{number}" for number in range(50)]
        for path in paths:
            await crowd.listener(receiver.on(path, held(asyncio.Event())))
        healthy = await here.listener(receiver.url("/healthy"))
        await crowd.send_many(20)
        for path in paths:
            await receiver.received(path)
        for number in range(20):
            await here.send()
            await receiver.received("/healthy", number + 1)
        await here.send_many(80)
        await reached(here, healthy, Counts(100, 100))
        assert sum(receiver.open_at(path) for path in paths) == sum(len(receiver.got(path)) for path in paths)


async def test_one_place_is_shared_in_turns(home: Home) -> None:
    """With one request at a time, two backlogs advance together."""
    ahead = list[int]()

    async def note(request: web.Request) -> web.StreamResponse:
        ahead.append(len(receiver.got("/long")))
        return web.Response()

    async with opened(home) as hub, Receiver() as receiver:
        here, there = await place(hub), await place(hub)
        long, short = (
            await here.listener(receiver.url("/long")),
            await there.listener(receiver.on("/short", note)),
        )
        await here.send_many(40)
        await there.send_many(10)
        async with delivering(hub, in_all=1):
            await reached(there, short, Counts(10, 10))
            await reached(here, long, Counts(40, 40))
    assert all(before <= number + 2 for number, before in enumerate(ahead))


async def test_more_than_is_held_in_memory(home: Home) -> None:
    """While a listener is busy, what does not fit stays in the store; all of it arrives, each once."""
    many = 2 * MOST_HELD + 3 * READ_AT_ONCE + 1
    async with opened(home) as hub, Receiver() as receiver, delivering(hub, per_listener=2):
        here, gate = await place(hub), asyncio.Event()
        listener = await here.listener(receiver.on("/", held(gate)))
        first = await here.send()
        await receiver.received("/")
        sent = [first, *(await here.send_many(many))]
        gate.set()
        await reached(here, listener, Counts(many + 1, many + 1))
        assert sorted(got.message_id for got in receiver.got("/")) == sent


async def test_messages_keep_coming_while_a_backlog_is_read(home: Home) -> None:
    """What is accepted during the deliveries is neither lost nor sent twice."""
    async with opened(home) as hub, Receiver() as receiver:
        here = await place(hub)
        listener = await here.listener(receiver.url("/"))
        sent = await here.send_many(READ_AT_ONCE * 2)
        async with delivering(hub, per_listener=3):
            for _ in range(60):
                sent += await here.send_many(5)
                await asyncio.sleep(0)
            await reached(here, listener, Counts(len(sent), len(sent)))
        assert sorted(got.message_id for got in receiver.got("/")) == sorted(sent)


@pytest.mark.parametrize("size", [0, 1, 1_024, 1_025, 300_000])
async def test_data_of_any_size_arrives_whole(home: Home, size: int) -> None:
    """Long data is not held in memory while it waits; first and repeated attempts send the same."""
    data = "é" * (size // 2) + "x" * (size % 2)
    async with opened(home, policy=QUICK) as hub, Receiver() as receiver, delivering(hub):
        here = await place(hub)
        await here.listener(receiver.on("/", answer(500), answer(200)))
        await here.send(data)
        first, second = await receiver.received("/", 2)
        assert first.text == second.text == data


async def test_a_restart_takes_up_what_is_due(home: Home) -> None:
    """What was accepted, what was under way and what was to be tried again, of all organizations."""
    async with Receiver() as receiver:
        async with opened(home, policy=SLOW) as hub:
            here, there = await place(hub), await place(hub)
            one, other = await here.listener(receiver.url("/one")), await there.listener(receiver.url("/two"))
            await here.send_many(MOST_HELD)
            await there.try_all(other, 500)
            await there.send()
        async with opened(home) as hub, delivering(hub):
            await reached(Place(hub, here.org_id, here.queue_id), one, Counts(MOST_HELD, MOST_HELD))
            await reached(Place(hub, there.org_id, there.queue_id), other, Counts(1, 1))


async def test_a_restart_waits_for_what_is_not_due(home: Home) -> None:
    """The schedule outlives the process."""
    async with Receiver() as receiver:
        async with opened(home, policy=SLOW) as hub:
            here = await place(hub)
            listener = await here.listener(receiver.url("/"))
            await here.send()
            await here.try_all(listener, 500)
        async with opened(home) as hub, delivering(hub):
            later = await Place(hub, here.org_id, here.queue_id).send()
            assert [got.message_id for got in await receiver.received("/")] == [later]
            await reached(Place(hub, here.org_id, here.queue_id), listener, Counts(2, 1))
            assert len(receiver.got("/")) == 1


async def test_stopping_waits_for_what_is_under_way(home: Home) -> None:
    """Its outcome is written; nothing new is started."""
    async with opened(home) as hub, Receiver() as receiver, delivering(hub, per_listener=1) as deliver:
        here, gate = await place(hub), asyncio.Event()
        listener = await here.listener(receiver.on("/", held(gate)))
        await here.send_many(3)
        await receiver.received("/")
        stopping = asyncio.create_task(deliver.stop(60))
        await asyncio.sleep(0)
        assert not stopping.done()
        gate.set()
        await stopping
        assert await here.counts(listener) == Counts(3, 1)
        assert len(receiver.got("/")) == 1


async def test_what_outlasts_patience_is_repeated(home: Home) -> None:
    """Nothing is written about it, so the next process sends it again as the same attempt."""
    async with opened(home) as hub, Receiver() as receiver:
        here = await place(hub)
        listener = await here.listener(receiver.on("/", held(asyncio.Event()), answer(200)))
        async with delivering(hub) as deliver:
            await here.send()
            await receiver.received("/")
            await deliver.stop(0)
            assert await here.counts(listener) == Counts(1)
            assert rows(home, "SELECT count(*) FROM attempts") == [(0,)]
        async with delivering(hub):
            first, second = await receiver.received("/", 2)
            assert (first.message_id, first.attempt) == (second.message_id, second.attempt)
            await reached(here, listener, Counts(1, 1))


async def test_an_outcome_waits_for_the_store_and_nothing_is_sent_again(home: Home) -> None:
    """The database cannot be written while answers come in: they are written when it can."""
    async with opened(home, policy=QUICK) as hub, Receiver() as receiver, delivering(hub):
        here, gate = await place(hub), asyncio.Event()
        listener = await here.listener(receiver.on("/", held(gate)))
        await here.send_many(5)
        await receiver.received("/", 5)
        with structlog.testing.capture_logs() as logged:
            async with unwritable(home):
                gate.set()

                async def waiting() -> int:
                    return sum(entry["event"] == "outcome_waits" for entry in logged)

                await until(waiting, lambda count: count >= 5)
                assert await here.counts(listener) == Counts(5)
            await reached(here, listener, Counts(5, 5))
        assert len(receiver.got("/")) == 5
