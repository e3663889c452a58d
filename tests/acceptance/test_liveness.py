"""Liveness: a listener's own word that it is up; a dead one's deliveries wait."""

from typing import Any

import pytest

from tests.acceptance.client import (
    Client,
    Listener,
    Queue,
    attempted,
    counted,
    make_listener,
    make_queue,
    send,
    send_many,
    state,
    stats,
    unique,
)
from tests.acceptance.conftest import Make
from tests.acceptance.house import Organization, until
from tests.acceptance.receiver import Behaviour, Receiver, answer, hanging

pytestmark = pytest.mark.anyio


async def probed(client: Client, receiver: Receiver, *behaviours: Behaviour) -> tuple[Queue, Listener, str]:
    """A listener at /hook whose liveness URL behaves like this; and that URL's path."""
    queue, path = await make_queue(client), f"/{unique('alive')}"
    listener = await make_listener(client, queue, receiver.url("/hook"), receiver.on(path, *behaviours))
    return queue, listener, path


async def found(client: Client, listener: Listener, wanted: str) -> Any:
    """Wait for a liveness state; the liveness."""
    seen = await until(lambda: state(client, listener), lambda seen: seen["liveness"]["state"] == wanted)
    return seen["liveness"]


async def test_unknown_until_it_was_asked(
    start: Make, organization: Organization, receiver: Receiver
) -> None:
    """Before the first result the state is unknown, and deliveries are made."""
    server = start({"liveness_timeout": 600, "stop_timeout": 0.1})
    async with Client(server.url, organization.key) as client:
        queue, listener, path = await probed(client, receiver, hanging())
        await receiver.received(path)
        unknown = {"state": "unknown", "success_count": 0, "failure_count": 0}
        assert (await state(client, listener))["liveness"] == unknown
        await send(client, queue)
        await counted(client, listener, acknowledged=1)


async def test_stable(client: Client, receiver: Receiver) -> None:
    """A URL that answers 2xx is stable; it is fetched with GET, and that counts as no usage."""
    before = await stats(client)
    _, listener, path = await probed(client, receiver, answer(204))
    requests = await receiver.received(path, 3)
    assert {request.method for request in requests} == {"GET"}
    liveness = await found(client, listener, "stable")
    assert liveness["success_count"] >= 1
    assert liveness["failure_count"] == 0
    after = await stats(client)
    assert {name for name in after if after[name] != before[name]} == {"queue_added", "listener_added"}


async def test_unstable_and_stable_again(client: Client, receiver: Receiver) -> None:
    """A URL that fails now and then is unstable, until it has answered for a while."""
    _, listener, _ = await probed(client, receiver, answer(), answer(500), answer())
    liveness = await found(client, listener, "unstable")
    assert liveness["failure_count"] == 1
    assert (await found(client, listener, "stable"))["success_count"] > liveness["success_count"]


async def test_a_dead_listeners_deliveries_wait(client: Client, receiver: Receiver) -> None:
    """Once dead, a listener is sent nothing; when it answers again, all goes on at once."""
    queue, listener, path = await probed(client, receiver, answer(), answer(500))
    assert (await found(client, listener, "dead"))["failure_count"] >= 1
    witness = await make_listener(client, queue, receiver.url("/witness"))
    await send_many(client, queue, 5)
    await counted(client, witness, acknowledged=5)
    await counted(client, listener, accepted=5, pending=5)
    assert receiver.got("/hook") == []
    receiver.on(path, answer())
    await counted(client, listener, acknowledged=5, pending=0)
    assert (await state(client, listener))["liveness"]["state"] in ("unstable", "stable")


async def test_back_to_life_waits_for_no_schedule(
    start: Make, organization: Organization, receiver: Receiver
) -> None:
    """A delivery that failed before its listener died goes on when that answers again, not when due."""
    server = start({"schedule": "0,600"})
    async with Client(server.url, organization.key) as client:
        queue, listener, path = await probed(client, receiver, answer())
        receiver.on("/hook", answer(503), answer())
        await found(client, listener, "stable")
        await attempted(client, queue, await send(client, queue), 1)
        receiver.on(path, answer(500))
        await found(client, listener, "dead")
        receiver.on(path, answer())
        await counted(client, listener, acknowledged=1)


async def test_a_listener_that_never_answered_is_still_tried(client: Client, receiver: Receiver) -> None:
    """A liveness URL that has never answered says nothing: deliveries are made."""
    queue, listener, path = await probed(client, receiver, answer(404))
    await receiver.received(path, 5)
    await send_many(client, queue, 3)
    await counted(client, listener, acknowledged=3)
    liveness = (await state(client, listener))["liveness"]
    assert liveness["success_count"] == 0
    assert liveness["failure_count"] >= 3


async def test_probed_often_while_something_is_pending(
    start: Make, organization: Organization, receiver: Receiver
) -> None:
    """With deliveries pending the short interval holds, however long the other one is."""
    server = start({"liveness_interval_idle": 3600, "schedule": "0,600"})
    async with Client(server.url, organization.key) as client:
        queue, listener, path = await probed(client, receiver, answer())
        receiver.on("/hook", answer(500))
        await send(client, queue)
        await counted(client, listener, pending=1)
        await receiver.received(path, 6)


async def test_a_changed_liveness_url_is_asked(client: Client, receiver: Receiver) -> None:
    """After PUT with another liveness_url, that one is fetched."""
    _, listener, _ = await probed(client, receiver, answer())
    await client.put(listener.path, liveness_url=receiver.url("/alive/new"))
    await receiver.received("/alive/new", 2)


async def test_liveness_survives_a_restart(
    start: Make, organization: Organization, receiver: Receiver
) -> None:
    """A listener that was dead is still dead after a restart: its deliveries go on waiting."""
    server = start({"liveness_interval_busy": 0.1})
    async with Client(server.url, organization.key) as client:
        queue, listener, path = await probed(client, receiver, answer(), answer(500))
        dead = await found(client, listener, "dead")
    assert await server.stop() == 0
    server.start()
    async with Client(server.url, organization.key) as client:
        again = (await state(client, listener))["liveness"]
        assert again["state"] == "dead"
        assert again["failure_count"] >= dead["failure_count"]
        await send(client, queue)
        await counted(client, listener, pending=1)
        assert receiver.got("/hook") == []
        receiver.on(path, answer())
        await counted(client, listener, acknowledged=1)
