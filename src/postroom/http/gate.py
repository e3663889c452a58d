"""Lets a request in or not: who asks, for what, and whether what they send can be read."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from postroom.domain import scope
from postroom.domain.api_key import ApiKey
from postroom.domain.errors import (
    Invalid,
    Malformed,
    NotAcceptable,
    NotAuthenticated,
    NotPermitted,
    PostroomError,
    TooLarge,
    UnsupportedMediaType,
)
from postroom.http.bodies import Query
from postroom.http.call import Call, Operation, Site

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

DISCARD_TIME = 1.0  # seconds
MOST_PARAMETERS = 20
MOST_DISCARDED = 8 * 2**20  # bytes
_ACCEPTABLE = {b"*/*", b"application/json"}
_HEADERS = {b"x-api-key", b"authorization", b"accept", b"content-type", b"content-length", b"expect", b"host"}


async def admit(site: Site, operation: Operation, scope: Scope, receive: Receive) -> Call:
    """The call that a request makes.

    Raises:
        PostroomError: it is not let in; the class says why.
    """
    headers = {name: value for name, value in scope["headers"] if name in _HEADERS}
    _check_accept(headers.get(b"accept"))
    path: dict[str, str] = scope.get("path_params", {})
    key = None
    if operation.resource is not None:
        key = await _authenticated(site, headers)
        _check_scope(key, operation, path)
    query = _query(operation.query, scope["query_string"])
    body = None
    if operation.body is not None:
        _check_content_type(headers.get(b"content-type"))
        body = _decoded(operation.body, await _read(site, receive, headers))
    return Call(site, _base(site, scope, headers), path, query, body, key)


def _check_accept(accept: bytes | None) -> None:
    if not accept or accept in _ACCEPTABLE:
        return
    for part in accept.decode("latin-1").lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        refused = any(p.replace(" ", "") in {"q=0", "q=0.0", "q=0.00", "q=0.000"} for p in parameters)
        if kind in {"*/*", "application/*", "application/json"} and not refused:
            return
    raise NotAcceptable("answers are JSON; let the Accept header include application/json")


async def _authenticated(site: Site, headers: dict[bytes, bytes]) -> ApiKey:
    secret = headers.get(b"x-api-key")
    if secret is None:
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        secret = token.strip() if scheme.lower() == b"bearer" else None
    if not secret:
        raise NotAuthenticated("send an API key in the header X-API-KEY, or as Authorization: Bearer")
    return await site.hub.api_keys.authenticate(secret.decode("utf-8", "surrogateescape"))


def _check_scope(key: ApiKey, operation: Operation, path: dict[str, str]) -> None:
    resource = str(operation.resource)
    if not scope.permits(key.scopes, resource, operation.access, path.values()):
        raise NotPermitted(f"the API key may not {operation.access} {resource} here; it needs a scope for it")


def wants_pretty(scope: Scope) -> bool:
    """Whether the answer is to be indented, also when the request is not let in."""
    try:
        return _query(Query, scope["query_string"]).pretty
    except PostroomError:
        return False


def _query(expected: type[Query], raw: bytes) -> Query:
    if not raw:
        return expected()
    try:
        pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
        if b"%00" in raw or b"\0" in raw:
            raise Malformed("the query must not contain U+0000")
        given = {name: value or "true" if name == "pretty" else value for name, value in pairs}
        return msgspec.convert(given, expected, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid("query", str(error)) from error
    except ValueError as error:
        raise Malformed(f"the query cannot be read: {error}") from error


def _check_content_type(content_type: bytes | None) -> None:
    kind = (content_type or b"").split(b";")[0].strip().lower()
    if kind != b"application/json" and not (kind.startswith(b"application/") and kind.endswith(b"+json")):
        raise UnsupportedMediaType("send JSON, with the header Content-Type: application/json")


async def _read(site: Site, receive: Receive, headers: dict[bytes, bytes]) -> bytes:
    """The body.

    Raises:
        TooLarge: it is over the limit.
        Malformed: it did not come in time, or not whole.
    """
    limit, length = site.body_limit, headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > limit:
        if b"expect" not in headers:  # who asks first has sent nothing yet
            await _discard(receive)
        raise _too_large(limit)
    try:
        async with asyncio.timeout(site.body_time):
            return await _whole(receive, limit)
    except TimeoutError as error:
        raise Malformed(f"the body did not arrive within {site.body_time:g} seconds") from error


async def _part(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Malformed("the connection was closed before the body was complete")
    return message.get("body", b""), message.get("more_body", False)


async def _whole(receive: Receive, limit: int) -> bytes:
    body, more = await _part(receive)
    while more and len(body) <= limit:
        part, more = await _part(receive)
        body += part
    if len(body) > limit:
        if more:
            await _discard(receive)
        raise _too_large(limit)
    return body


async def _discard(receive: Receive) -> None:
    """Read on for a while, so that a sender who listens only when all is sent gets to read the answer."""
    discarded, more = 0, True
    with suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_TIME):
            while more and discarded < MOST_DISCARDED:
                part, more = await _part(receive)
                discarded += len(part)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body must have at most {limit} bytes")


def _decoded(expected: type[msgspec.Struct], body: bytes) -> Any:
    try:
        return _DECODERS[expected].decode(body)
    except KeyError:
        _DECODERS[expected] = msgspec.json.Decoder(expected)
        return _decoded(expected, body)
    except msgspec.ValidationError as error:
        raise Invalid("body", str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"the body is not JSON: {error}") from error


_DECODERS: dict[type[msgspec.Struct], msgspec.json.Decoder[Any]] = {}


def _base(site: Site, scope: Scope, headers: dict[bytes, bytes]) -> str:
    if site.public_url:
        return site.public_url
    return f"{scope['scheme']}://{headers.get(b'host', b'localhost').decode('latin-1')}"
