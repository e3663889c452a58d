"""The dashboard as a reader sees it: a real browser on a real server."""

import json
import socket
from typing import Any, Final

import pytest

from tests.acceptance.client import Client, counted, make_listener, make_queue, pages, send, send_many
from tests.acceptance.house import Organization, Postroom, clear_of_midnight, until
from tests.acceptance.receiver import Receiver, answer
from tests.dashboard.browser import Browser

pytestmark = pytest.mark.anyio

HOSTILE: Final = '<img src=x onerror="window.ran=1;alert(1)"><script>window.ran=1</script>'
COUNTERS: Final = """Object.fromEntries([...document.querySelectorAll("#counters [data-counter]")].map(
    (row) => [row.dataset.counter, [...row.querySelectorAll("td")].map((cell) => cell.innerText)]))"""
ROWS: Final = """[...document.querySelectorAll("#%s tbody tr")].map(
    (row) => [...row.cells].map((cell) => [...cell.children].map((each) => each.innerText)))"""
ASKED: Final = "performance.getEntriesByType('resource').map((each) => each.name)"
KEPT: Final = "[Object.values(sessionStorage), Object.values(localStorage), document.cookie]"


async def opened(browser: Browser, server: Postroom, key: str) -> None:
    """The dashboard, entered with a key as a person does."""
    await browser.open(f"{server.url}/dashboard")
    await browser.sees("#entrance", "API key")
    await browser.type(key)
    await browser.press("Enter", 13)


async def rows(browser: Browser, section: str) -> list[Any]:
    """The texts of each row's cells."""
    return list(await browser.run(ROWS % section))


async def answered(client: Client) -> dict[str, list[str]]:
    """For each counter what GET /stats/messages says, window by window, as a reader would write it."""
    windows = (await client.get("/stats/messages"))["aggregated_api_usage_events"]
    order = [windows[name] for name in ("last_24_hours", "last_1_hours", "today_so_far")]
    return {name: [f"{window[name]:,}" for window in order] for name in order[0]}


async def test_it_shows_what_the_api_answers(
    browser: Browser, server: Postroom, client: Client, organization: Organization, receiver: Receiver
) -> None:
    """Counters, queues, listeners and events are the API's, and follow it while the page is open."""
    await clear_of_midnight()
    queue = await make_queue(client, "orders")
    good = await make_listener(client, queue, receiver.url("/good"), name="good")
    bad = await make_listener(client, queue, receiver.on("/bad", answer(500)), name="bad")
    await send_many(client, queue, 2)
    await client.post("/api_keys", name="another")
    await opened(browser, server, organization.key)
    await browser.sees("#counters", "published not ok")
    await send(client, queue, name="third")
    await counted(client, good, acknowledged=3)
    await counted(client, bad, missed=3)
    expected = await answered(client)
    assert expected["message_published_ok"][0] == "3"
    assert expected["message_published_not_ok"][0] == "9"
    await until(lambda: browser.run(COUNTERS), lambda seen: bool(seen == expected))
    assert await rows(browser, "queues") == [[["orders"], [queue.id]]]
    # Liveness goes on being probed: its state is what the last refresh met.
    wanted = (
        [["enabled"], ["3"], ["3"], ["0"], ["0"], ["0"]],
        [["enabled"], ["3"], ["0"], ["0"], ["3"], ["0"]],
    )
    shown = await until(
        lambda: rows(browser, "listeners"), lambda seen: [row[2:] for row in seen] == [*wanted]
    )
    assert [row[0] for row in shown] == [["good", "orders"], ["bad", "orders"]]
    assert {row[1][0] for row in shown} <= {"unknown", "stable"}
    newest = (await pages(client, "/events?limit=1000", "events"))[-20:][::-1]
    types = [event["type"].replace("_", " ") for event in newest]
    shown = await until(
        lambda: rows(browser, "events"), lambda seen: [event[1] for event in seen] == [[t] for t in types]
    )
    assert ["message", "third", "queue", "orders"] in [row[2] for row in shown]


async def test_the_newest_events_of_many(
    browser: Browser, server: Postroom, client: Client, organization: Organization
) -> None:
    """Of more events than one answer has, the newest twenty are shown, newest first."""
    queue = await make_queue(client)
    for number in range(450):
        await send(client, queue, name=f"message {number}")
    await opened(browser, server, organization.key)
    await browser.sees("#events", "message 449")
    shown = [row[2][1] for row in await rows(browser, "events")]
    assert shown == [f"message {number}" for number in range(449, 429, -1)]


async def test_a_wrong_key(browser: Browser, server: Postroom) -> None:
    """A key that is refused is said to be; it is asked with once, and not kept."""
    await opened(browser, server, "wrong")
    words = await browser.sees("#refusal", "refused")
    assert "401" in words
    assert await browser.text("#board") == ""
    asked = [url for url in await browser.run(ASKED) if "/dashboard" not in url]
    assert asked == [f"{server.url}/stats/messages"]
    assert await browser.run(KEPT) == [[], [], ""]
    assert await browser.run("document.activeElement.id") == "key"


async def test_a_key_that_may_not_read_everything(browser: Browser, server: Postroom, client: Client) -> None:
    """What the key may read is shown; where it lacks a scope, that is said."""
    await clear_of_midnight()
    scopes = [{"resource": name, "access": "read", "targets": "*"} for name in ("stats", "queues")]
    key = (await client.post("/api_keys", name="little", scopes=scopes))["api_key"]
    await make_queue(client, "visible")
    await opened(browser, server, key)
    assert "scope" in await browser.sees("#events", "may not read events")
    assert "scope" in await browser.sees("#listeners", "may not read listeners")
    assert "visible" in await browser.text("#queues")
    assert await browser.run(COUNTERS) == await answered(client)


async def test_a_key_disabled_meanwhile(browser: Browser, server: Postroom, client: Client) -> None:
    """When a key is refused from now on, what it showed is no longer there."""
    made = await client.post("/api_keys", name="brief")
    (key_id,) = [
        each["id"] for each in (await client.get("/api_keys"))["api_keys"] if each["name"] == "brief"
    ]
    await make_queue(client, "secret")
    await opened(browser, server, made["api_key"])
    await browser.sees("#queues", "secret")
    await client.put(f"/api_keys/{key_id}", status="disabled")
    await browser.sees("#refusal", "refused")
    assert "secret" not in await browser.run("document.body.textContent")


async def test_names_are_text(
    browser: Browser, server: Postroom, client: Client, organization: Organization, receiver: Receiver
) -> None:
    """A name that is HTML is shown as it is written, and runs nothing."""
    queue = await make_queue(client, HOSTILE)
    await make_listener(client, queue, receiver.url("/"), name=HOSTILE)
    await send(client, queue, name=HOSTILE)
    await opened(browser, server, organization.key)
    for section in ("queues", "listeners", "events"):
        await browser.sees(f"#{section}", HOSTILE)
    assert await browser.run("document.querySelectorAll('main img, main script').length") == 0
    assert await browser.run("typeof window.ran") == "undefined"


async def test_a_link_with_the_key(browser: Browser, server: Postroom, organization: Organization) -> None:
    """The key behind the # opens the page, leaves the address bar, stays in the tab, and can be forgotten."""
    await browser.open(f"{server.url}/dashboard#key={organization.key}")
    await browser.sees("#counters", "Today so far")
    assert await browser.run("location.href") == f"{server.url}/dashboard"
    assert await browser.run(KEPT) == [[organization.key], [], ""]
    assert organization.key not in json.dumps(await browser.run(ASKED))
    await browser.reload()
    await browser.sees("#queues", "There is no queue yet.")
    await browser.run("document.querySelector('#leave').click()")
    await browser.sees("#entrance", "API key")
    assert await browser.run(KEPT) == [[], [], ""]
    assert await browser.text("#board") == ""


async def test_a_server_that_is_gone(browser: Browser, server: Postroom, organization: Organization) -> None:
    """When the server cannot be reached that is said, and what was shown last stays."""
    await opened(browser, server, organization.key)
    await browser.sees("#counters", "Today so far")
    shown = await browser.run(COUNTERS)
    server.terminate()
    with socket.socket() as kept:  # so that nobody else answers at this port
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", server.port))
        await browser.sees("#trouble", "cannot be reached")
    assert await browser.run(COUNTERS) == shown


async def test_only_while_it_is_visible(
    browser: Browser, server: Postroom, client: Client, organization: Organization, receiver: Receiver
) -> None:
    """A page that nobody sees asks for nothing; when it is seen again, it shows at once what has changed."""
    queue = await make_queue(client, "first")
    await make_listener(client, queue, receiver.url("/"))
    await opened(browser, server, organization.key)
    await browser.sees("#queues", "first")
    other = await browser.do("Target.createTarget", url="about:blank")
    await until(lambda: browser.run("document.hidden"), bool)
    await make_queue(client, "second")
    asked = await browser.run(ASKED)
    # The listener is probed five times a second: by then the page would have asked twice.
    await receiver.received("/alive", len(receiver.got("/alive")) + 20)
    assert await browser.run(ASKED) == asked
    await browser.do("Target.closeTarget", targetId=other["targetId"])
    await browser.do("Page.bringToFront")
    await browser.sees("#queues", "second")
