"""The twelve counters and the events behind them: equal at every moment."""

from typing import Any, Final, NamedTuple

import pytest
from anyio.to_thread import run_sync

from tests.acceptance.client import (
    Client,
    Listener,
    Queue,
    counted,
    counted_events,
    events,
    make_listener,
    make_queue,
    pages,
    send,
    stats,
    unique,
)
from tests.acceptance.conftest import ON_BOTH, Make
from tests.acceptance.house import Organization, Postroom, audit, clear_of_midnight, make_organization
from tests.acceptance.receiver import Receiver, answer
from tests.acceptance.test_operations import COUNTERS, ID, WINDOWS

pytestmark = pytest.mark.anyio

NOTHING: Final = dict.fromkeys(COUNTERS, 0)
SERIES: Final = {
    "api_key_added": 3,
    "api_key_updated": 2,
    "api_key_deleted": 1,
    "queue_added": 3,
    "queue_updated": 1,
    "queue_deleted": 1,
    "listener_added": 3,
    "listener_updated": 2,
    "listener_deleted": 1,
    "message_added": 5,
    "message_published_ok": 3,
    "message_published_not_ok": 3,
}
GROUPS: Final = {
    "api_keys": {"api_key_added", "api_key_updated", "api_key_deleted"},
    "queues": {"queue_added", "queue_updated", "queue_deleted"},
    "listeners": {"listener_added", "listener_updated", "listener_deleted"},
    "messages": {"message_added", "message_published_ok", "message_published_not_ok"},
}


async def listed(client: Client, query: str) -> list[Any]:
    """The events that a query asks for."""
    return await pages(client, f"/events?limit=1000&{query}", "events")


async def keys(client: Client) -> None:
    """Three keys made, one changed twice, one deleted."""
    names = [unique("key") for _ in range(3)]
    for name in names:
        await client.post("/api_keys", name=name)
    listed = {key["name"]: key["id"] for key in (await client.get("/api_keys"))["api_keys"]}
    await client.put(f"/api_keys/{listed[names[0]]}", status="disabled")
    await client.put(f"/api_keys/{listed[names[0]]}", name=unique("key"))
    await client.delete(f"/api_keys/{listed[names[1]]}")


async def series(client: Client, receiver: Receiver) -> tuple[Queue, Listener, list[str]]:
    """The operations that SERIES counts; a queue, its failing listener and the ids of its messages."""
    await keys(client)
    queue, other, gone = [await make_queue(client) for _ in range(3)]
    await client.put(other.path, name=unique("queue"))
    good = await make_listener(client, queue, receiver.url("/good"))
    bad = await make_listener(client, queue, receiver.on("/bad", *[answer(500)] * 3, answer()))
    removed = await make_listener(client, gone, receiver.url("/gone"))
    await client.put(good.path, name=unique("listener"))
    await client.put(bad.path, liveness_url=receiver.url("/alive/bad"))
    sent = [await send(client, queue, "one", name="first")]
    await counted(client, bad, missed=1)
    sent += [await send(client, queue, "two")]
    await counted(client, bad, acknowledged=1)
    await counted(client, good, acknowledged=2)
    await client.delete(f"{gone.path}/listeners/{removed.id}")
    await send(client, gone)
    await client.delete(gone.path)
    for _ in range(2):
        await send(client, other)
    await client.put(f"{queue.messages}/{sent[1]}", name="second")
    return queue, bad, sent


class Happened(NamedTuple):
    """What SERIES counts has happened: all events, the queue, its failing listener, the messages' ids."""

    events: list[Any]
    queue: Queue
    listener: Listener
    sent: list[str]


@pytest.fixture(scope="module")
async def happened(server: Postroom, organization: Organization) -> Happened:
    """The operations were done once, on the server that tests which only read share."""
    async with Receiver() as receiver, Client(server.url, organization.key) as client:
        done = await series(client, receiver)
        return Happened(await events(client), *done)


@pytest.fixture
def quiet(start: Make) -> Postroom:
    """A server of the test's own, where nothing has happened yet."""
    return start()


async def test_nothing_has_happened(quiet: Postroom, organization: Organization) -> None:
    """A new organization has twelve zeros in each window, and no events: its first key is not counted."""
    async with Client(quiet.url, organization.key) as client:
        for window in WINDOWS:
            assert await stats(client, window) == NOTHING
        assert await events(client) == []


@ON_BOTH
async def test_a_known_series_of_operations(
    quiet: Postroom, organization: Organization, receiver: Receiver
) -> None:
    """Each operation counts once, in each window; refused requests and reading count nothing."""
    await clear_of_midnight()
    async with Client(quiet.url, organization.key) as client:
        await series(client, receiver)
        (await client.call("POST", "/queues", {"name": ""})).problem(422)
        (await client.call("GET", "/queues/unknown")).problem(404)
        for window in WINDOWS:
            assert await stats(client, window) == SERIES
        assert await counted_events(client) == SERIES
    assert await quiet.stop() == 0
    audit(quiet.place)


@ON_BOTH
async def test_counts_survive_a_restart(
    quiet: Postroom, organization: Organization, receiver: Receiver
) -> None:
    """Counters and events are the same after the server was stopped, and after it was killed."""
    async with Client(quiet.url, organization.key) as client:
        await series(client, receiver)
        before = await events(client)
    for end in (quiet.terminate, quiet.kill):
        await run_sync(end)
        await run_sync(quiet.start)
        async with Client(quiet.url, organization.key) as client:
            assert await stats(client) == SERIES
            assert await events(client) == before


@ON_BOTH
async def test_organizations_are_counted_apart(
    quiet: Postroom, organization: Organization, receiver: Receiver
) -> None:
    """What one organization does is not in another's numbers."""
    other = make_organization(quiet.place, "other")
    async with Client(quiet.url, organization.key) as client, Client(quiet.url, other.key) as stranger:
        await make_queue(stranger)
        await series(client, receiver)
        assert await stats(stranger) == NOTHING | {"queue_added": 1}
        assert [event["type"] for event in await events(stranger)] == ["queue_added"]
        assert {event["client"]["id"] for event in await events(stranger)} == {other.id}


@ON_BOTH
async def test_an_events_shape(client: Client, organization: Organization, happened: Happened) -> None:
    """An event tells its id, type, time and client, and those subjects that apply, by id and name."""
    found, subjects = happened.events, {"message", "api_key", "queue", "listener"}
    for event in found:
        assert {"id", "type", "stored_at", "client"} <= set(event)
        assert set(event) <= {"id", "type", "stored_at", "client"} | subjects
        assert ID.fullmatch(event["id"])
        assert event["client"] == {"id": organization.id}
        assert all(set(event[subject]) == {"id", "name"} for subject in subjects & set(event))
    first = next(event for event in found if event["type"] == "message_added")
    assert first["message"] == {"id": happened.sent[0], "name": "first"}
    assert first["queue"]["id"] == happened.queue.id
    failed = next(event for event in found if event["type"] == "message_published_not_ok")
    assert failed["message"]["id"] == happened.sent[0]
    assert failed["listener"]["id"] == happened.listener.id
    assert failed["queue"]["id"] == happened.queue.id


async def test_every_kind_of_event_names_its_subject(happened: Happened) -> None:
    """The subject of an event's type is always given."""
    for event in happened.events:
        noun = "message" if event["type"].startswith("message") else event["type"].rpartition("_")[0]
        assert ID.fullmatch(event[noun]["id"]), event


@ON_BOTH
async def test_events_come_in_order_and_in_pages(client: Client, happened: Happened) -> None:
    """Events ascend by time; pages of any size hold the same events, each once."""
    times = [event["stored_at"] for event in happened.events]
    assert times == sorted(times)
    assert len({event["id"] for event in happened.events}) == sum(SERIES.values())
    for limit in (1, 2, 7, 1000):
        assert await pages(client, f"/events?limit={limit}", "events") == happened.events


@ON_BOTH
@pytest.mark.parametrize("group", ["all", *GROUPS])
async def test_events_are_filtered(client: Client, happened: Happened, group: str) -> None:
    """`events` names a kind of subject; the filter holds through the pages."""
    wanted = GROUPS.get(group, set(COUNTERS))
    expected = [event for event in happened.events if event["type"] in wanted]
    assert await pages(client, f"/events?events={group}&limit=2", "events") == expected
    assert {event["type"] for event in expected} == wanted


@ON_BOTH
async def test_events_after_a_moment(client: Client, happened: Happened) -> None:
    """`startAfter` is exclusive; with `startAfterId` it is an exact place in a millisecond."""
    found = happened.events
    for place in (0, len(found) // 2, len(found) - 1):
        at, own = found[place]["stored_at"], found[place]["id"]
        later = [event for event in found if event["stored_at"] > at]
        assert await listed(client, f"startAfter={at}") == later
        assert await listed(client, f"startAfter={at}&startAfterId={own}") == found[place + 1 :]
    assert await listed(client, f"startAfter={found[0]['stored_at'] - 1}") == found
    assert await listed(client, "startAfter=0") == found
