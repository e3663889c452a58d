"""The dashboard's page and its parts: fixed answers, the same for everybody.

What the page shows, the browser asks of the API with the key it was given; so nothing here needs one.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from importlib.resources import files
from typing import Any

from postroom.domain.errors import MethodNotAllowed

PATH = "/dashboard"

_PARTS = {
    PATH: ("index.html", "text/html; charset=utf-8"),
    f"{PATH}/dashboard.css": ("dashboard.css", "text/css; charset=utf-8"),
    f"{PATH}/dashboard.js": ("dashboard.js", "text/javascript; charset=utf-8"),
    f"{PATH}/icon.svg": ("icon.svg", "image/svg+xml"),
}
_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)
_GUARD = {
    "content-security-policy": "; ".join(_POLICY),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",  # so that a new version of Postroom never meets an old script
}
_METHODS = ("GET", "HEAD")

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]


class Page:
    """An ASGI application with one answer."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        sent = {**_GUARD, **headers, "content-length": str(len(body))}
        headers_sent = [(name.encode(), value.encode()) for name, value in sent.items()]
        self._start = {"type": "http.response.start", "status": status, "headers": headers_sent}
        self._body = {"type": "http.response.body", "body": body}

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Answer one request.

        Raises:
            MethodNotAllowed: it is more than reading.
        """
        if scope["method"] not in _METHODS:
            raise MethodNotAllowed(scope["method"], _METHODS)
        await send({**self._start})
        await send({**self._body})


def pages() -> dict[str, Page]:
    """What is at each path."""
    place = files("postroom.dashboard")
    found = {
        path: Page(200, {"content-type": kind}, place.joinpath(name).read_bytes())
        for path, (name, kind) in _PARTS.items()
    }
    # The page's own links are relative, so it has one address; relative, since a proxy may add a prefix.
    found[f"{PATH}/"] = Page(308, {"location": f"..{PATH}"})
    return found
