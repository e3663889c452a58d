"""What every answer has in common: prefix, links, pretty, and the operations about the server itself."""

import json
from typing import Any, Final

import pytest

from tests.acceptance.client import Client, make_listener, make_queue, send, unique
from tests.acceptance.receiver import Receiver
from tests.acceptance.test_operations import COUNTERS, LISTS, WINDOWS, link

pytestmark = pytest.mark.anyio

READ: Final = [*(f"/{name}" for name in LISTS), "/stats/messages", "/messages/stats"]


def hrefs(links: Any) -> list[str]:
    """Every address in `_links`, sub-resources included."""
    return [entry["href"] for entry in links.values()]


def same(one: Any, other: Any) -> bool:
    """Whether two answers say the same, but for the addresses and when keys were last used."""
    for answer in (one, other):
        answer["_links"] = set(answer["_links"])
        for key in answer.get("api_keys", ()):
            del key["last_used_at"]
    return bool(one == other)


async def furnished(client: Client, receiver: Receiver) -> list[str]:
    """Paths of one thing of each kind."""
    queue = await make_queue(client)
    listener = await make_listener(client, queue, receiver.url("/hook"))
    message = await send(client, queue)
    await client.post("/api_keys", name=unique("key"))
    key = (await client.get("/api_keys"))["api_keys"][-1]["id"]
    message_path = f"{queue.messages}/{message}"
    within = [f"{queue.path}/listeners", queue.messages, f"{message_path}/attempts"]
    return [queue.path, listener.path, message_path, f"/api_keys/{key}", *within]


async def test_statistics_have_the_documented_shape(client: Client) -> None:
    """GET /stats/messages: three windows of twelve counters, in the documented order."""
    answer = await client.get("/stats/messages")
    assert list(answer) == ["aggregated_api_usage_events", "_links"]
    windows = answer["aggregated_api_usage_events"]
    assert list(windows) == WINDOWS
    assert all(list(window) == COUNTERS for window in windows.values())
    assert all(isinstance(number, int) for window in windows.values() for number in window.values())
    assert link(answer).endswith("/messages/stats")


async def test_the_path_of_the_statistics_own_link_is_served(client: Client) -> None:
    """/messages/stats answers the same as /stats/messages."""
    assert await client.get("/messages/stats") == await client.get("/stats/messages")


@pytest.mark.parametrize("path", READ)
async def test_the_prefix_may_be_left_out(client: Client, path: str) -> None:
    """A path with /v1 and without it answer the same, but for the link to itself."""
    bare, prefixed = await client.get(path), await client.get(f"/v1{path}")
    assert same(bare, prefixed)


async def test_writing_works_with_the_prefix(client: Client) -> None:
    """Every method takes the prefix."""
    queue = (await client.post("/v1/queues", name=unique("queue")))["queue"]
    await client.post(f"/v1/queues/{queue['id']}/messages", data="hello")
    await client.put(f"/v1/queues/{queue['id']}", name=unique("queue"))
    await client.delete(f"/v1/queues/{queue['id']}")
    (await client.call("GET", f"/queues/{queue['id']}")).problem(404)


@pytest.mark.parametrize("path", READ)
async def test_pretty_indents(client: Client, path: str) -> None:
    """`pretty=true` says the same, indented; without it, or with false, the answer is one line."""
    plain, pretty = await client.call("GET", path), await client.call("GET", f"{path}?pretty=true")
    assert b"\n" not in plain.raw.strip()
    assert b"\n" not in (await client.call("GET", f"{path}?pretty=false")).raw.strip()
    assert pretty.raw.startswith((b'{\n "', b'{\n  "', b'{\n    "', b'{\n\t"'))
    assert same(pretty.ok(), plain.ok())


async def test_pretty_indents_problems_too(client: Client) -> None:
    """Every answer is indented, refusals included."""
    answer = await client.call("GET", "/queues/unknown?pretty=true")
    answer.problem(404)
    assert b'\n "' in answer.raw.replace(b"  ", b" ").replace(b"  ", b" ")


async def test_every_link_leads_somewhere(client: Client, receiver: Receiver) -> None:
    """Each address in `_links` is absolute, and answers 200 with a link to itself."""
    paths = [*await furnished(client, receiver), *READ]
    found = {href for path in paths for href in hrefs((await client.get(path))["_links"])}
    assert len(found) >= len(paths) - 1
    assert all(href.startswith(f"{client.url}/") for href in found)
    for href in found:
        assert link(await client.get(href)).partition("?")[0] == href.partition("?")[0]


async def test_links_name_the_requests_host(client: Client) -> None:
    """Links are made from the request's Host."""
    answer = (await client.call("GET", "/queues", headers={"Host": "hub.example:1234"})).ok()
    assert link(answer).startswith("http://hub.example:1234/")


async def test_lists_link_what_they_list_by_name(client: Client) -> None:
    """A list's links have one entry for each of its items, keyed by its name."""
    queue = await make_queue(client)
    links = (await client.get("/queues"))["_links"]
    assert links[queue.name]["href"].endswith(queue.path)


async def test_the_server_tells_that_it_lives_and_is_ready(client: Client) -> None:
    """GET /health and GET /ready need no key."""
    for path in ("/health", "/ready"):
        answer = await client.raw("GET", path, {})
        assert answer.status == 200, answer
        assert isinstance(answer.json(), dict)


async def test_the_api_describes_itself(client: Client) -> None:
    """GET /openapi.json is OpenAPI 3.1 and names every operation."""
    document = (await client.raw("GET", "/openapi.json", {})).ok()
    assert document["openapi"].startswith("3.1")
    paths = {path.removeprefix("/v1"): set(methods) for path, methods in document["paths"].items()}
    queue, listener = "/queues/{queue_id}", "/queues/{queue_id}/listeners/{listener_id}"
    message = "/queues/{queue_id}/messages/{message_id}"
    wanted = {
        "/api_clients": {"post"},
        "/api_keys": {"get", "post"},
        "/queues": {"get", "post"},
        queue: {"get", "put", "delete"},
        f"{queue}/schemas/{{schema_id}}": {"get"},
        "/listeners": {"get"},
        f"{queue}/listeners": {"get", "post"},
        listener: {"get", "put", "delete"},
        "/messages": {"get"},
        f"{queue}/messages": {"get", "post"},
        message: {"get", "put", "delete"},
        f"{message}/attempts": {"get"},
        "/events": {"get"},
        "/stats/messages": {"get"},
    }
    assert {path: methods - paths.get(path, set()) for path, methods in wanted.items()} == {
        path: set() for path in wanted
    }
    assert json.dumps(document).count('"$ref"') > 0


async def test_a_name_never_hides_the_own_link(client: Client) -> None:
    """A queue that is named self is served like any other, and the list's own link stays."""
    queue = await make_queue(client, "self")
    assert link(await client.get("/queues")).endswith("/queues")
    assert link(await client.get(queue.path)).endswith(queue.path)
    await client.delete(queue.path)
