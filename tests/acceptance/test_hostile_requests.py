"""Bodies, ids and queries that are too large or made to hurt: refused or taken, never an error."""

import json
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.acceptance.client import JSON, Client, Queue, make_queue, unique
from tests.acceptance.house import Postroom
from tests.acceptance.receiver import Receiver
from tests.acceptance.refusal import exchange, is_problem, refused

pytestmark = pytest.mark.anyio

LIMIT: Final = 1_048_576


def head(client: Client, path: str, *more: str) -> bytes:
    """The head of a POST with the key."""
    lines = [f"POST {path} HTTP/1.1", "Host: hub", f"X-API-KEY: {client.key}", f"Content-Type: {JSON}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


def sized(size: int) -> bytes:
    """A message whose body has exactly this size."""
    empty = len(json.dumps({"data": ""}))
    return json.dumps({"data": "x" * (size - empty)}).encode()


async def test_the_largest_body(client: Client) -> None:
    """A body of exactly the limit is taken; one byte more is 413."""
    queue = await make_queue(client)
    (await client.call("POST", queue.messages, sized(LIMIT))).ok()
    await refused(client, 413, "POST", queue.messages, sized(LIMIT + 1))


async def test_a_sender_that_does_not_listen(client: Client) -> None:
    """Whoever sends twice the limit before reading gets to read the 413, not a reset connection."""
    queue = await make_queue(client)
    for _ in range(5):
        await refused(client, 413, "POST", queue.messages, sized(2 * LIMIT))


async def test_a_body_that_is_announced_too_large(client: Client, server: Postroom) -> None:
    """Content-Length over the limit is 413 without waiting for the body."""
    queue = await make_queue(client)
    for length in (LIMIT + 1, 10**12):
        answer = await exchange(server.port, head(client, queue.messages, f"Content-Length: {length}"))
        is_problem(*answer, 413)
    assert (await client.get(queue.messages))["messages"] == []


async def test_a_chunked_body_that_grows_too_large(client: Client, server: Postroom) -> None:
    """A chunked body is 413 as soon as it is over the limit, though it never ends."""
    queue = await make_queue(client)
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    start = head(client, queue.messages, "Transfer-Encoding: chunked")
    is_problem(*await exchange(server.port, start, *[chunk] * 24), 413)
    assert (await client.get(queue.messages))["messages"] == []


async def test_a_chunked_body(client: Client, server: Postroom) -> None:
    """A chunked body within the limit is taken."""
    queue = await make_queue(client)
    start = head(client, queue.messages, "Transfer-Encoding: chunked")
    parts = [b"8\r\n" + b'{"data":' + b"\r\n", b"6\r\n" + b'"abcd"' + b"\r\n", b"1\r\n}\r\n", b"0\r\n\r\n"]
    status, _, _ = await exchange(server.port, start, *parts)
    assert status == 200
    assert len((await client.get(queue.messages))["messages"]) == 1


# --- bodies and paths made to hurt ---


@pytest.mark.parametrize("text", ["\\ud800", "\\udc00", "a\\ud83dz", "\\udc00\\ud800"])
@pytest.mark.parametrize("field", ["data", "name"])
async def test_lone_surrogates(client: Client, field: str, text: str) -> None:
    """A string that is no Unicode text is refused."""
    queue = await make_queue(client)
    body = f'{{"data": "x", "{field}": "{text}"}}'.encode()
    await refused(client, (400, 422), "POST", queue.messages, body)


@pytest.mark.parametrize(
    "body",
    [
        '{"name": "a", "name": "%s"}',
        '{"name": "%s", "colour": "blue"}',
        '{"name": "%s", "__proto__": {"a": 1}}',
        '{"name": "%s", "": 1e400}',
        '{"name": "%s", "id": 1' + "0" * 5000 + "}",
        '{"name": "%s", "x": ' + "[" * 500 + "]" * 500 + "}",
        '{"name": "%s", "x": ' + "[" * 50_000 + "]" * 50_000 + "}",
    ],
    ids=["duplicate", "unknown", "proto", "infinite", "huge integer", "nested", "deeply nested"],
)
async def test_odd_bodies(client: Client, body: str) -> None:
    """Duplicate and unknown fields, huge numbers and deep nesting: taken or refused, never an error."""
    answer = await client.call("POST", "/queues", (body % unique("queue")).encode())
    if answer.status != 200:
        answer.problem(400, 422)


@pytest.mark.parametrize(
    "odd",
    [
        "%00",
        "%2e%2e",
        "%2F",
        "%ff",
        "%c3%28",
        "%E2%82%AC",
        "a%20b",
        "x" * 3000,
        "'%22;--",
        "%0d%0aX:1",
        "{id}",
        "%",
        "null",
    ],
)
async def test_odd_ids(client: Client, odd: str) -> None:
    """An id that is none is not found (or refused), wherever it stands."""
    queue = await make_queue(client)
    for path in (
        f"/queues/{odd}",
        f"{queue.messages}/{odd}",
        f"/api_keys/{odd}",
        f"/queues/{odd}/listeners/{odd}",
    ):
        answer = await client.call("GET", path)
        answer.problem(400, 404, 405, 422)
    (await client.call("DELETE", f"/queues/{odd}")).problem(400, 404, 405, 422)


@pytest.mark.parametrize("path", ["/events", "/messages"])
@pytest.mark.parametrize("limit", ["0", "-1", "1001", "x", "", "1.5", "9" * 30, "%00", "%D9%A1"])
async def test_limits(client: Client, path: str, limit: str) -> None:
    """`limit` is a whole number from 1 to 1000."""
    (await client.call("GET", f"{path}?limit={limit}")).problem(400, 422)


@pytest.mark.parametrize(
    "query",
    [
        "events=kitchen",
        "startAfter=x",
        "startAfter=-1",
        "startAfter=" + "9" * 30,
        "startAfterId=x",
        "startAfter=1e3",
    ],
)
async def test_odd_cursors(client: Client, query: str) -> None:
    """A filter or cursor that is none is refused (a cursor may also lie beyond everything)."""
    answer = await client.call("GET", f"/events?{query}")
    if answer.status == 200 and query != "events=kitchen":
        assert isinstance(answer.json()["events"], list)
        return
    answer.problem(400, 422)


@pytest.mark.parametrize("value", ["yes", "", "2", "%ff"])
async def test_odd_pretty(client: Client, value: str) -> None:
    """`pretty` that is no boolean is taken as something or refused."""
    answer = await client.call("GET", f"/queues?pretty={value}")
    if answer.status != 200:
        answer.problem(400, 422)


JSONS: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS: Final = st.sampled_from(
    ["name", "data", "schema", "scopes", "status", "notify_url", "liveness_url", "id"]
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=st.dictionaries(FIELDS, JSONS, max_size=4) | JSONS, place=st.integers(0, 5))
async def test_any_json_at_all(client: Client, receiver: Receiver, body: Any, place: int) -> None:
    """Whatever JSON is sent to whatever operation, it is taken or refused, never an error."""
    queue: Queue = await make_queue(client)
    paths = ("/queues", "/api_keys", "/api_clients", f"{queue.path}/listeners", queue.messages, queue.path)
    answer = await client.call("PUT", paths[place], json.dumps(body).encode())
    if answer.status != 200:
        answer.problem(400, 422)
