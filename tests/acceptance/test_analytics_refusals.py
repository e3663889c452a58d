"""What the analytics API refuses, in its documented form."""

import sqlite3
from pathlib import Path

import pytest

from tests.acceptance.beside import write_lock
from tests.acceptance.chat import DAILY, READS, ROOT, Chat, day, key, story
from tests.acceptance.client import Client as Http
from tests.acceptance.conftest import Make
from tests.acceptance.house import Organization, clear_of_midnight

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("dailyTotals?from=yesterday", "from: must be a date"),
        ("dailyTotals?from=", "from: must be a date"),
        ("dailyTotals?to=2020-02-30", "to: 2020-02-30 is no date"),
        ("dailyTotals?from=2020-02-02&to=2020-02-01", "from: must not be after to"),
        ("dailyTotals?from=9999-01-01", "from: must not be after yesterday"),
        ("dailyTotals?from=0001-01-01", "more than 36525 days"),
        ("dailyTotals?encoding=csv", "encoding"),
        ("dailyTotals?bots=yes", "bots"),
        ("dailyTotals?deleted=yes", "deleted"),
        ("dailyTotals?source=nowhere", "there are slack, zulip"),
        ("dailyTotals?pretty=perhaps", "pretty"),
        ("dailyTotals?from=%00", "U+0000"),
        ("summary?from=x", "from"),
        ("summary?source=", "there are slack, zulip"),
        ("explain?metric=messages", "totalMessagesSent, deskTopMessagesSent"),
        ("explain?date=9999-01-01", "date: must not be after yesterday"),
    ],
)
async def test_bad_parameters(chat: Chat, query: str, words: str) -> None:
    """All are 400 here, and say what to mend."""
    assert words in await chat.refused(f"{ROOT}/{query}", 400)


async def test_keys_and_scopes(chat: Chat) -> None:
    """401 without a known key, 403 without the scope, which a key has only if it was given."""
    async with Http(chat.http.url, "x" * 64) as stranger:
        (await stranger.call("GET", DAILY)).problem(401)
        (await stranger.raw("GET", DAILY, {})).problem(401)
    async with await key(chat) as usual:
        (await usual.call("GET", DAILY)).problem(403)
    async with await key(chat, scopes=READS) as reader:
        for path in ("dailyTotals", "summary", "explain"):
            await reader.get(f"{ROOT}/{path}")
        (await reader.call("GET", "/stats/messages")).problem(403)


async def test_paths_and_methods(chat: Chat) -> None:
    """404 names the right path where somebody says /v1 twice; 405 the right method.

    A form that there is not is 404, too, as the documented table has it.
    """
    assert f"say /v1 once: {DAILY}" in await chat.refused(f"/v1{DAILY}?from={day(3)}", 404)
    for path in ("/v1/analytics/messagingMetrics/nothing", "/v1/v1/analytics/nothing"):
        assert "once" not in await chat.refused(path, 404)
    await chat.refused("/analytics/nothing", 404)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = await chat.http.call(method, DAILY, b"{}")
        answer.problem(405)
        assert {word.strip() for word in answer.headers["allow"].split(",")} == {"GET", "HEAD"}
    assert "text/csv" in await chat.refused(DAILY, 404, Accept="text/html")
    assert "text/csv" in await chat.refused(f"{ROOT}/explain", 404, Accept="text/html")


async def test_while_the_database_is_held(start: Make, organization: Organization, data: Path) -> None:
    """What has to be written first is 503, with a Retry-After that `int` reads; then it goes on."""
    await clear_of_midnight()
    server = start({"fold_interval": 3600})
    async with Http(server.url, organization.key) as http:
        await http.get("/messages")  # behind the first look for days to fold, which is then over
        chat = Chat(data, organization.id, http)
        await chat.take(*story())
        with write_lock(data):
            answer = await http.call("GET", DAILY)
            answer.problem(503)
            assert int(answer.headers["retry-after"]) >= 1
        assert (await chat.totals())["totalMessagesSent"] == [2]


async def test_what_nobody_foresaw(start: Make, organization: Organization) -> None:
    """500 in the documented form, and the log says more under the same number."""
    server = start()
    with sqlite3.connect(server.database) as damaging:
        damaging.execute("ALTER TABLE day_totals RENAME TO taken_away")
    damaging.close()
    async with Http(server.url, organization.key) as http:
        answer = await http.call("GET", DAILY)
        number = answer.headers["trackingId"].removeprefix("POSTROOM_")
        assert number in answer.problem(500)
    assert any(number in line and "no such table" in line for line in server.stderr.splitlines())
