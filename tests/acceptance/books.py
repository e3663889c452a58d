"""A queue under load whose books are closed at the end: what must hold whatever happened meanwhile."""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Final

from aiohttp import web
from anyio.to_thread import run_sync

from tests.acceptance.beside import rows
from tests.acceptance.client import (
    Client,
    Listener,
    Queue,
    counted,
    counted_events,
    make_listener,
    make_queue,
    pages,
    stats,
)
from tests.acceptance.house import DEADLINE, Place, until
from tests.acceptance.receiver import Receiver

PROMPT: Final = "/prompt"
HESITANT: Final = "/hesitant"
SLOTS: Final = 256


class Hesitant:
    """Refuses every message the first time and takes it the second time."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        message_id = request.headers["webhook-id"]
        status = 200 if message_id in self.seen else 503
        self.seen.add(message_id)
        return web.Response(status=status)


async def furnish(client: Client, receiver: Receiver) -> tuple[Queue, list[Listener]]:
    """A queue with a listener that takes everything at once and one that takes it at the second attempt."""
    queue = await make_queue(client)
    prompt = await make_listener(client, queue, receiver.url(PROMPT))
    hesitant = await make_listener(client, queue, receiver.on(HESITANT, Hesitant()))
    return queue, [prompt, hesitant]


def received(receiver: Receiver, path: str) -> Counter[str]:
    """How often each message arrived."""
    return Counter(one.message_id for one in receiver.got(path))


async def closed(
    client: Client, queue: Queue, listeners: Iterable[Listener], accepted: Collection[str]
) -> set[str]:
    """All that was accepted is stored; wait until all that is stored is delivered; each fact is counted once.

    Answers the ids of what is stored.
    """
    stored = {message["id"] for message in await pages(client, queue.messages, "messages")}
    assert set(accepted) <= stored
    for listener in listeners:
        await counted(client, listener, accepted=len(stored), acknowledged=len(stored), pending=0)
    assert (await stats(client))["message_added"] == len(stored)
    await counted_once(client)
    return stored


async def counted_once(client: Client) -> None:
    """Wait until counters and events are alike: between two looks a repeated attempt may be counted."""

    async def both() -> tuple[dict[str, int], dict[str, int]]:
        return await stats(client), await counted_events(client)

    await until(both, lambda seen: seen[0] == seen[1])


def arrived(receiver: Receiver, stored: Collection[str], repeated: int) -> None:
    """Each message arrived, and at most so many requests of each listener were repeated."""
    prompt, hesitant = received(receiver, PROMPT), received(receiver, HESITANT)
    assert set(prompt) == set(hesitant) == stored
    assert prompt.total() - len(stored) <= repeated
    assert hesitant.total() - 2 * len(stored) <= repeated


async def serving(place: Place) -> dict[str, int]:
    """How many slots each process holds, by its id."""
    found = await run_sync(
        rows,
        place,
        "SELECT id, (SELECT count(*) FROM slots WHERE holder = id) FROM processes",
    )
    return dict(found)


async def shared(place: Place, number: int, within: float = DEADLINE) -> set[str]:
    """Wait until so many processes share the slots fairly; their ids."""

    async def look() -> dict[str, int]:
        return await serving(place)

    def fair(seen: dict[str, int]) -> bool:
        each = seen.values()
        return len(seen) == number and sum(each) == SLOTS and max(each) - min(each) <= 1

    fairly = await until(look, fair, within)
    return set(fairly)


async def listener_of(process: str, client: Client, place: Place, queue: Queue, url: str) -> Listener:
    """A listener whose deliveries this process makes."""
    while True:
        listener = await make_listener(client, queue, url)
        found = await run_sync(
            rows,
            place,
            "SELECT holder FROM slots JOIN listeners USING (slot) WHERE listeners.id = $1",
            listener.id,
        )
        if found == [(process,)]:
            return listener
        await client.delete(listener.path)
