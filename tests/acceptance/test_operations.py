"""Every operation of the hub API: its path, its body, the shape of its answer."""

import re
from typing import Any, Final

import pytest

from tests.acceptance.client import (
    Client,
    attempted,
    make_listener,
    make_queue,
    pages,
    send,
    unique,
)
from tests.acceptance.house import Organization, Postroom, until
from tests.acceptance.receiver import Receiver, answer

pytestmark = pytest.mark.anyio

ID: Final = re.compile(r"[-0-9A-Z_a-z]{21}")
COUNTERS: Final = [
    f"{noun}_{verb}" for noun in ("api_key", "queue", "listener") for verb in ("added", "updated", "deleted")
] + ["message_added", "message_published_ok", "message_published_not_ok"]
WINDOWS: Final = ["last_24_hours", "last_1_hours", "today_so_far"]
LISTS: Final = ["api_keys", "queues", "listeners", "messages", "events"]


def link(answer: Any) -> str:
    """The answer's own address."""
    return str(answer["_links"]["self"]["href"])


def is_named(thing: Any, name: str | None) -> None:
    """An id and a name, and nothing else."""
    assert set(thing) == {"id", "name"}
    assert ID.fullmatch(thing["id"])
    assert thing["name"] == name


async def test_an_organization_is_made_and_renamed(client: Client) -> None:
    """POST /api_clients and PUT /api_clients/{id} answer with the organization."""
    name = f"example.com/{unique('dev')}"
    made = await client.post("/api_clients", name=name)
    is_named(made["api_client"], name)
    assert link(made)
    own = made["api_client"]["id"]
    changed = await client.put(f"/api_clients/{own}", id=own, name=f"{name}/2")
    assert changed["api_client"] == {"id": own, "name": f"{name}/2"}
    assert link(changed).endswith(f"/api_clients/{own}")


async def test_a_key_is_made_and_its_secret_works(client: Client, server: Postroom) -> None:
    """POST /api_keys answers with the secret, this once; both headers take it."""
    made = await client.post("/api_keys", name=unique("key"), status="enabled", scopes=None)
    secret = made["api_key"]
    assert re.fullmatch(r"[-0-9A-Z_a-z]{64}", secret)
    assert link(made)
    async with Client(server.url, secret) as other:
        await other.get("/queues")
        assert (await other.raw("GET", "/queues", {"Authorization": f"Bearer {secret}"})).status == 200
    assert secret not in str(await client.get("/api_keys"))


async def test_a_key_is_read(client: Client, server: Postroom) -> None:
    """GET /api_keys lists whole keys; GET /api_keys/{id} answers the same one."""
    name = unique("key")
    scopes = [{"resource": "queues", "access": "read", "targets": ["*"]}]
    secret = (await client.post("/api_keys", name=name, scopes=scopes))["api_key"]
    listed = [key for key in (await client.get("/api_keys"))["api_keys"] if key["name"] == name]
    one = await client.get(f"/api_keys/{listed[0]['id']}")
    key = one["api_key"]
    assert [key] == listed
    assert link(one).endswith(f"/api_keys/{key['id']}")
    fields = {"id", "name", "created_at", "updated_at", "last_used_at", "key", "status", "scopes", "encoding"}
    assert set(key) == fields
    assert ID.fullmatch(key["id"])
    assert key["status"] == "enabled"
    assert key["scopes"] == scopes
    assert 4 <= len(key["key"]) <= 16
    assert secret.startswith(key["key"])
    assert key["created_at"] == key["updated_at"] > 1_700_000_000_000


async def test_a_keys_last_use_is_known(client: Client, server: Postroom, organization: Organization) -> None:
    """`last_used_at` is the time of the key's last request, give or take a moment."""
    name = unique("key")
    secret = (await client.post("/api_keys", name=name))["api_key"]

    async def look() -> Any:
        return next(key for key in (await client.get("/api_keys"))["api_keys"] if key["name"] == name)

    assert (await look())["last_used_at"] is None
    async with Client(server.url, secret) as other:
        await other.get("/queues")
    key = await until(look, lambda key: key["last_used_at"] is not None)
    assert key["last_used_at"] >= key["created_at"]


async def test_a_key_is_changed(client: Client, server: Postroom) -> None:
    """PUT /api_keys/{id} changes what is named; scopes replace the whole list."""
    name = unique("key")
    secret = (await client.post("/api_keys", name=name))["api_key"]
    key = next(key for key in (await client.get("/api_keys"))["api_keys"] if key["name"] == name)
    path, scopes = f"/api_keys/{key['id']}", [{"resource": "stats", "access": "read", "targets": ["*"]}]
    changed = (await client.put(path, scopes=scopes))["api_key"]
    assert changed["scopes"] == scopes
    assert changed["name"] == name
    assert changed["updated_at"] >= key["updated_at"]
    async with Client(server.url, secret) as other:
        assert (await other.call("GET", "/stats/messages")).status == 200
        assert (await other.call("GET", "/queues")).status == 403
    renamed = (await client.put(path, name=f"{name}-2"))["api_key"]
    assert (renamed["name"], renamed["scopes"]) == (f"{name}-2", scopes)
    assert (await client.get(path))["api_key"]["name"] == f"{name}-2"


async def test_a_key_is_deleted(client: Client, server: Postroom) -> None:
    """DELETE /api_keys/{id} answers with links only; the key is gone and opens nothing."""
    name = unique("key")
    secret = (await client.post("/api_keys", name=name))["api_key"]
    key = next(key for key in (await client.get("/api_keys"))["api_keys"] if key["name"] == name)
    assert set(await client.delete(f"/api_keys/{key['id']}")) == {"_links"}
    (await client.call("GET", f"/api_keys/{key['id']}")).problem(404)
    async with Client(server.url, secret) as other:
        (await other.call("GET", "/queues")).problem(401)


async def test_a_queue_is_made_read_changed_and_deleted(client: Client) -> None:
    """The four operations on a queue, and the list."""
    name = unique("queue")
    made = await client.post("/queues", name=name)
    queue = made["queue"]
    path = f"/queues/{queue['id']}"
    assert (queue["name"], ID.fullmatch(queue["id"]) is None) == (name, False)
    assert link(made).endswith(path)
    assert {"id": queue["id"], "name": name} in (await client.get("/queues"))["queues"]
    assert (await client.get(path))["queue"] == queue
    changed = await client.put(path, name=f"{name}-2")
    assert changed["queue"] == queue | {"name": f"{name}-2"}
    assert set(await client.delete(path)) == {"_links"}
    (await client.call("GET", path)).problem(404)


async def test_a_queue_links_its_listeners_by_name(client: Client, receiver: Receiver) -> None:
    """A queue's links lead to each of its listeners."""
    queue = await make_queue(client)
    listener = await make_listener(client, queue, receiver.url("/hook"))
    links = (await client.get(queue.path))["_links"]
    assert links[listener.name]["href"].endswith(listener.path)
    assert (await client.get(links[listener.name]["href"]))["listener"]["id"] == listener.id


async def test_a_queue_keeps_its_schema(client: Client) -> None:
    """A queue's schema is read at /queues/{queue_id}/schemas/{schema_id}, a SHA-256."""
    schema = {"total": {"type": "number", "min": 0}, "note": {"type": "string", "required": False}}
    made = await client.post("/queues", name=unique("queue"), schema=schema)
    queue = made["queue"]
    assert queue["schema"] == schema
    href = made["_links"]["schema"]["href"]
    assert re.search(rf"/queues/{queue['id']}/schemas/[0-9a-f]{{64}}$", href)
    read = await client.get(href)
    assert read["schema"] == schema
    assert link(read) == href
    (await client.call("GET", f"/queues/{queue['id']}/schemas/{'0' * 64}")).problem(404)


async def test_deleting_a_queue_removes_what_it_holds(client: Client, receiver: Receiver) -> None:
    """DELETE /queues/{id} also removes its listeners and messages."""
    queue = await make_queue(client)
    listener = await make_listener(client, queue, receiver.url("/hook"))
    message = await send(client, queue)
    await client.delete(queue.path)
    for path in (queue.path, queue.messages, listener.path, f"{queue.messages}/{message}"):
        (await client.call("GET", path)).problem(404)
    assert listener.id not in [item["id"] for item in (await client.get("/listeners"))["listeners"]]
    assert message not in [item["id"] for item in (await client.get("/messages"))["messages"]]


async def test_a_listener_is_made_read_changed_and_deleted(client: Client, receiver: Receiver) -> None:
    """The operations on a listener; its secret is shown once, when it is made."""
    queue = await make_queue(client)
    name, notify, alive = unique("listener"), receiver.url("/hook"), receiver.url("/alive")
    body = {"name": name, "notify_url": notify, "liveness_url": alive}
    made = await client.post(f"{queue.path}/listeners", **body)
    listener = made["listener"]
    assert set(listener) == {"id", "name", "secret"}
    assert ID.fullmatch(listener["id"])
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{32,}={0,2}", listener["secret"])
    path = f"{queue.path}/listeners/{listener['id']}"
    assert link(made).endswith(path)
    whole = (await client.get(path))["listener"]
    fields = {"id", "name", "status", "liveness", "messages", "notify_url", "liveness_url"}
    assert set(whole) == fields
    assert (whole["name"], whole["notify_url"], whole["liveness_url"]) == (name, notify, alive)
    assert whole["status"] == "enabled"
    assert set(whole["liveness"]) == {"state", "success_count", "failure_count"}
    kinds = ("acknowledged", "missed", "pending", "discarded", "accepted")
    assert whole["messages"] == {f"{kind}_count": 0 for kind in kinds} | {"missed": []}
    changed = await client.put(path, name=f"{name}-2", notify_url=receiver.url("/other"))
    assert changed["listener"] == {"id": listener["id"], "name": f"{name}-2"}
    again = (await client.get(path))["listener"]
    assert (again["notify_url"], again["liveness_url"]) == (receiver.url("/other"), alive)
    assert set(await client.delete(path)) == {"_links"}
    (await client.call("GET", path)).problem(404)


async def test_listeners_are_listed(client: Client, receiver: Receiver) -> None:
    """GET /listeners lists all of the organization, GET /queues/{id}/listeners those of one queue."""
    one, two = await make_queue(client), await make_queue(client)
    first = await make_listener(client, one, receiver.url("/hook"))
    second = await make_listener(client, two, receiver.url("/hook"))
    everything = [listener["id"] for listener in (await client.get("/listeners"))["listeners"]]
    assert {first.id, second.id} <= set(everything)
    (listed,) = (await client.get(f"{one.path}/listeners"))["listeners"]
    whole = (await client.get(first.path))["listener"]
    assert set(listed.pop("liveness")) == set(whole.pop("liveness"))  # it is probed between the two
    assert listed == whole


async def test_a_message_is_sent_read_renamed_and_deleted(client: Client) -> None:
    """The operations on a message."""
    queue = await make_queue(client)
    made = await client.post(queue.messages, data="hello", name="greeting")
    message = made["message"]
    is_named(message, "greeting")
    path = f"{queue.messages}/{message['id']}"
    assert link(made).endswith(path)
    read = (await client.get(path))["message"]
    assert message.items() <= read.items()
    changed = (await client.put(path, name="farewell"))["message"]
    assert (changed["id"], changed["name"]) == (message["id"], "farewell")
    assert (await client.get(path))["message"]["name"] == "farewell"
    assert set(await client.delete(path)) == {"_links"}
    (await client.call("GET", path)).problem(404)


async def test_a_message_needs_no_name(client: Client) -> None:
    """A message without a name is answered with the name null."""
    queue = await make_queue(client)
    made = (await client.post(queue.messages, data=""))["message"]
    is_named(made, None)


async def test_messages_are_listed_newest_first(client: Client) -> None:
    """GET /messages lists all of the organization, GET /queues/{id}/messages those of one queue."""
    one, two = await make_queue(client), await make_queue(client)
    sent = [await send(client, one, "a", name="a"), await send(client, one, "b", name="b")]
    other = await send(client, two)
    listed = (await client.get(one.messages))["messages"]
    assert listed == [{"id": sent[1], "name": "b"}, {"id": sent[0], "name": "a"}]
    everything = [message["id"] for message in (await client.get("/messages"))["messages"]]
    assert everything[:3] == [other, *reversed(sent)]


async def test_messages_are_read_in_pages(client: Client) -> None:
    """`limit` bounds a page; `_links.next` leads through all of them, each message once."""
    queue = await make_queue(client)
    sent = [await send(client, queue, str(number)) for number in range(7)]
    assert len((await client.get(f"{queue.messages}?limit=3"))["messages"]) == 3
    for path in (f"{queue.messages}?limit=3", "/messages?limit=3"):
        found = [message["id"] for message in await pages(client, path, "messages")]
        assert [one for one in found if one in sent] == sent[::-1]
    assert "next" not in (await client.get(f"{queue.messages}?limit=7"))["_links"]


async def test_attempts_are_listed(client: Client, receiver: Receiver) -> None:
    """GET .../messages/{id}/attempts tells time, duration, outcome and answer of each."""
    queue = await make_queue(client)
    listener = await make_listener(client, queue, receiver.on("/hook", answer(202, b"taken")))
    message = await send(client, queue)
    (attempt,) = await attempted(client, queue, message, 1)
    assert set(attempt) == {"listener", "number", "at", "duration", "status", "error", "answer"}
    assert attempt["listener"] == {"id": listener.id, "name": listener.name}
    assert (attempt["number"], attempt["status"], attempt["error"]) == (1, 202, None)
    assert attempt["answer"] == "taken"
    assert attempt["at"] > 1_700_000_000_000
    assert attempt["duration"] >= 0


async def test_put_on_a_collection_is_post(client: Client, receiver: Receiver) -> None:
    """Older pages create with PUT on the collection."""
    queue = (await client.put("/queues", name=unique("queue")))["queue"]
    path = f"/queues/{queue['id']}"
    urls = {"notify_url": receiver.url("/hook"), "liveness_url": receiver.url("/alive")}
    listener = (await client.put(f"{path}/listeners", name=unique("listener"), **urls))["listener"]
    message = (await client.put(f"{path}/messages", data="hello"))["message"]
    assert len((await client.put("/api_keys", name=unique("key")))["api_key"]) == 64
    assert (await client.put("/api_clients", name=unique("example.com/dev")))["api_client"]["id"]
    assert (await client.get(f"{path}/listeners/{listener['id']}"))["listener"]["id"] == listener["id"]
    assert (await client.get(f"{path}/messages/{message['id']}"))["message"]["id"] == message["id"]
