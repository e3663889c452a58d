"""Bad bodies: not JSON, a field missing or wrong, another content type, a name that is taken."""

import json
from typing import Final

import pytest

from tests.acceptance.client import Client, make_queue, send, unique
from tests.acceptance.refusal import refused

pytestmark = pytest.mark.anyio

LISTENER: Final = {"name": "x", "notify_url": "http://127.0.0.1/", "liveness_url": "http://127.0.0.1/"}
SCOPE: Final = {"resource": "queues", "access": "read", "targets": "*"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"hello",
        b'{"name": "x",}',
        b"{'name': 'x'}",
        b'{"name": "x"} x',
        b'{"name": NaN}',
        b'{"name": "\xff\xfe"}',
        b"\xef\xbb\xbf{",
        b"\x00",
        b'{"name": "a\nb"}',
        b'{"name":' + b"[" * 100_000,
        b'{"name":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda body: repr(body[:16]),
)
async def test_a_body_that_is_not_json(client: Client, body: bytes) -> None:
    """A body that is not JSON is 400 (what is nested may be found to be of the wrong type first, 422)."""
    await refused(client, (400, 422) if b"[" in body else 400, "POST", "/queues", body)


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"1", b"null", b"true"])
async def test_a_body_that_is_no_object(client: Client, body: bytes) -> None:
    """JSON that is not an object is of the wrong type."""
    await refused(client, 422, "POST", "/queues", body)


@pytest.mark.parametrize("wrong", [None, 1, 1.5, True, [], {}, ["x"]])
@pytest.mark.parametrize("path", ["/queues", "/api_clients", "/api_keys"])
async def test_a_name_of_the_wrong_type(client: Client, path: str, wrong: object) -> None:
    """A name that is no string is 422, and the detail names the field."""
    answer = await refused(client, 422, "POST", path, {"name": wrong})
    assert "name" in answer.json()["detail"]


@pytest.mark.parametrize("name", ["", "x" * 201, "a\x00b", "a\nb", "\x7f", "\x1b[2J"])
@pytest.mark.parametrize("path", ["/queues", "/api_keys"])
async def test_a_name_that_breaks_the_rules(client: Client, path: str, name: str) -> None:
    """Names have 1 to 200 characters, none of them a control character."""
    answer = await refused(client, 422, "POST", path, {"name": name})
    assert "name" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/queues", "/api_clients", "/api_keys"])
async def test_a_missing_name(client: Client, path: str) -> None:
    """A missing field is 422, and the detail names it."""
    answer = await refused(client, 422, "POST", path, {})
    assert "name" in answer.json()["detail"]


@pytest.mark.parametrize("field", list(LISTENER))
async def test_a_listener_needs_all_its_fields(client: Client, field: str) -> None:
    """Each of a listener's fields is required, and a string."""
    queue = await make_queue(client)
    less = {name: value for name, value in LISTENER.items() if name != field}
    for body in (less, less | {field: None}, less | {field: 7}):
        answer = await refused(client, 422, "POST", f"{queue.path}/listeners", body)
        assert field in answer.json()["detail"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hello",
        "/hook",
        "//host/hook",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://",
        "http:///hook",
        "http://user:password@127.0.0.1/",
        "http://user@127.0.0.1/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:x/",
        "http://[::1/",
        "http://127.0.0.1/a b\r\nX-Evil: 1",
        "http://127.0.0.1/\x00",
        "http://" + "x" * 300 + ".example/",
        "http://a..b/",
    ],
)
@pytest.mark.parametrize("field", ["notify_url", "liveness_url"])
async def test_a_url_that_is_none(client: Client, field: str, url: str) -> None:
    """Only http and https URLs with a host, without user and password."""
    queue = await make_queue(client)
    answer = await refused(client, 422, "POST", f"{queue.path}/listeners", LISTENER | {field: url})
    assert field in answer.json()["detail"]


@pytest.mark.parametrize(
    "body", [{}, {"name": "x"}, {"data": None}, {"data": 1}, {"data": {"a": 1}}, {"data": []}]
)
async def test_a_message_without_data(client: Client, body: object) -> None:
    """`data` is required, and a string."""
    queue = await make_queue(client)
    answer = await refused(client, 422, "POST", queue.messages, body)
    assert "data" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("status", "off"),
        ("status", 1),
        ("scopes", "all"),
        ("scopes", [1]),
        ("scopes", [SCOPE | {"resource": "kitchen"}]),
        ("scopes", [SCOPE | {"access": "admin"}]),
        ("scopes", [SCOPE | {"targets": 7}]),
        ("scopes", [SCOPE | {"targets": [7]}]),
        ("scopes", [SCOPE | {"targets": "some"}]),
        ("scopes", [{"resource": "queues", "targets": "*"}]),
        ("scopes", [{"access": "read", "targets": "*"}]),
    ],
)
async def test_a_key_with_a_wrong_field(client: Client, field: str, wrong: object) -> None:
    """A wrong status or scope is 422, and the detail names the field."""
    answer = await refused(client, 422, "POST", "/api_keys", {"name": unique("key"), field: wrong})
    assert field in answer.json()["detail"]


@pytest.mark.parametrize(
    "rule",
    [
        1,
        {"type": "kitchen"},
        {},
        {"type": "string", "pattern": "("},
        {"type": "array"},
        {"type": "number", "min": "x"},
    ],
)
async def test_a_schema_that_is_none(client: Client, rule: object) -> None:
    """A schema's rules are checked when the queue is made."""
    body = {"name": unique("queue"), "schema": {"a": rule}}
    answer = await refused(client, 422, "POST", "/queues", body)
    assert "schema" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("hello", "JSON"),
        ("{}", "total"),
        ('{"total": -1}', "total"),
        ('{"total": "1"}', "total"),
        ('{"total": 1, "more": 2}', "more"),
        ('{"total": 1, "note": "xyz"}', "note"),
        ("[1]", ""),
        ("[" * 50_000, ""),
    ],
    ids=["no json", "missing", "too small", "wrong type", "undeclared", "too long", "no object", "deep"],
)
async def test_a_message_that_breaks_its_queues_schema(client: Client, data: str, said: str) -> None:
    """A message that breaks the schema is 422, saying where."""
    rules = {"total": {"type": "number", "min": 0}, "note": {"type": "string", "max": 2, "required": False}}
    queue = await make_queue(client, schema=rules)
    answer = await refused(client, 422, "POST", queue.messages, {"data": data})
    assert said in answer.json()["detail"]
    await send(client, queue, '{"total": 1.5, "note": "ok"}')


@pytest.mark.parametrize(
    "kind", [None, "", "text/plain", "application/x-www-form-urlencoded", "json", "é", "x" * 999]
)
async def test_a_content_type_that_is_not_json(client: Client, kind: str | None) -> None:
    """A body must say that it is JSON."""
    headers = {"X-API-KEY": str(client.key)} | ({} if kind is None else {"Content-Type": kind})
    body = json.dumps({"name": unique("queue")}).encode()
    answer = await client.raw("POST", "/queues", headers, body)
    answer.problem(415)


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", 'application/json;charset="UTF-8"']
)
async def test_content_types_that_are_json(client: Client, kind: str) -> None:
    """Parameters and case of the content type do not matter."""
    body = {"name": unique("queue")}
    (await client.call("POST", "/queues", body, {"Content-Type": kind})).ok()


async def test_a_taken_name(client: Client) -> None:
    """Names are unique in the organization, per kind: a taken one is 422, in POST and in PUT."""
    one, two = await make_queue(client), await make_queue(client)
    body = LISTENER | {"name": unique("listener")}
    listener = (await client.post(f"{one.path}/listeners", **body))["listener"]
    other = (await client.post(f"{two.path}/listeners", **LISTENER | {"name": unique("listener")}))[
        "listener"
    ]
    key = unique("key")
    await client.post("/api_keys", name=key)
    for method, path, named in (
        ("POST", "/queues", {"name": one.name}),
        ("PUT", two.path, {"name": one.name}),
        ("POST", f"{two.path}/listeners", body),
        ("PUT", f"{two.path}/listeners/{other['id']}", {"name": listener["name"]}),
        ("POST", "/api_keys", {"name": key}),
    ):
        answer = await refused(client, 422, method, path, named)
        assert "name" in answer.json()["detail"]
    await client.put(one.path, name=one.name)
    await make_queue(client, listener["name"])
