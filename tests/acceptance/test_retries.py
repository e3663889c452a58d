"""Failed attempts: when the next one comes, when there is none, and what is on record."""

import time
from email.utils import formatdate
from typing import Final

import pytest
from anyio.to_thread import run_sync

from tests.acceptance.client import (
    Client,
    attempted,
    attempts,
    counted,
    counts,
    make_listener,
    make_queue,
    send,
    send_many,
    state,
)
from tests.acceptance.conftest import Make
from tests.acceptance.house import Organization, until
from tests.acceptance.receiver import (
    Behaviour,
    Receiver,
    answer,
    garbage,
    hanging,
    reset,
)

pytestmark = pytest.mark.anyio

FAILURES: Final[dict[str, tuple[Behaviour, int | None, str | None]]] = {
    "500": (answer(500, b"no"), 500, None),
    "404": (answer(404), 404, None),
    "304": (answer(304), 304, None),
    "redirect": (answer(302, headers={"Location": "/elsewhere"}), None, "redirect"),
    "permanent redirect": (answer(308, headers={"Location": "/elsewhere"}), None, "redirect"),
    "reset": (reset(), None, "connection"),
    "garbage": (garbage(), None, "protocol"),
}


@pytest.mark.parametrize("name", list(FAILURES))
async def test_what_is_a_failure(client: Client, receiver: Receiver, name: str) -> None:
    """Anything but a 2xx fails the attempt; it is recorded with its status or error, and tried again."""
    behaviour, status, error = FAILURES[name]
    queue = await make_queue(client)
    listener = await make_listener(client, queue, receiver.on("/hook", behaviour, answer()))
    message = await send(client, queue)
    await counted(client, listener, acknowledged=1)
    first, second = await attempts(client, queue, message)
    if status is not None:
        assert first["status"] == status
    if error is not None:
        assert first["error"] == error
    assert first["error"] is not None
    assert (second["status"], second["error"]) == (200, None)
    assert receiver.got("/elsewhere") == []


async def test_a_connection_refused(client: Client, receiver: Receiver) -> None:
    """A receiver that is not there is a failed attempt; when it is back, it gets the message."""
    queue = await make_queue(client)
    listener = await make_listener(client, queue, receiver.url("/hook"))
    await receiver.close()
    message = await send(client, queue)
    first, *_ = await attempted(client, queue, message, 1)
    await receiver.open()
    assert (first["status"], first["error"], first["answer"]) == (None, "connection", "")
    ended = await until(lambda: counts(client, listener), lambda seen: seen["pending"] == 0)
    assert ended["acknowledged"] + ended["missed"] == 1


async def test_a_timeout(start: Make, organization: Organization, receiver: Receiver) -> None:
    """An answer that does not come in time is a failed attempt."""
    server = start({"delivery_timeout": 1, "schedule": "0,0.1,0.1,0.1,0.1"})
    async with Client(server.url, organization.key) as client:
        queue = await make_queue(client)
        listener = await make_listener(client, queue, receiver.on("/hook", hanging(), answer()))
        message = await send(client, queue)
        await counted(client, listener, acknowledged=1)
        first, *_ = await attempts(client, queue, message)
        assert (first["status"], first["error"]) == (None, "timeout")
        assert first["duration"] >= 990


async def test_every_attempt_carries_the_same_id(client: Client, receiver: Receiver) -> None:
    """The attempts of a delivery are numbered from 1 and carry the same webhook-id and body."""
    queue = await make_queue(client)
    listener = await make_listener(client, queue, receiver.on("/hook", answer(500), answer(500), answer()))
    message = await send(client, queue, "again")
    await counted(client, listener, acknowledged=1)
    received = receiver.got("/hook")
    assert [one.attempt for one in received] == [1, 2, 3]
    assert {(one.message_id, one.text) for one in received} == {(message, "again")}
    record = await attempts(client, queue, message)
    assert [(one["number"], one["status"]) for one in record] == [(1, 500), (2, 500), (3, 200)]
    times = [one["at"] for one in record]
    assert times == sorted(times)
    assert times[1] - times[0] >= 100
    assert times[2] - times[1] >= 200


async def test_the_schedule_used_up(client: Client, receiver: Receiver) -> None:
    """After its last attempt a delivery has failed: missed, counted, and not tried again."""
    queue = await make_queue(client)
    listener = await make_listener(client, queue, receiver.on("/hook", answer(503)))
    message = await send(client, queue)
    await counted(client, listener, missed=1, pending=0, acknowledged=0, discarded=0)
    messages = (await state(client, listener))["messages"]
    assert messages["missed"] == [message]
    assert [one["number"] for one in await attempts(client, queue, message)] == [1, 2, 3]
    receiver.on("/hook", answer())
    await send(client, queue)
    await counted(client, listener, missed=1, acknowledged=1)
    assert len(receiver.got("/hook")) == 4


async def test_the_newest_hundred_missed(start: Make, organization: Organization, receiver: Receiver) -> None:
    """`missed` has the newest 100 ids; `missed_count` counts them all."""
    server = start({"schedule": "0"})
    async with Client(server.url, organization.key) as client:
        queue = await make_queue(client)
        listener = await make_listener(client, queue, receiver.on("/hook", answer(500)))
        sent = await send_many(client, queue, 105)
        await counted(client, listener, missed=105)
        missed = (await state(client, listener))["messages"]["missed"]
        assert len(missed) == 100
        assert set(missed) == set(sent[5:])


async def test_one_listeners_failures_are_its_own(client: Client, receiver: Receiver) -> None:
    """A message that one listener refuses is acknowledged by the other, once."""
    queue = await make_queue(client)
    bad = await make_listener(client, queue, receiver.on("/bad", answer(500)))
    good = await make_listener(client, queue, receiver.url("/good"))
    message = await send(client, queue)
    await counted(client, bad, missed=1)
    await counted(client, good, acknowledged=1)
    assert len(receiver.got("/good")) == 1
    record = await attempts(client, queue, message)
    assert sorted(one["listener"]["id"] for one in record) == sorted([bad.id] * 3 + [good.id])


async def gap(client: Client, receiver: Receiver, first: Behaviour) -> int:
    """Milliseconds from the start of the first attempt to that of the second."""
    queue = await make_queue(client)
    await make_listener(client, queue, receiver.on("/hook", first, answer()))
    one, two = await attempted(client, queue, await send(client, queue), 2)
    return int(two["at"] - one["at"])


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_in_seconds(client: Client, receiver: Receiver, status: int) -> None:
    """Retry-After puts the next attempt off."""
    assert await gap(client, receiver, answer(status, headers={"Retry-After": "1"})) >= 1000


async def test_retry_after_as_a_date(client: Client, receiver: Receiver) -> None:
    """Retry-After may be a date."""
    queue, date = await make_queue(client), int(time.time()) + 2
    late = answer(503, headers={"Retry-After": formatdate(date, usegmt=True)})
    await make_listener(client, queue, receiver.on("/hook", late, answer()))
    _, second = await attempted(client, queue, await send(client, queue), 2)
    assert second["at"] >= date * 1000


@pytest.mark.parametrize("value", ["0", "-5", "soon", "Thu, 01 Jan 1970 00:00:00 GMT", ""])
async def test_retry_after_is_never_shorter(client: Client, receiver: Receiver, value: str) -> None:
    """A Retry-After that asks for less than the schedule, or for nothing sensible, leaves the schedule."""
    assert await gap(client, receiver, answer(503, headers={"Retry-After": value})) >= 100


async def test_410_switches_the_listener_off(client: Client, receiver: Receiver) -> None:
    """After 410 the listener is disabled and its deliveries wait; enabled again, they go on."""
    queue = await make_queue(client)
    listener = await make_listener(client, queue, receiver.on("/gone", answer(410)))
    witness = await make_listener(client, queue, receiver.url("/witness"))
    first = await send(client, queue)
    await until(lambda: state(client, listener), lambda seen: seen["status"] == "disabled")
    second = await send(client, queue)
    await counted(client, witness, acknowledged=2)
    await counted(client, listener, accepted=2, pending=2, missed=0)
    assert [one.message_id for one in receiver.got("/gone")] == [first]
    receiver.on("/gone", answer())
    await client.put(listener.path, status="enabled")
    await counted(client, listener, acknowledged=2, pending=0)
    assert {one.message_id for one in receiver.got("/gone")} == {first, second}
    assert (await state(client, listener))["status"] == "enabled"


async def test_a_listener_switched_off_by_hand(client: Client, receiver: Receiver) -> None:
    """PUT with status disabled holds deliveries, PUT with status enabled lets them go."""
    queue = await make_queue(client)
    listener = await make_listener(client, queue, receiver.url("/off"))
    witness = await make_listener(client, queue, receiver.url("/witness"))
    await client.put(listener.path, status="disabled")
    await send_many(client, queue, 3)
    await counted(client, witness, acknowledged=3)
    await counted(client, listener, pending=3)
    assert receiver.got("/off") == []
    await client.put(listener.path, status="enabled")
    await counted(client, listener, acknowledged=3)


async def test_a_restart_goes_on_with_what_is_due(
    start: Make, organization: Organization, receiver: Receiver
) -> None:
    """Deliveries that fell due while the server was away are made when it is back, numbered on."""
    server = start({"schedule": "0,1,1"})
    async with Client(server.url, organization.key) as client:
        queue = await make_queue(client)
        listener = await make_listener(client, queue, receiver.on("/hook", answer(500), answer()))
        message = await send(client, queue)
        await attempted(client, queue, message, 1)
        assert await run_sync(server.terminate) == 0
    await run_sync(server.start)
    async with Client(server.url, organization.key) as client:
        await counted(client, listener, acknowledged=1)
        assert [one.attempt for one in receiver.got("/hook")] == [1, 2]
        assert [one["number"] for one in await attempts(client, queue, message)] == [1, 2]


async def test_a_kill_repeats_what_was_in_flight(
    start: Make, organization: Organization, receiver: Receiver
) -> None:
    """A delivery under way when the server is killed is made again, under the same id."""
    server = start()
    async with Client(server.url, organization.key) as client:
        queue = await make_queue(client)
        listener = await make_listener(client, queue, receiver.on("/hook", hanging(), answer()))
        message = await send(client, queue)
        await receiver.received("/hook")
        server.kill()
    await run_sync(server.start)
    async with Client(server.url, organization.key) as client:
        await counted(client, listener, accepted=1, acknowledged=1)
        assert [one.message_id for one in receiver.got("/hook")] == [message, message]
