"""The outbound guard: what is connected to is checked, redirects are not followed, networks are named."""

from collections.abc import AsyncIterator

import pytest

from tests.acceptance.client import Client, attempted, counted, make_listener, make_queue, send, state
from tests.acceptance.conftest import Make
from tests.acceptance.house import Organization, until
from tests.acceptance.receiver import Receiver, answer

pytestmark = pytest.mark.anyio

# All of these lead to this machine and nowhere else.
HOSTS = ["127.0.0.1", "localhost", "127.0.0.2", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"]
ODD_HOSTS = ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.1."]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver where all of these hosts lead to."""
    async with Receiver("127.0.0.1") as receiver:
        yield receiver


async def refused_address(client: Client, receiver: Receiver, host: str) -> None:
    """A delivery and a probe to this host are refused before a byte is sent."""
    queue = await make_queue(client)
    listener = await make_listener(client, queue, receiver.url("/hook", host), receiver.url("/alive", host))
    (first, *_) = await attempted(client, queue, await send(client, queue), 1)
    assert (first["status"], first["error"], first["answer"]) == (None, "refused_address", "")
    seen = await until(lambda: state(client, listener), lambda seen: seen["liveness"]["failure_count"] > 0)
    assert seen["liveness"]["success_count"] == 0
    await counted(client, listener, missed=1, acknowledged=0)


async def test_loopback_is_refused(start: Make, organization: Organization, receiver: Receiver) -> None:
    """Without --allow-network no form of a loopback address is connected to; the refusal is on record."""
    server = start(allow=())
    async with Client(server.url, organization.key) as client:
        for host in HOSTS:
            await refused_address(client, receiver, host)
    assert receiver.got("/hook") == receiver.got("/alive") == []


async def test_odd_forms_of_loopback(start: Make, organization: Organization, receiver: Receiver) -> None:
    """Forms that only some parsers take for an address are refused when the listener is made, or later."""
    server = start(allow=())
    async with Client(server.url, organization.key) as client:
        for host in ODD_HOSTS:
            queue, url = await make_queue(client), receiver.url("/hook", host)
            body = {"name": f"odd {host}", "notify_url": url, "liveness_url": url}
            answer = await client.call("POST", f"{queue.path}/listeners", body)
            if answer.status != 200:
                answer.problem(422)
                continue
            (first, *_) = await attempted(client, queue, await send(client, queue), 1)
            assert first["status"] is None
            assert first["error"] in ("refused_address", "connection")
    assert receiver.got("/hook") == []


async def test_only_the_named_network_is_opened(
    start: Make, organization: Organization, receiver: Receiver
) -> None:
    """--allow-network opens what it names and nothing beside it."""
    server = start(allow=("127.0.0.2/32",))
    async with Client(server.url, organization.key) as client:
        await refused_address(client, receiver, "127.0.0.1")
    assert receiver.got("/hook") == []


async def test_networks_are_opened_one_by_one(
    start: Make, organization: Organization, receiver: Receiver
) -> None:
    """--allow-network may be repeated; a name is judged by the address it leads to."""
    server = start(allow=("127.0.0.9/32", "127.0.0.1/32"))
    async with Client(server.url, organization.key) as client:
        queue = await make_queue(client)
        listener = await make_listener(client, queue, receiver.url("/hook", "localhost"))
        await send(client, queue)
        await counted(client, listener, acknowledged=1)


async def test_no_proxy_is_used(
    start: Make, organization: Organization, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy named in the environment is not used: it would connect where the guard cannot look."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server = start()
    async with Client(server.url, organization.key) as client:
        queue = await make_queue(client)
        listener = await make_listener(client, queue, receiver.url("/hook"))
        await send(client, queue)
        await counted(client, listener, acknowledged=1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(client: Client, receiver: Receiver, status: int) -> None:
    """A redirect fails the attempt; where it points to gets nothing, of a delivery or of a probe."""
    away = answer(status, headers={"Location": receiver.url("/elsewhere")})
    receiver.on("/away", away)
    queue = await make_queue(client)
    listener = await make_listener(client, queue, receiver.url("/away"), receiver.url("/away"))
    message = await send(client, queue)
    await counted(client, listener, missed=1)
    record = await attempted(client, queue, message, 3)
    assert {attempt["error"] for attempt in record} == {"redirect"}
    assert receiver.got("/elsewhere") == []
