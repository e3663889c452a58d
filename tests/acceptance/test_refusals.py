"""Bad requests: keys, scopes, paths, methods, Accept. Each is refused in one form and changes nothing."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest

from tests.acceptance.client import (
    Client,
    Listener,
    Queue,
    counted,
    make_listener,
    make_queue,
    send,
    unique,
)
from tests.acceptance.house import Postroom, make_organization
from tests.acceptance.receiver import Receiver
from tests.acceptance.refusal import refused

pytestmark = pytest.mark.anyio

UNKNOWN: Final = "0" * 21
GRANTABLE: Final = [
    "activities",
    "analytics",
    "events",
    "queues",
    "listeners",
    "messages",
    "schemas",
    "sources",
    "stats",
]
PROTECTED: Final = ["api_clients", "api_keys", "subscriptions"]


async def make_key(client: Client, scopes: Sequence[Mapping[str, object]] | None = None) -> str:
    """A key with these scopes; its secret."""
    body = {"name": unique("key")} | ({} if scopes is None else {"scopes": scopes})
    return str((await client.post("/api_keys", **body))["api_key"])


async def key_named(client: Client, name: str) -> Any:
    """The key with this name, as it is listed."""
    return next(key for key in (await client.get("/api_keys"))["api_keys"] if key["name"] == name)


async def furnish(client: Client, receiver: Receiver) -> tuple[Queue, Listener, str]:
    """A queue, a listener and the id of a message, which is delivered: nothing moves on its own any more."""
    queue = await make_queue(client)
    listener = await make_listener(client, queue, receiver.url("/hook"))
    message = await send(client, queue)
    await counted(client, listener, acknowledged=1)
    return queue, listener, message


def scope(resource: str, access: str = "write", targets: object = "*") -> dict[str, object]:
    return {"resource": resource, "access": access, "targets": targets}


# --- keys ---


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-KEY": ""},
        {"X-API-KEY": "x" * 64},
        {"X-API-KEY": "é€"},
        {"X-API-KEY": "x" * 7000},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer " + "x" * 64},
        {"Authorization": "Basic dXNlcjpwYXNz"},
    ],
    ids=["none", "empty", "unknown", "not ascii", "long", "bearer empty", "bearer unknown", "basic"],
)
async def test_no_key_or_an_unknown_one(client: Client, headers: dict[str, str]) -> None:
    """Without a known key every operation is 401."""
    stranger = Client(client.url, None)
    async with stranger:
        await refused(client, 401, "GET", "/queues", by=stranger, headers=headers)
        await refused(client, 401, "POST", "/queues", {"name": unique("q")}, by=stranger, headers=headers)
        await refused(client, 401, "GET", "/stats/messages", by=stranger, headers=headers)


async def test_a_disabled_key(client: Client) -> None:
    """A disabled key is 401 from the next request on, and works again once enabled."""
    name = unique("key")
    secret = (await client.post("/api_keys", name=name))["api_key"]
    path = f"/api_keys/{(await key_named(client, name))['id']}"
    async with Client(client.url, secret) as other:
        await other.get("/queues")
        await client.put(path, status="disabled")
        await refused(client, 401, "GET", "/queues", by=other)
        await client.put(path, status="enabled")
        await other.get("/queues")


async def test_a_key_made_disabled(client: Client) -> None:
    """A key may be made disabled."""
    secret = (await client.post("/api_keys", name=unique("key"), status="disabled"))["api_key"]
    async with Client(client.url, secret) as other:
        await refused(client, 401, "GET", "/queues", by=other)


# --- scopes ---


def operations(queue: Queue, listener: str, message: str, receiver: Receiver) -> list[tuple[str, ...]]:
    """(resource, access, method, path): each operation that a scope can permit."""
    schema = f"{queue.path}/schemas/{'0' * 64}"
    return [
        ("queues", "read", "GET", "/queues"),
        ("queues", "read", "GET", queue.path),
        ("queues", "write", "POST", "/queues"),
        ("queues", "write", "PUT", queue.path),
        ("schemas", "read", "GET", schema),
        ("listeners", "read", "GET", "/listeners"),
        ("listeners", "read", "GET", f"{queue.path}/listeners"),
        ("listeners", "read", "GET", listener),
        ("listeners", "write", "POST", f"{queue.path}/listeners"),
        ("listeners", "write", "PUT", listener),
        ("messages", "read", "GET", "/messages"),
        ("messages", "read", "GET", queue.messages),
        ("messages", "read", "GET", f"{queue.messages}/{message}"),
        ("messages", "read", "GET", f"{queue.messages}/{message}/attempts"),
        ("messages", "write", "POST", queue.messages),
        ("messages", "write", "PUT", f"{queue.messages}/{message}"),
        ("events", "read", "GET", "/events"),
        ("stats", "read", "GET", "/stats/messages"),
        ("analytics", "read", "GET", "/analytics/messagingMetrics/dailyTotals"),
        ("analytics", "read", "GET", "/analytics/messagingMetrics/summary"),
        ("analytics", "read", "GET", "/analytics/messagingMetrics/explain"),
        ("activities", "write", "POST", "/activities"),
        ("sources", "read", "GET", "/sources"),
        ("sources", "write", "POST", "/sources"),
        ("messages", "write", "DELETE", f"{queue.messages}/{message}"),
        ("listeners", "write", "DELETE", listener),
        ("queues", "write", "DELETE", queue.path),
    ]


def body_of(method: str, path: str, receiver: Receiver) -> object:
    """A body that the operation takes."""
    if method in ("GET", "DELETE"):
        return None
    if path == "/activities":
        return []
    if path == "/sources":
        return {"kind": "slack"}
    if path.endswith("/messages"):
        return {"data": "hello"}
    more = {"notify_url": receiver.url("/hook"), "liveness_url": receiver.url("/alive")}
    return {"name": unique("thing")} | (more if path.endswith("/listeners") else {})


async def test_scopes_of_another_resource(client: Client, receiver: Receiver) -> None:
    """An operation is 403 for a key with every scope but the one it needs."""
    queue, listener, message = await furnish(client, receiver)
    for resource, access, method, path in operations(queue, listener.path, message, receiver):
        less = [scope(other) for other in GRANTABLE if other != resource]
        weaker = [scope(resource, "read")] if access == "write" else []
        async with Client(client.url, await make_key(client, less + weaker)) as other:
            await refused(client, 403, method, path, body_of(method, path, receiver), by=other)


async def test_the_scope_that_is_needed(client: Client, receiver: Receiver) -> None:
    """An operation is permitted to a key with just its scope; write includes read."""
    queue, listener, message = await furnish(client, receiver)
    for resource, access, method, path in operations(queue, listener.path, message, receiver):
        for enough in ("write", access):
            if method == "DELETE" and enough == access:
                continue
            async with Client(client.url, await make_key(client, [scope(resource, enough)])) as other:
                answer = await other.call(method, path, body_of(method, path, receiver))
                assert answer.status == (404 if resource == "schemas" else 200), (answer, resource, enough)


async def test_protected_resources_are_for_the_first_key(client: Client) -> None:
    """A key made through the API never reaches keys and organizations."""
    key = (await client.get("/api_keys"))["api_keys"][0]["id"]
    async with Client(client.url, await make_key(client, [scope(one) for one in GRANTABLE])) as other:
        await refused(client, 403, "GET", "/api_keys", by=other)
        await refused(client, 403, "GET", f"/api_keys/{key}", by=other)
        await refused(client, 403, "PUT", f"/api_keys/{key}", {"name": "mine"}, by=other)
        await refused(client, 403, "DELETE", f"/api_keys/{key}", by=other)
        await refused(client, 403, "POST", "/api_keys", {"name": unique("key")}, by=other)
        await refused(client, 403, "POST", "/api_clients", {"name": unique("org")}, by=other)


@pytest.mark.parametrize("resource", PROTECTED)
async def test_protected_resources_cannot_be_granted(client: Client, resource: str) -> None:
    """Granting a protected resource is 422."""
    for access in ("read", "write"):
        body = {"name": unique("key"), "scopes": [scope("queues"), scope(resource, access)]}
        await refused(client, 422, "POST", "/api_keys", body)


async def test_a_key_without_scopes(client: Client) -> None:
    """The defaults: write on queues, listeners and messages, read on events, schemas and stats."""
    async with Client(client.url, await make_key(client)) as other:
        queue = await make_queue(other)
        await send(other, queue)
        for path in ("/listeners", "/messages", "/events", "/stats/messages"):
            await other.get(path)
        await refused(client, 403, "GET", "/api_keys", by=other)


async def test_a_key_with_an_empty_list_of_scopes(client: Client) -> None:
    """No scope at all permits nothing, or counts as none given; it never permits more than the defaults."""
    answer = await client.call("POST", "/api_keys", {"name": unique("key"), "scopes": []})
    if answer.status != 200:
        answer.problem(422)
        return
    async with Client(client.url, answer.json()["api_key"]) as other:
        assert (await other.call("GET", "/queues")).status in (200, 403)
        await refused(client, 403, "GET", "/api_keys", by=other)


async def test_targets(client: Client) -> None:
    """A target list permits the operations on its ids, filters lists, and does not permit making new ones."""
    mine, theirs = await make_queue(client), await make_queue(client)
    scopes = [scope("queues", "write", [mine.id]), scope("messages", "write", [mine.id])]
    async with Client(client.url, await make_key(client, scopes)) as other:
        await other.get(mine.path)
        await send(other, mine)
        listed = (await other.get("/queues"))["queues"]
        assert [queue["id"] for queue in listed] == [mine.id]
        for method, path, body in (
            ("GET", theirs.path, None),
            ("PUT", theirs.path, {"name": unique("queue")}),
            ("DELETE", theirs.path, None),
            ("POST", theirs.messages, {"data": "hello"}),
            ("GET", theirs.messages, None),
            ("POST", "/queues", {"name": unique("queue")}),
        ):
            await refused(client, 403, method, path, body, by=other)


# --- paths and methods ---


async def test_unknown_ids(client: Client, receiver: Receiver) -> None:
    """An id that names nothing is 404, at each place in each path."""
    empty = await make_queue(client)
    queue, listener, message = await furnish(client, receiver)
    paths = [
        f"/api_keys/{UNKNOWN}",
        f"/queues/{UNKNOWN}",
        f"{queue.path}/listeners/{UNKNOWN}",
        f"{queue.messages}/{UNKNOWN}",
        f"/queues/{UNKNOWN}/listeners/{listener.id}",
        f"/queues/{UNKNOWN}/messages/{message}",
        f"{empty.path}/listeners/{listener.id}",
        f"{empty.messages}/{message}",
    ]
    for path in paths:
        await refused(client, 404, "GET", path)
        await refused(client, 404, "PUT", path, {"name": unique("thing")})
        await refused(client, 404, "DELETE", path)
    for path in (f"/queues/{UNKNOWN}/messages", f"/queues/{UNKNOWN}/listeners"):
        await refused(client, 404, "GET", path)
        await refused(client, 404, "POST", path, body_of("POST", path, receiver))
    await refused(client, 404, "GET", f"{queue.messages}/{UNKNOWN}/attempts")
    await refused(client, 404, "GET", f"{empty.messages}/{message}/attempts")
    await refused(client, 404, "PUT", f"/api_clients/{UNKNOWN}", {"id": UNKNOWN, "name": unique("org")})


async def test_things_of_another_organization(client: Client, server: Postroom, receiver: Receiver) -> None:
    """Another organization's ids are as unknown as those of nothing."""
    async with Client(client.url, make_organization(server.place, unique("org")).key) as other:
        queue, listener, message = await furnish(other, receiver)
        for path in (queue.path, listener.path, f"{queue.messages}/{message}"):
            await refused(client, 404, "GET", path)
            await refused(other, 404, "PUT", path, {"name": unique("thing")}, by=client)
            await refused(other, 404, "DELETE", path, by=client)
        await refused(other, 404, "POST", queue.messages, {"data": "hello"}, by=client)
        same = await make_queue(client, queue.name)
        assert same.id != queue.id


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/v2/queues", "/v1", "/v1/v1/queues", "//queues", "/queues/", "/Queues", "/queues/a/b/c/d"],
)
async def test_unknown_paths(client: Client, path: str) -> None:
    """A path that is not served is 404 (a doubled or trailing slash may be forgiven)."""
    answer = await client.call("GET", path)
    if answer.status != 200 or "//" not in f"{path}/":
        answer.problem(404)


@pytest.mark.parametrize(
    "path",
    [
        "/activities",
        "/queues",
        f"/queues/{UNKNOWN}/messages",
        "/messages/stats",
        "/openapi.json",
        "/dashboard",
    ],
)
async def test_a_path_that_says_v1_twice(client: Client, path: str) -> None:
    """404 names the right one, whatever is there; where nothing is, it promises nothing."""
    there = (await client.call("GET", f"/v1/v1{path}")).problem(404)
    assert there == f"there is nothing at /v1/v1{path}; say /v1 once: /v1{path}"
    nothing = (await client.call("GET", f"/v1/v1{path}/nothing/at/all")).problem(404)
    assert nothing == f"there is nothing at /v1/v1{path}/nothing/at/all"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api_clients", {"POST", "PUT"}),
        ("/api_keys", {"GET", "POST", "PUT"}),
        (f"/api_keys/{UNKNOWN}", {"GET", "PUT", "DELETE"}),
        ("/queues", {"GET", "POST", "PUT"}),
        (f"/queues/{UNKNOWN}", {"GET", "PUT", "DELETE"}),
        (f"/queues/{UNKNOWN}/schemas/{UNKNOWN}", {"GET"}),
        ("/listeners", {"GET"}),
        (f"/queues/{UNKNOWN}/listeners", {"GET", "POST", "PUT"}),
        (f"/queues/{UNKNOWN}/listeners/{UNKNOWN}", {"GET", "PUT", "DELETE"}),
        ("/messages", {"GET"}),
        (f"/queues/{UNKNOWN}/messages", {"GET", "POST", "PUT"}),
        (f"/queues/{UNKNOWN}/messages/{UNKNOWN}", {"GET", "PUT", "DELETE"}),
        ("/events", {"GET"}),
        ("/stats/messages", {"GET"}),
        ("/messages/stats", {"GET"}),
    ],
)
async def test_wrong_methods(client: Client, path: str, allowed: set[str]) -> None:
    """A method that the path does not have is 405, and Allow lists those it has."""
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} - allowed:
        body = None if method in ("GET", "DELETE") else {"name": unique("thing")}
        answer = await refused(client, 405, method, path, body)
        told = {word.strip() for word in answer.headers["allow"].split(",")}
        assert allowed <= told <= allowed | {"HEAD", "OPTIONS"}, method


@pytest.mark.parametrize("accept", ["text/html", "application/xml, text/*", "application/json;q=0"])
async def test_accept_that_excludes_json(client: Client, accept: str) -> None:
    """Accept that excludes JSON is 406, for reading and for writing."""
    await refused(client, 406, "GET", "/queues", headers={"Accept": accept})
    await refused(client, 406, "POST", "/queues", {"name": unique("queue")}, headers={"Accept": accept})


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "application/*",
        "application/json; charset=utf-8",
        "text/html, */*;q=0.1",
        "APPLICATION/JSON",
    ],
)
async def test_accept_that_includes_json(client: Client, accept: str) -> None:
    """Accept that includes JSON in any way is served."""
    (await client.call("GET", "/queues", headers={"Accept": accept})).ok()


@pytest.mark.parametrize(
    "accept", ["", "garbage", ";;;,,,", "application/json;q=banana", "é", "*/json", "x" * 4000]
)
async def test_accept_that_is_no_media_range(client: Client, accept: str) -> None:
    """A broken Accept is served or refused, never an error of the server's."""
    answer = await client.call("GET", "/queues", headers={"Accept": accept})
    if answer.status != 200:
        answer.problem(400, 406)
