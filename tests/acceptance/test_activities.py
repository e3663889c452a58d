"""POST /activities: what anybody can send, a few or a hundred thousand, as JSON or line by line."""

import gzip
import json
import re
from collections.abc import Iterable
from typing import Any

import pytest

from tests.acceptance.beside import write_lock
from tests.acceptance.client import Answer, Client, unique
from tests.acceptance.conftest import ON_BOTH, Make
from tests.acceptance.house import Organization, Postroom, Url
from tests.acceptance.refusal import exchange, is_problem, refused
from tests.support.home import Kind

pytestmark = pytest.mark.anyio
AT = 1_700_000_000_000
LINES = "application/x-ndjson"
JSON = "application/json"
LIMIT = 100_000


def activity(number: int, **more: Any) -> dict[str, Any]:
    """One of many."""
    sent = {"message_id": f"m-{number}", "at": AT + number, "person": f"p-{number % 7}", "space": "s"}
    return {**sent, "direct": False, **more}


def lines(items: Iterable[Any]) -> bytes:
    """Each on its own."""
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


async def send(
    client: Client, body: bytes, kind: str = LINES, path: str = "/activities", **more: str
) -> Answer:
    """Send activities."""
    return await client.call("POST", path, body, {"Content-Type": kind, **more})


def taken(accepted: int, duplicates: int = 0, rejected: Iterable[Any] = ()) -> dict[str, Any]:
    """An answer."""
    return {"accepted": accepted, "duplicates": duplicates, "rejected": list(rejected)}


@ON_BOTH
async def test_activities_are_taken_in_once(client: Client) -> None:
    """Line by line or as an array, packed or not: the second time they are known."""
    name = unique("source")
    items = [activity(number, source=name) for number in range(1200)]
    array = json.dumps(items).encode()
    assert (await send(client, lines(items))).ok() == taken(1200)
    for body, kind, more in (
        (lines(items), LINES, {}),
        (array, JSON, {}),
        (json.dumps(items, indent=2).encode(), JSON, {}),
        (gzip.compress(array), JSON, {"Content-Encoding": "gzip"}),
        (gzip.compress(lines(items)), "application/jsonl", {"Content-Encoding": "gzip"}),
    ):
        assert (await send(client, body, kind, **more)).ok() == taken(0, 1200)


async def test_bad_lines(client: Client) -> None:
    """They are told with their numbers, and spoil no others."""
    name = unique("source")
    good = [activity(number, source=name) for number in range(3)]
    body = b"\n".join(
        [
            json.dumps(good[0]).encode(),
            b"{",
            json.dumps(good[1] | {"at": 5}).encode(),
            b"",
            json.dumps(good[1] | {"color": "red"}).encode(),
            json.dumps(good[1]).encode(),
            b"\xff",
            json.dumps(good[2]).encode(),
        ]
    )
    found = (await send(client, body)).ok()
    assert (found["accepted"], found["duplicates"]) == (3, 0)
    assert [each["line"] for each in found["rejected"]] == [2, 3, 5, 7]
    assert all(each["detail"].strip() for each in found["rejected"])


async def test_a_first_line_that_begins_an_array(client: Client) -> None:
    """It is a bad line: the content type says that there are lines."""
    found = (await send(client, b"[]\n" + lines([activity(1, source=unique("source"))]))).ok()
    assert (found["accepted"], [each["line"] for each in found["rejected"]]) == (1, [1])


@ON_BOTH
async def test_names_that_a_source_cannot_have(client: Client) -> None:
    """They spoil no other lines either, on any database."""
    name = unique("source")
    names = ["a\0b", " a", "a\n"]
    bad = [activity(number, source=each) for number, each in enumerate(names)]
    found = (await send(client, lines([*bad, activity(9, source=name)]))).ok()
    assert found["accepted"] == 1
    assert [each["line"] for each in found["rejected"]] == [1, 2, 3]


async def test_too_many_sources(start: Make, organization: Organization) -> None:
    """422 says how many were taken in before, and does no harm to what comes later."""
    server = start()
    async with Client(server.url, organization.key) as client:
        body = lines(activity(number, source=f"many-{number}") for number in range(1200))
        detail = (await send(client, body)).problem(422)
        assert "1000 activities were taken in" in detail
        assert (await send(client, lines([activity(0, source="many-0")]))).ok() == taken(0, 1)


async def test_bad_items_of_an_array(client: Client) -> None:
    """They are counted from 1 on."""
    items = [activity(0, source=unique("source")), {"message_id": "x"}, 7, None, []]
    found = (await send(client, json.dumps(items).encode(), JSON)).ok()
    assert found["accepted"] == 1
    assert [each["line"] for each in found["rejected"]] == [2, 3, 4, 5]


async def test_deletions_are_accepted(client: Client) -> None:
    """Once, and also when the message comes after its deletion."""
    name = unique("source")
    deletion = {"deleted": True, "message_id": "m-1", "source": name}
    assert (await send(client, lines([deletion]))).ok() == taken(1)
    assert (await send(client, lines([activity(1, source=name), deletion]))).ok() == taken(1, 1)


async def test_one_that_is_told_as_deleted(client: Client) -> None:
    """It was sent, and then deleted: one record, whose message counts unless deleted ones are left out."""
    name = unique("source")
    both = activity(1, source=name, deleted=True)
    assert (await send(client, lines([both, both]))).ok() == taken(1, 1)
    day = "/analytics/messagingMetrics/dailyTotals?from=2023-11-14&to=2023-11-14&source=" + name
    counted = [
        (await client.get(day + more))["metrics"]["totalMessagesSent"] for more in ("", "&deleted=exclude")
    ]
    assert counted == [[1], [0]]


async def test_the_source_of_those_that_name_none(client: Client) -> None:
    """It stands in the query, and is `api` if it does not."""
    name = unique("source")
    number = int(name.rpartition("-")[2]) + 10**6
    body = lines([activity(number)])
    for path in ("/activities", f"/activities?source={name}"):
        assert (await send(client, body, path=path)).ok() == taken(1)
    for source in ("api", name):
        again = lines([activity(number, source=source)])
        assert (await send(client, again)).ok() == taken(0, 1)
    await refused(client, 422, "POST", "/activities?source=", body, headers={"Content-Type": LINES})
    await refused(
        client, 422, "POST", f"/activities?source={'n' * 101}", body, headers={"Content-Type": LINES}
    )


@pytest.mark.parametrize(("body", "kind"), [(b"", LINES), (b"\n\n", LINES), (b"[]", JSON), (b" [ ] ", JSON)])
async def test_nothing(client: Client, body: bytes, kind: str) -> None:
    """Nothing is taken in."""
    assert (await send(client, body, kind)).ok() == taken(0)


async def test_a_content_type_that_is_none_of_them(client: Client) -> None:
    """415, as for a packing that is not gzip."""
    body = lines([activity(1)])
    for headers in ({"Content-Type": "text/plain"}, {"Content-Type": LINES, "Content-Encoding": "br"}):
        await refused(client, 415, "POST", "/activities", body, headers=headers)


@pytest.mark.parametrize("count", [20, 3000])
@pytest.mark.parametrize("form", [lines, lambda items: json.dumps(items).encode()])
async def test_gzip_that_ends_too_early(client: Client, form: Any, count: int) -> None:
    """400, which says how many came before; those are taken in, and it is harmless to send all again."""
    name = unique("source")
    items = [activity(number, source=name, space=f"{number:0300}") for number in range(count)]
    packed = gzip.compress(form(items))
    cut = await send(client, packed[: len(packed) // 2], JSON, **{"Content-Encoding": "gzip"})
    told = re.fullmatch(r"the body ends too early after (\d+) activities; .* harmless .*", cut.problem(400))
    assert told is not None
    found = (await send(client, packed, JSON, **{"Content-Encoding": "gzip"})).ok()
    assert found == taken(count - int(told[1]), int(told[1]))
    assert found["duplicates"] > count // 10


async def test_gzip_without_its_end(client: Client) -> None:
    """400, though nothing is lost: nobody can tell whether all is there."""
    packed = gzip.compress(lines(activity(number, source=unique("source")) for number in range(20)))
    cut = await send(client, packed[:-8], **{"Content-Encoding": "gzip"})
    assert "ends too early after 20 activities" in cut.problem(400)


async def test_what_is_no_gzip(client: Client) -> None:
    """400."""
    bad = await send(client, lines([activity(1)]), **{"Content-Encoding": "gzip"})
    assert "after 0 activities" in bad.problem(400)


async def test_a_hundred_thousand(client: Client) -> None:
    """So many and no more: the first are taken in, and the answer says so."""
    name = unique("source")
    body = lines(activity(number, source=name) for number in range(LIMIT + 1))
    detail = (await send(client, body)).problem(413)
    assert str(LIMIT) in detail
    assert "harmless" in detail
    assert (await send(client, body[: body.rindex(b"\n", 0, -1) + 1])).ok() == taken(0, LIMIT)
    last = lines([activity(LIMIT, source=name)])
    assert (await send(client, last)).ok() == taken(1)


async def test_the_largest_request(start: Make, organization: Organization) -> None:
    """What is larger than the setting is 413, also when it is so only unpacked."""
    server = start({"activities_limit": 10_000})
    async with Client(server.url, organization.key) as client:
        body = lines(activity(number) for number in range(200))
        assert len(body) > 10_000
        assert "10000 bytes" in (await send(client, body)).problem(413)
        packed = await send(client, gzip.compress(body), **{"Content-Encoding": "gzip"})
        assert "10000 bytes" in packed.problem(413)
        bomb = gzip.compress(b"\n" * 50_000_000)
        assert len(bomb) > 10_000
        (await send(client, bomb, **{"Content-Encoding": "gzip"})).problem(413)


async def test_memory_is_bounded(start: Make, organization: Organization) -> None:
    """However much a request unpacks to, the server holds little of it."""
    server = start()
    async with Client(server.url, organization.key) as client:
        (await send(client, lines([activity(0)]))).ok()
        before = server.peak()
        line = b" " * 900_000 + b"\n"
        bomb = gzip.compress(line * 1000)
        (await send(client, bomb, **{"Content-Encoding": "gzip"})).problem(413)
        body = json.dumps([activity(number, space="s" * 500) for number in range(60_000)]).encode()
        assert (await send(client, body, JSON)).ok()["accepted"] == 60_000 - 1
    assert server.peak() - before < 60_000_000


async def test_nothing_is_left_behind(
    start: Make, organization: Organization, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept aside while it comes in is gone when it is answered."""
    aside = tmp_path / "aside"
    aside.mkdir()
    monkeypatch.setenv("TMPDIR", str(aside))
    server = start()
    async with Client(server.url, organization.key) as client:
        body = lines(activity(number, space="s" * 900) for number in range(3000))
        assert (await send(client, body)).ok() == taken(3000)
    assert list(aside.iterdir()) == []


async def test_it_needs_its_scope(client: Client) -> None:
    """A key needs to be allowed to write activities; one made without scopes is not."""
    body = lines([activity(1)])
    scope = {"resource": "activities", "access": "write"}
    for scopes, status in (([scope], 200), ([scope | {"access": "read"}], 403), (None, 403)):
        more = {} if scopes is None else {"scopes": scopes}
        key = (await client.post("/api_keys", name=unique("key"), **more))["api_key"]
        async with Client(client.url, key) as other:
            assert (await send(other, body)).status == status


@ON_BOTH
async def test_what_was_answered_survives_a_kill(
    start: Make, organization: Organization, database_kind: Kind
) -> None:
    """After kill -9 all that was acknowledged is known."""
    server = start()
    items = [activity(number) for number in range(2000)]
    async with Client(server.url, organization.key) as client:
        assert (await send(client, lines(items))).ok() == taken(2000)
    server.kill()
    server.__enter__()
    async with Client(server.url, organization.key) as client:
        assert (await send(client, lines(items))).ok() == taken(0, 2000)
    assert isinstance(server.place, Url) == (database_kind == "postgresql")


@ON_BOTH
async def test_while_the_database_is_held(client: Client, server: Postroom) -> None:
    """503 with Retry-After, and how many were taken in; afterwards it can all be sent again."""
    name = unique("source")
    body = lines(activity(number, source=name) for number in range(1000))
    with write_lock(server.place):
        answer = await send(client, body)
        assert "0 activities were taken in" in answer.problem(503)
        assert int(answer.headers["retry-after"]) >= 1
    assert (await send(client, body)).ok() == taken(1000)


@pytest.mark.parametrize("sent", [b"", b'{"message_id"'])
async def test_a_body_that_never_ends(start: Make, organization: Organization, sent: bytes) -> None:
    """It has its time to come in, and is then 400."""
    server = start({"request_timeout": 1})
    head = (
        f"POST /activities HTTP/1.1\r\nHost: x\r\nX-API-KEY: {organization.key}\r\n"
        f"Content-Type: {LINES}\r\nContent-Length: 100\r\n\r\n"
    )
    answer = is_problem(*await exchange(server.port, head.encode() + sent), 400)
    assert "did not arrive" in answer.json()["detail"]
