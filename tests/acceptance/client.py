"""A thin client of the hub API, and the vocabulary of the tests: make_queue, make_listener, send."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from yarl import URL

from tests.acceptance.house import DEADLINE, until

JSON: Final = "application/json"
PHRASES: Final = {
    400: {"Bad Request"},
    401: {"Unauthorized"},
    403: {"Forbidden"},
    404: {"Not Found"},
    405: {"Method Not Allowed"},
    406: {"Not Acceptable"},
    413: {"Content Too Large", "Payload Too Large", "Request Entity Too Large"},
    415: {"Unsupported Media Type"},
    422: {"Unprocessable Entity", "Unprocessable Content"},
    500: {"Internal Server Error"},
    503: {"Service Unavailable"},
}

_numbers: Final = count(1)


def unique(kind: str) -> str:
    """A name that no other test of this run uses."""
    return f"{kind}-{next(_numbers)}"


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    asked: str
    status: int
    headers: Mapping[str, str]
    raw: bytes

    def json(self) -> Any:
        return json.loads(self.raw)

    def ok(self) -> Any:
        """The JSON of an answer that must be a 200."""
        assert self.status == 200, f"{self.asked}: {self.status} {self.raw[:500]!r}"
        return self.json()

    def problem(self, *statuses: int) -> str:
        """The detail of an answer that must be a problem with one of these statuses."""
        seen = f"{self.asked}: {self.status} {self.raw[:500]!r}"
        assert self.status in statuses, f"{seen}, not one of {statuses}"
        assert self.headers["content-type"].startswith(JSON), seen
        body = self.json()
        if "/analytics/" in self.asked:
            return self._tracked(body)
        assert set(body) == {"title", "status", "detail"}, seen
        assert body["status"] == self.status, seen
        assert body["title"] in PHRASES[self.status], seen
        assert isinstance(body["detail"], str), seen
        assert body["detail"].strip(), seen
        return str(body["detail"])

    def _tracked(self, body: Any) -> str:
        """The description in a problem of the analytics API, whose id is in a header too."""
        assert set(body) == {"message", "errors", "trackingId"}, body
        (description,) = [each["description"] for each in body["errors"]]
        assert description.strip(), body
        assert body["message"] == description
        assert body["trackingId"] == self.headers["trackingId"]
        assert re.fullmatch(r"POSTROOM_[0-9a-f]{16}", body["trackingId"])
        return str(description)


class Client:
    """Requests with an API key; nothing is retried, nothing is followed."""

    def __init__(self, url: str, key: str | None) -> None:
        self.url = url
        self.key = key
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=DEADLINE))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def raw(
        self, method: str, path: str, headers: Mapping[str, str], sent: bytes | None = None
    ) -> Answer:
        """One request with these headers and no others but HTTP's own; the path is sent as it stands."""
        assert self._session is not None
        url = URL(path if path.startswith("http") else self.url + path, encoded=True)
        async with self._session.request(
            method,
            url,
            headers=headers,
            data=BytesIO(sent) if sent else sent,
            allow_redirects=False,
            skip_auto_headers=("Content-Type",),
        ) as response:
            return Answer(f"{method} {path}", response.status, response.headers.copy(), await response.read())

    async def call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request with the key; a body that is not None goes as JSON (bytes as they are)."""
        key = {"X-API-KEY": self.key} if self.key is not None else {}
        kind = {"Content-Type": JSON} if body is not None else {}
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return await self.raw(method, path, key | kind | dict(headers or {}), sent)

    async def get(self, path: str) -> Any:
        """The JSON of a GET that must succeed."""
        return (await self.call("GET", path)).ok()

    async def post(self, path: str, **body: object) -> Any:
        return (await self.call("POST", path, body)).ok()

    async def put(self, path: str, **body: object) -> Any:
        return (await self.call("PUT", path, body)).ok()

    async def delete(self, path: str) -> Any:
        return (await self.call("DELETE", path)).ok()


@dataclass(frozen=True)
class Queue:
    """A queue that a test made."""

    id: str
    name: str

    @property
    def path(self) -> str:
        return f"/queues/{self.id}"

    @property
    def messages(self) -> str:
        return f"{self.path}/messages"


@dataclass(frozen=True)
class Listener:
    """A listener that a test made, with its secret."""

    id: str
    name: str
    secret: str
    queue: Queue

    @property
    def path(self) -> str:
        return f"{self.queue.path}/listeners/{self.id}"


async def make_queue(client: Client, name: str | None = None, **more: object) -> Queue:
    made = (await client.post("/queues", name=name or unique("queue"), **more))["queue"]
    return Queue(made["id"], made["name"])


async def make_listener(
    client: Client, queue: Queue, notify: str, liveness: str | None = None, name: str | None = None
) -> Listener:
    """A listener; its liveness URL is the notify URL's receiver at /alive, which answers 200 unless told."""
    made = await client.post(
        f"{queue.path}/listeners",
        name=name or unique("listener"),
        notify_url=notify,
        liveness_url=liveness or str(URL(notify).with_path("/alive")),
    )
    listener = made["listener"]
    return Listener(listener["id"], listener["name"], listener["secret"], queue)


async def send(client: Client, queue: Queue, data: str = "hello", name: str | None = None) -> str:
    """Send a message; its id."""
    named = {} if name is None else {"name": name}
    return str((await client.post(queue.messages, data=data, **named))["message"]["id"])


async def send_many(client: Client, queue: Queue, number: int, data: str = "hello") -> list[str]:
    """Send messages one after another; their ids."""
    return [await send(client, queue, f"{data} {n}") for n in range(number)]


async def state(client: Client, listener: Listener) -> Any:
    """The whole listener."""
    return (await client.get(listener.path))["listener"]


async def counts(client: Client, listener: Listener) -> dict[str, int]:
    """What became of a listener's deliveries; the books must balance whenever they are looked at."""
    messages = (await state(client, listener))["messages"]
    ended = ("acknowledged_count", "missed_count", "discarded_count", "pending_count")
    assert messages["accepted_count"] == sum(messages[name] for name in ended), messages
    assert all(messages[name] >= 0 for name in ended), messages
    return {name.removesuffix("_count"): messages[name] for name in (*ended, "accepted_count")}


async def counted(client: Client, listener: Listener, **wanted: int) -> dict[str, int]:
    """Wait until a listener's counts are as wanted."""

    async def look() -> dict[str, int]:
        return await counts(client, listener)

    return await until(look, lambda seen: bool(wanted.items() <= seen.items()))


async def attempts(client: Client, queue: Queue, message_id: str) -> list[Any]:
    """All attempts made for a message, to any listener."""
    answer = await client.get(f"{queue.messages}/{message_id}/attempts")
    return list(answer["attempts"])


async def attempted(client: Client, queue: Queue, message_id: str, number: int) -> list[Any]:
    """Wait until so many attempts are on record."""

    async def look() -> list[Any]:
        return await attempts(client, queue, message_id)

    return await until(look, lambda seen: len(seen) >= number)


async def stats(client: Client, window: str = "last_24_hours") -> dict[str, int]:
    """One window of the counters."""
    answer = await client.get("/stats/messages")
    return dict(answer["aggregated_api_usage_events"][window])


async def events(client: Client) -> list[Any]:
    """All raw events, once as many are listed as are counted.

    On PostgreSQL they are listed when no transaction is under way any more that may add an older one.
    """

    async def look() -> tuple[list[Any], dict[str, int]]:
        return await pages(client, "/events?limit=1000", "events"), await stats(client)

    return (await until(look, lambda seen: len(seen[0]) == sum(seen[1].values())))[0]


async def counted_events(client: Client) -> dict[str, int]:
    """The counters, counted naively over all raw events."""
    nothing = dict.fromkeys(await stats(client), 0)
    return nothing | Counter(event["type"] for event in await events(client))


async def pages(client: Client, path: str, kind: str) -> list[Any]:
    """Every item of a list, following `_links.next`."""
    found: list[Any] = []
    answer = await client.get(path)
    while True:
        found += answer[kind]
        if "next" not in answer["_links"]:
            return found
        assert answer[kind], f"{path}: an empty page with a next one"
        answer = await client.get(answer["_links"]["next"]["href"])
