"""The ASGI application: routes made from the table, answers, and errors turned into problems."""

import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

import msgspec
import structlog
from starlette.routing import Match, Route, Router

from postroom.domain.errors import MethodNotAllowed, NotFound, PostroomError
from postroom.http.accept import JSON
from postroom.http.call import Finished, Operation, Site
from postroom.http.gate import Scope, admit, wants_pretty
from postroom.http.openapi import document
from postroom.http.operations import OPERATIONS
from postroom.http.problems import headers_of, problem_at, status_at
from postroom.http.tracking import Headers, is_tracked, tracking_headers
from postroom.http.upload import Receive

log = structlog.get_logger(__name__)
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
_encode = msgspec.json.Encoder().encode


class App:
    """Serves the table, with and without the prefix /v1, and the other applications, each at its path.

    While `draining`, every answer closes its connection, so that none is cut off when the process stops.
    """

    def __init__(
        self,
        site: Site,
        operations: Iterable[Operation] = OPERATIONS,
        others: Mapping[str, ASGIApp] | None = None,
    ) -> None:
        self.draining = False
        by_path: defaultdict[str, list[Operation]] = defaultdict(list)
        for operation in operations:
            for path in (operation.path, operation.also):
                if path is not None:
                    by_path[path].append(operation)
        resources = {path: _Resource(site, self, listed) for path, listed in by_path.items()}
        # Found at once; only the others are tried one after another.
        self._fixed = {path: resource for path, resource in resources.items() if "{" not in path}
        routes = [Route(path, each, methods=None) for path, each in resources.items() if "{" in path]
        routes.append(Route("/openapi.json", _Document(self, operations), methods=None))
        routes += [Route(path, _Other(self, other), methods=None) for path, other in (others or {}).items()]
        self._router = Router(routes, redirect_slashes=False, default=_Nowhere(self))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        if "\0" in path:  # which no database has in a text
            await self.refuse(scope, send, NotFound("there is nothing at a path with U+0000"))
            return
        if path.startswith("/v1/"):
            scope["path"] = path = path[3:]
        await self._fixed.get(path, self._router)(scope, receive, send)

    def has(self, scope: Scope) -> bool:
        """Whether there is something at the path of this request."""
        if scope["path"] in self._fixed:
            return True
        return any(route.matches(scope)[0] is Match.FULL for route in self._router.routes)

    async def answer(self, send: Send, status: int, body: bytes, headers: Headers, kind: str = JSON) -> None:
        """Send an answer, JSON if of no other `kind`."""
        headers = [
            (b"content-type", kind.encode()),
            (b"content-length", str(len(body)).encode()),
            *headers,
        ]
        if self.draining:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def refuse(self, scope: Scope, send: Send, error: PostroomError) -> None:
        """Send an error that Postroom raised on purpose."""
        status = status_at(scope["path"], type(error))
        await self.fail(scope, send, status, error.detail, secrets.token_hex(8), headers_of(error))

    async def fail(
        self, scope: Scope, send: Send, status: int, detail: str, number: str, headers: Headers
    ) -> None:
        """Send a problem of the request with this number."""
        shown, more = problem_at(scope["path"], status, detail, number)
        body = _encode(shown)
        if wants_pretty(scope):
            body = msgspec.json.format(body, indent=2)
        await self.answer(send, status, body, headers + more)


class _Resource:
    """What is at one path: an operation for each method."""

    def __init__(self, site: Site, app: App, operations: list[Operation]) -> None:
        self._site = site
        self._app = app
        self._by_method = {method: each for each in reversed(operations) for method in each.methods}
        if "GET" in self._by_method:
            self._by_method["HEAD"] = self._by_method["GET"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body, kind = await self._run(scope, receive)
        except PostroomError as error:
            await self._app.refuse(scope, send, error)
        except Exception:
            await self._fail(scope, send)
        else:
            headers = tracking_headers(secrets.token_hex(8)) if is_tracked(scope["path"]) else []
            await self._app.answer(send, 200, body, headers, kind)

    async def _run(self, scope: Scope, receive: Receive) -> tuple[bytes, str]:
        operation = self._by_method.get(scope["method"])
        if operation is None:
            raise MethodNotAllowed(scope["method"], tuple(self._by_method))
        call = await admit(self._site, operation, scope, receive)
        answer = await operation.handler(call)
        if isinstance(answer, Finished):
            return answer.body, answer.kind
        body = _encode(answer)
        return msgspec.json.format(body, indent=2) if call.query.pretty else body, JSON

    async def _fail(self, scope: Scope, send: Send) -> None:
        incident = secrets.token_hex(8)
        log.exception("request_broke", incident=incident, method=scope["method"], path=scope["path"])
        detail = f"something went wrong here; the log has more under {incident}"
        await self._app.fail(scope, send, 500, detail, incident, [])


class _Document:
    """The OpenAPI document."""

    def __init__(self, app: App, operations: Iterable[Operation]) -> None:
        self._app = app
        self._body = msgspec.json.format(_encode(document(operations)), indent=2)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] in {"GET", "HEAD"}:
            await self._app.answer(send, 200, self._body, [])
        else:
            await self._app.refuse(scope, send, MethodNotAllowed(scope["method"], ("GET", "HEAD")))


class _Other:
    """An application beside the table; it may raise PostroomError, and is drained with the table."""

    def __init__(self, app: App, other: ASGIApp) -> None:
        self._app = app
        self._other = other

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def last(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        try:
            await self._other(scope, receive, last if self._app.draining else send)
        except PostroomError as error:
            await self._app.refuse(scope, send, error)


class _Nowhere:
    """All other paths."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        detail = f"there is nothing at {path}"
        if path.startswith("/v1/"):  # clients are known that say it twice
            detail = f"there is nothing at /v1{path}"
            if self._app.has({**scope, "path": path[3:]}):
                detail += f"; say /v1 once: {path}"
        await self._app.refuse(scope, send, NotFound(detail))
