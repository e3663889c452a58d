"""News between processes: whoever delivers is told at once, and what is not told is found."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from operator import eq

import msgspec
import pytest
import structlog

from postroom.domain.delivery import Owed
from postroom.domain.errors import NotAuthenticated
from postroom.domain.ids import IdSource
from postroom.domain.listener import Counts, Listener
from postroom.store.channel import MOST_BYTES, PostgresChannel
from postroom.workers.courier import Courier, News
from postroom.workers.deliver import Deliver
from tests.acceptance.house import until
from tests.acceptance.receiver import Receiver, answer, held
from tests.support.home import PostgresHome
from tests.support.hub import Place, opened, place, rows
from tests.support.postgres import HOST
from tests.support.proxy import Proxy
from tests.support.workers import Crew, Peer, crew, reached, running, transport

pytestmark = pytest.mark.anyio

OWED = Owed("message", 0)
SAY = "SELECT CAST(pg_notify('postroom', $1) AS TEXT)"
Key = tuple[str, str]


@asynccontextmanager
async def two(home: PostgresHome, *, watching: bool = False, per_listener: int = 16) -> AsyncIterator[Crew]:
    """Processes that have shared the slots; without `watching`, they find nothing that they are not told."""
    async with crew(home, watching=watching) as peers:
        for _ in range(2):
            await peers.join(per_listener=per_listener)
        await peers.share()
        yield peers


async def listener_of(peer: Peer, here: Place, url: str) -> Listener:
    """A listener that this process delivers to."""
    while True:
        listener = await here.listener(url)
        if peer.deliver.holds(listener.id):
            return listener
        await here.hub.listeners.delete(here.org_id, here.queue_id, listener.id)


async def test_what_is_accepted_elsewhere_is_delivered(postgresql_home: PostgresHome) -> None:
    """The owner is told of it, and of the listener; it looks for nothing by itself."""
    async with two(postgresql_home) as peers, Receiver() as receiver:
        elsewhere, owner = peers.peers
        here = await place(elsewhere.hub)
        listener = await listener_of(owner, here, receiver.url("/"))
        sent = list[str]()
        for count in range(1, 6):
            sent.append(await here.send())
            await reached(here, listener, Counts(count, count))
        sent += await here.send_many(200)
        await reached(here, listener, Counts(205, 205))
        assert sorted(got.message_id for got in receiver.got("/")) == sorted(sent)


async def test_changes_elsewhere_reach_the_owner(postgresql_home: PostgresHome) -> None:
    """Another address, switched off and on, deleted."""
    async with two(postgresql_home) as peers, Receiver() as receiver:
        elsewhere, owner = peers.peers
        here = await place(elsewhere.hub)
        listener = await listener_of(owner, here, receiver.url("/old"))
        marker = await listener_of(owner, here, receiver.url("/marker"))
        key = here.org_id, here.queue_id, listener.id
        await here.send()
        await reached(here, listener, Counts(1, 1))
        await here.hub.listeners.update(*key, notify_url=receiver.url("/new"))
        await here.send()
        await reached(here, listener, Counts(2, 2))
        await here.hub.listeners.update(*key, status="disabled")
        await here.send_many(3)
        await reached(here, marker, Counts(5, 5))
        await here.hub.listeners.update(*key, status="enabled")
        await reached(here, listener, Counts(5, 5))
        await here.hub.listeners.delete(*key)
        await here.send()
        await reached(here, marker, Counts(6, 6))
        assert [len(receiver.got(path)) for path in ("/old", "/new")] == [1, 4]


async def test_a_message_deleted_elsewhere_is_not_sent(postgresql_home: PostgresHome) -> None:
    """It waits its turn in the memory of the owner."""
    async with two(postgresql_home, per_listener=1) as peers, Receiver() as receiver:
        elsewhere, owner = peers.peers
        here, gate = await place(elsewhere.hub), asyncio.Event()
        listener = await listener_of(owner, here, receiver.on("/", held(gate)))
        _, doomed, _ = [await owner.at(here).send() for _ in range(3)]
        await receiver.received("/")
        await here.hub.messages.delete(here.org_id, here.queue_id, doomed)
        other = await listener_of(owner, here, receiver.url("/other"))
        await here.send()
        await reached(here, other, Counts(1, 1))  # news come in order, and this one was the later
        gate.set()
        await reached(here, listener, Counts(4, 3, 0, 1))
        assert doomed not in [got.message_id for got in receiver.got("/")]


async def test_gone_is_gone_everywhere(postgresql_home: PostgresHome) -> None:
    """410 switches off; whichever process switches it on again, the owner goes on."""
    async with two(postgresql_home) as peers, Receiver() as receiver:
        elsewhere, owner = peers.peers
        here = await place(elsewhere.hub)
        listener = await listener_of(owner, here, receiver.on("/", answer(410), answer(200)))
        await here.send()
        found = partial(here.hub.listeners.get, here.org_id, here.queue_id, listener.id)
        await until(found, lambda it: it.status == "disabled")
        await here.send_many(3)
        await here.hub.listeners.update(here.org_id, here.queue_id, listener.id, status="enabled")
        await reached(here, listener, Counts(4, 4))
        assert len(receiver.got("/")) == 5


async def test_what_nobody_tells_of_is_found(postgresql_home: PostgresHome) -> None:
    """A command tells nobody; so it is with news that are lost."""
    async with (
        two(postgresql_home, watching=True) as peers,
        Receiver() as receiver,
        opened(postgresql_home) as command,
    ):
        here = await place(peers.peers[0].hub)
        listeners = [await here.listener(receiver.url("/")) for _ in range(8)]
        await Place(command, here.org_id, here.queue_id).send_many(20)
        for listener in listeners:
            await reached(here, listener, Counts(20, 20))
        assert len(receiver.got("/")) == 160


async def test_news_that_make_no_sense(postgresql_home: PostgresHome) -> None:
    """Of a later version, say: they are passed over, and the next ones are understood."""
    texts = [
        "",
        "nonsense",
        "[]",
        "{}",
        '{"by":1}',
        '{"by":"x","waiting":[["a"]]}',
        '{"by":"x","slots":"yes"}',
    ]
    async with two(postgresql_home) as peers, Receiver() as receiver:
        elsewhere, owner = peers.peers
        here = await place(elsewhere.hub)
        listener = await listener_of(owner, here, receiver.url("/"))
        with structlog.testing.capture_logs() as logged:

            async def complaints() -> int:
                return sum(entry["event"] == "news_not_understood" for entry in logged)

            for text in texts:
                rows(postgresql_home, SAY, text)
            await until(complaints, partial(eq, len(peers.peers) * len(texts)))
        await here.send()
        await reached(here, listener, Counts(1, 1))


async def test_news_of_what_is_not_there(postgresql_home: PostgresHome) -> None:
    """Of a listener that is deleted by now, or never was."""
    async with two(postgresql_home) as peers, Receiver() as receiver:
        elsewhere, owner = peers.peers
        here = await place(elsewhere.hub)
        listener = await listener_of(owner, here, receiver.url("/"))
        nobody: list[Key] = [(here.org_id, f"nobody {number}") for number in range(20)]
        news = News("x", nobody, nobody, [(*key, "no message") for key in nobody], True)
        rows(
            postgresql_home,
            "SELECT CAST(pg_notify('postroom', $1) AS TEXT)",
            msgspec.json.encode(news).decode(),
        )
        await here.send()
        await reached(here, listener, Counts(1, 1))


class Heard:
    """What is said on a database's channel."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.begun = asyncio.Event()

    async def listen(self, channel: PostgresChannel) -> None:
        """Until cancelled."""
        await channel.listen(self.texts.append, self.begun.set)

    @property
    def news(self) -> list[News]:
        """As they were meant."""
        return [msgspec.json.decode(text, type=News) for text in self.texts]


async def test_more_news_than_fit_into_one_piece(postgresql_home: PostgresHome) -> None:
    """They come in several, each of which the server takes, and none is left out."""
    mint, heard = partial(IdSource().mint, 1_752_580_800_000), Heard()
    keys = [(mint(), mint()) for _ in range(300)]
    discarded = [(*key, mint()) for key in keys]
    async with opened(postgresql_home) as hub, transport() as requests:
        speaking, listening = (PostgresChannel(postgresql_home.address) for _ in range(2))
        deliver = Deliver(hub.deliveries, requests, hub.clock, 1, 1, frozenset())
        courier = Courier(speaking, deliver, "server-0123456789abcdef", lambda: None)
        async with running(partial(heard.listen, listening)), running(courier.run):
            await heard.begun.wait()
            await until(partial(said, courier, heard), bool)
            for org_id, listener_id, message_id in discarded:
                courier.owed({(org_id, listener_id): [OWED]}, 0)
                courier.changed(org_id, listener_id)
                courier.discarded(org_id, listener_id, message_id)

            async def all_of_them() -> int:
                return sum(len(news.discarded) for news in heard.news)

            await until(all_of_them, lambda count: count >= 300)
        assert sorted(key for news in heard.news for key in news.waiting) == sorted(keys)
        assert sorted(key for news in heard.news for key in news.changed) == sorted(keys)
        assert sorted(each for news in heard.news for each in news.discarded) == sorted(discarded)
        assert max(len(text.encode()) for text in heard.texts) <= MOST_BYTES


async def said(courier: Courier, heard: Heard) -> bool:
    """Whether what it says is heard by now: it has a connection."""
    await courier.say_slots_are_free()
    return bool(heard.texts)


async def test_what_is_said_at_once_is_all_heard(postgresql_home: PostgresHome) -> None:
    """Although one connection says one thing after another."""
    heard, channel = Heard(), PostgresChannel(postgresql_home.address)
    async with running(partial(heard.listen, channel)):
        await heard.begun.wait()
        await asyncio.gather(*(channel.send(str(number)) for number in range(50)))

        async def count() -> int:
            return len(heard.texts)

        await until(count, lambda found: found == 50)
    assert sorted(heard.texts, key=int) == [str(number) for number in range(50)]


async def test_after_its_connection_was_cut_it_looks_everywhere(postgresql_home: PostgresHome) -> None:
    """What was said meanwhile is lost: a message, a listener's new address, a key that was switched off."""
    with Proxy(HOST, postgresql_home.server.port) as proxy:
        async with crew(postgresql_home, watching=False) as peers, Receiver() as receiver:
            elsewhere = await peers.join()
            await peers.share()
            owner = await peers.join(postgresql_home.through(proxy.port))
            await peers.share()
            here = await place(elsewhere.hub)
            listener = await listener_of(owner, here, receiver.url("/old"))
            key, secret = await elsewhere.hub.api_keys.create(here.org_id, "one")
            await owner.hub.api_keys.authenticate(secret)
            await here.send()
            await reached(here, listener, Counts(1, 1))
            proxy.cut()
            await elsewhere.hub.api_keys.update(here.org_id, key.id, status="disabled")
            await elsewhere.hub.listeners.update(
                here.org_id, here.queue_id, listener.id, notify_url=receiver.url("/new")
            )
            await here.send()
            proxy.heal()
            await reached(here, listener, Counts(2, 2))
            assert [len(receiver.got(path)) for path in ("/old", "/new")] == [1, 1]
            with pytest.raises(NotAuthenticated):
                await owner.hub.api_keys.authenticate(secret)
