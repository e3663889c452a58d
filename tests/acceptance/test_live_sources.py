"""Live sources: platforms that send what happens to a real server, and are answered at once."""

import json
import time
from typing import Any

import pytest

from postroom.domain.live_source import Kind
from tests.acceptance.beside import write_lock
from tests.acceptance.client import Answer, Client, unique
from tests.acceptance.conftest import ON_BOTH, Make
from tests.acceptance.house import Organization, Postroom
from tests.acceptance.refusal import refused
from tests.support.platforms import (
    KINDS,
    SECRET,
    Sent,
    events,
    matrix_events,
    mattermost_post,
    other,
    signed,
    slack_event,
    transaction,
)

pytestmark = pytest.mark.anyio
TS = "1700000000.000100"
TRANSACTIONS = "/_matrix/app/v1/transactions/"


async def connect(client: Client, kind: Kind, **more: Any) -> Any:
    """A new live source of this kind."""
    return (await client.post("/sources", kind=kind, name=unique("source"), secret=SECRET, **more))["source"]


def now(event: Any, kind: Kind, secret: str = SECRET, late: float = 0, form: bool = False) -> Sent:
    """The event as its platform sends it now, or some seconds ago."""
    return signed(kind, event, round((time.time() - late) * 1000), secret, form)


async def deliver(client: Client, source: Any, sent: Sent, name: str | None = None) -> Answer:
    """The platform's request."""
    if source["kind"] == "matrix":
        path = source["url"] + TRANSACTIONS + (name or unique("txn").replace(" ", "-"))
        return await client.raw("PUT", path, sent.headers, sent.body)
    return await client.raw("POST", source["url"], sent.headers, sent.body)


async def counted(client: Client, source: Any) -> dict[str, int]:
    """What became of the source's events."""
    shown = (await client.get(f"/sources/{source['id']}"))["source"]["events"]
    return {name: count for name, count in shown.items() if name != "last_event_at"}


def counts(accepted: int = 0, duplicates: int = 0, ignored: int = 0, rejected: int = 0) -> dict[str, int]:
    """As they are shown."""
    return {"accepted": accepted, "duplicates": duplicates, "ignored": ignored, "rejected": rejected}


@ON_BOTH
@pytest.mark.parametrize("kind", KINDS)
async def test_events_are_taken_in_once(client: Client, kind: Kind) -> None:
    """What a platform sends is kept; what it sends again is known; both are acknowledged as it likes."""
    source = await connect(client, kind)
    assert await counted(client, source) == counts()
    for _ in range(2):
        for event in events(kind):
            answer = (await deliver(client, source, now(event, kind))).ok()
            assert answer == ({"response_not_required": True} if kind == "zulip" else {})
    found = await counted(client, source)
    assert found["accepted"] == found["duplicates"] >= 2
    assert found["rejected"] == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_wrong_signatures(client: Client, kind: Kind) -> None:
    """They are 401, and nothing is kept of them, neither of one that is missing."""
    source = await connect(client, kind)
    event = events(kind)[0]
    unsigned = Sent({"Content-Type": "application/json"}, json.dumps(event).encode())
    for sent in (now(event, kind, "wrong"), unsigned):
        (await deliver(client, source, sent)).problem(401)
    assert await counted(client, source) == counts()
    shown = (await client.get(f"/sources/{source['id']}"))["source"]
    assert shown["events"]["last_event_at"] is None


async def test_an_old_request_of_slack(client: Client) -> None:
    """It holds for five minutes."""
    source = await connect(client, "slack")
    (await deliver(client, source, now(slack_event(TS), "slack", late=310))).problem(401)
    (await deliver(client, source, now(slack_event(TS), "slack", late=-310))).problem(401)
    (await deliver(client, source, now(slack_event(TS), "slack", late=280))).ok()
    assert await counted(client, source) == counts(accepted=1)


async def test_slacks_challenge(client: Client) -> None:
    """It is answered when the signature is right, and counts as nothing."""
    source = await connect(client, "slack")
    asked = {"token": "old", "type": "url_verification", "challenge": "3eZbrw1aB"}
    assert (await deliver(client, source, now(asked, "slack"))).ok() == {"challenge": "3eZbrw1aB"}
    (await deliver(client, source, now(asked, "slack", "wrong"))).problem(401)
    assert await counted(client, source) == counts()


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_no_message(client: Client, kind: Kind) -> None:
    """Types that nobody knows are acknowledged and counted as ignored, what cannot be read as rejected."""
    source = await connect(client, kind)
    for event in other(kind):
        (await deliver(client, source, now(event, kind))).ok()
    unreadable = {"event": None, "events": None, "message": None}
    (await deliver(client, source, now(unreadable, kind))).ok()
    found = await counted(client, source)
    assert found["ignored"] + found["rejected"] == len(other(kind)) + 1
    assert found["ignored"] >= len(other(kind))
    assert (found["accepted"], found["duplicates"]) == (0, 0)


async def test_transactions_of_matrix(client: Client) -> None:
    """Sent again they are answered and not counted; also at the old path, with the token in the query."""
    source = await connect(client, "matrix")
    one, two = transaction(matrix_events()[0]), transaction(matrix_events()[1])
    for event in (one, one, two):
        assert (await deliver(client, source, now(event, "matrix"), "7")).ok() == {}
    assert await counted(client, source) == counts(accepted=2)
    old = Sent({"Content-Type": "application/json"}, json.dumps(one).encode())
    path = f"{source['url']}/transactions/8?access_token="
    (await client.raw("PUT", path + SECRET, old.headers, old.body)).ok()
    (await client.raw("PUT", path + "wrong", old.headers, old.body)).problem(401)
    assert await counted(client, source) == counts(accepted=2, duplicates=1)


async def test_a_large_transaction(client: Client) -> None:
    """A homeserver may send a hundred long events at once, which it would repeat for ever; others may not."""
    source = await connect(client, "matrix")
    long = {"msgtype": "m.text", "body": "x" * 60_000}
    event = matrix_events()[0]
    many = transaction(*(event | {"event_id": f"${number}", "content": long} for number in range(100)))
    (await deliver(client, source, now(many, "matrix"))).ok()
    assert await counted(client, source) == counts(accepted=100)
    (await deliver(client, source, now(many, "matrix", "wrong"))).problem(401)
    slack = await connect(client, "slack")
    (await deliver(client, slack, now(slack_event(TS, text="x" * 2**20), "slack"))).problem(413)


async def test_a_homeserver_asks_whether_it_is_heard(client: Client) -> None:
    """A ping is answered, with the right token only."""
    source = await connect(client, "matrix")
    sent = now({"transaction_id": "t"}, "matrix")
    for path in ("/_matrix/app/v1/ping", "/_matrix/app/unstable/fi.mau.msc2659/ping"):
        assert (await client.raw("POST", source["url"] + path, sent.headers, sent.body)).ok() == {}
        wrong = now({"transaction_id": "t"}, "matrix", "wrong")
        (await client.raw("POST", source["url"] + path, wrong.headers, wrong.body)).problem(401)
    assert await counted(client, source) == counts()


async def test_a_registration_for_matrix(client: Client) -> None:
    """Whoever makes a source for Matrix is given what the homeserver is told, with the token, once."""
    made = (await client.post("/sources", kind="matrix"))["source"]
    lines = dict(line.split(": ", 1) for line in made["registration"].splitlines() if ": " in line)
    assert json.loads(lines["url"]) == made["url"]
    assert json.loads(lines["hs_token"]) == made["secret"]
    assert len(json.loads(lines["as_token"])) == 64
    shown = (await client.get(f"/sources/{made['id']}"))["source"]
    assert made["secret"] not in json.dumps(shown)
    assert shown["has_secret"]
    sent = signed("matrix", transaction(matrix_events()[0]), secret=made["secret"])
    (await deliver(client, made, sent)).ok()


async def test_a_form_of_mattermost(client: Client) -> None:
    """An outgoing webhook may be set to send forms."""
    source = await connect(client, "mattermost")
    for _ in range(2):
        sent = now(mattermost_post("ann", "a & b", 1_700_000_000), "mattermost", form=True)
        assert (await deliver(client, source, sent)).ok() == {}
    assert await counted(client, source) == counts(accepted=1, duplicates=1)


async def test_a_secret_that_is_known_later(client: Client) -> None:
    """The URL is there before the platform's secret is; what comes until then is nobody's."""
    made = (await client.post("/sources", kind="zulip"))["source"]
    assert "secret" not in made
    sent = now(events("zulip")[0], "zulip")
    (await deliver(client, made, sent)).problem(401)
    shown = (await client.put(f"/sources/{made['id']}", secret=SECRET))["source"]
    assert shown["has_secret"]
    assert SECRET not in json.dumps(shown)
    (await deliver(client, made, sent)).ok()
    assert await counted(client, made) == counts(accepted=1)


async def test_sources_are_managed(client: Client) -> None:
    """Made, listed, shown, changed and deleted."""
    made = await connect(client, "slack")
    path = f"/sources/{made['id']}"
    assert made["url"] == f"{client.url}/v1{path}/events"
    answer = await client.get("/sources")
    assert answer["_links"][made["id"]]["href"] == client.url + path
    (listed,) = [each for each in answer["sources"] if each["id"] == made["id"]]
    assert listed == (await client.get(path))["source"]
    assert (listed["kind"], listed["status"]) == ("slack", "enabled")
    changed = (await client.put(path, name="other", status="disabled"))["source"]
    assert (changed["name"], changed["status"]) == ("other", "disabled")
    (await deliver(client, made, now(slack_event(TS), "slack"))).ok()
    assert await counted(client, made) == counts(ignored=1)
    await client.delete(path)
    for method in ("GET", "DELETE"):
        await refused(client, 404, method, path)
    await refused(client, 404, "PUT", path, {"name": "x"})
    (await deliver(client, made, now(slack_event(TS), "slack"))).problem(404)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "teams"},
        {"kind": "slack", "name": "n" * 101},
        {"kind": "slack", "secret": ""},
        {"kind": "slack", "secret": "a b"},
        {"kind": "slack", "name": 5},
    ],
)
async def test_sources_that_cannot_be(client: Client, body: Any) -> None:
    """422, and there is no more than before."""
    before = await client.get("/sources")
    await refused(client, 422, "POST", "/sources", body)
    assert await client.get("/sources") == before


async def test_a_key_for_one_source(client: Client) -> None:
    """A scope can be limited to the source; lists then have no other."""
    one, other = await connect(client, "slack"), await connect(client, "slack")
    scope = {"resource": "sources", "access": "write", "targets": [one["id"]]}
    key = (await client.post("/api_keys", name=unique("key"), scopes=[scope]))["api_key"]
    async with Client(client.url, key) as limited:
        assert [each["id"] for each in (await limited.get("/sources"))["sources"]] == [one["id"]]
        await limited.put(f"/sources/{one['id']}", status="disabled")
        await refused(client, 403, "PUT", f"/sources/{other['id']}", {"status": "disabled"}, by=limited)
        await refused(client, 403, "POST", "/sources", {"kind": "slack"}, by=limited)


async def test_secrets_are_not_in_the_log(start: Make, organization: Organization) -> None:
    """Nor anything of a request with a wrong signature."""
    server: Postroom = start({"log_level": "debug"})
    async with Client(server.url, organization.key) as client:
        for kind in KINDS:
            source = await connect(client, kind)
            (await deliver(client, source, now(events(kind)[0], kind, "a-wrong-one"))).problem(401)
            (await deliver(client, source, now(events(kind)[0], kind))).ok()
    server.terminate()
    for word in (SECRET, "a-wrong-one", "hello", "ann"):
        assert word not in server.stderr


async def test_events_survive_a_kill(start: Make, organization: Organization) -> None:
    """What was acknowledged is there after kill -9, and what comes again counts once."""
    server = start()
    async with Client(server.url, organization.key) as client:
        source = await connect(client, "slack")
        (await deliver(client, source, now(slack_event(TS), "slack"))).ok()
    server.kill()
    server.__enter__()
    async with Client(server.url, organization.key) as client:
        source["url"] = f"{server.url}/v1/sources/{source['id']}/events"
        (await deliver(client, source, now(slack_event(TS), "slack"))).ok()
        assert await counted(client, source) == counts(accepted=1, duplicates=1)


@ON_BOTH
async def test_while_the_database_is_held(client: Client, server: Postroom) -> None:
    """Events are 503 with Retry-After, so that the platform sends them again; nothing of them is kept."""
    source = await connect(client, "slack")
    with write_lock(server.place):
        answer = await deliver(client, source, now(slack_event(TS), "slack"))
        answer.problem(503)
        assert int(answer.headers["retry-after"]) >= 1
    (await deliver(client, source, now(slack_event(TS), "slack"))).ok()
    assert await counted(client, source) == counts(accepted=1)
