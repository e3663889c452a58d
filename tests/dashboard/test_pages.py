"""What is served at /dashboard, whoever asks: fixed answers, locked down."""

import re
from html.parser import HTMLParser
from importlib.resources import files
from itertools import product

import pytest

from postroom.cli.welcome import DASHBOARD_PATH
from postroom.dashboard.pages import PATH
from tests.acceptance.client import Client

pytestmark = pytest.mark.anyio

KINDS = {
    "/dashboard": "text/html; charset=utf-8",
    "/dashboard/dashboard.css": "text/css; charset=utf-8",
    "/dashboard/dashboard.js": "text/javascript; charset=utf-8",
    "/dashboard/icon.svg": "image/svg+xml",
}
LOCAL = {"'none'", "'self'"}


class Attributes(HTMLParser):
    """Every element's name and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


async def test_the_page_and_its_parts(client: Client) -> None:
    """All of it is served to anybody, as what it is; HEAD answers with the same headers and nothing else."""
    for path, kind in KINDS.items():
        got = await client.raw("GET", path, {"Accept": "*/*"})
        assert (got.status, got.headers["content-type"]) == (200, kind)
        assert len(got.raw) == int(got.headers["content-length"]) > 0
        head = await client.raw("HEAD", path, {"Accept": "*/*"})
        assert (head.status, head.raw) == (200, b"")
        assert {**head.headers, "date": ""} == {**got.headers, "date": ""}


async def test_headers(client: Client) -> None:
    """No part may be guessed at, kept, framed or told about; the page may load from its own server only."""
    for path in (*KINDS, "/dashboard/"):
        headers = (await client.raw("GET", path, {})).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
        assert policy["base-uri"] == policy["form-action"] == "'none'"
        sources = {name: value for name, value in policy.items() if name.endswith("-src")}
        assert set(sources.values()) <= LOCAL, "neither another place nor an inline script or style"


async def test_only_reading(client: Client) -> None:
    """Whatever is more than reading is refused, with what is possible."""
    for method, path in product(("POST", "PUT", "DELETE", "PATCH", "OPTIONS"), (*KINDS, "/dashboard/")):
        refused = await client.call(method, path, {} if method == "POST" else None)
        refused.problem(405)
        assert {word.strip() for word in refused.headers["allow"].split(",")} == {"GET", "HEAD"}


async def test_one_address(client: Client) -> None:
    """A slash at the end leads to the page, also behind a prefix; nothing else is below it."""
    moved = await client.raw("GET", "/dashboard/", {})
    assert (moved.status, moved.headers["location"]) == (308, "../dashboard")
    for path in ("/dashboard/index.html", "/dashboard/pages.py", "/dashboard/../dashboard/x", "/dashboards"):
        (await client.call("GET", path)).problem(404)


def test_the_welcome() -> None:
    """The command line says where the page is."""
    assert DASHBOARD_PATH == PATH


def test_nothing_inline_and_nothing_foreign() -> None:
    """The page has no script, style or handler of its own, and names no other server."""
    attributes = Attributes()
    attributes.feed(files("postroom.dashboard").joinpath("index.html").read_text("utf-8"))
    links = [given[name] for _, given in attributes.found for name in ("src", "href") if name in given]
    assert {f"/{link}" for link in links} == set(KINDS) - {PATH}
    for tag, given in attributes.found:
        assert tag != "style"
        assert tag != "script" or given["src"]
        assert not [name for name in given if name == "style" or name.startswith("on")]


def test_text_is_set_as_text() -> None:
    """The script never makes HTML or code of text, nor fetches or names another server."""
    script = files("postroom.dashboard").joinpath("dashboard.js").read_text("utf-8")
    assert "textContent" in script
    unsafe = (
        r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|Function\(|https?:|localStorage|cookie"
    )
    assert re.findall(unsafe, script) == []
