"""Lets a request in or not: who asks, for what, and whether what they send can be read."""

from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from postroom.domain import scope
from postroom.domain.api_key import ApiKey
from postroom.domain.errors import (
    Invalid,
    Malformed,
    NotAuthenticated,
    NotPermitted,
    PostroomError,
    UnsupportedMediaType,
)
from postroom.http.accept import chosen
from postroom.http.bodies import Query
from postroom.http.call import Call, Operation, Site
from postroom.http.upload import ALL_HERE, Receive, Upload

Scope = MutableMapping[str, Any]

MOST_PARAMETERS = 20
MOST_KEPT = 1_000  # queries
LONGEST_KEPT = 200  # bytes
_HEADERS = {b"x-api-key", b"authorization", b"accept", b"content-type", b"content-length", b"expect", b"host"}


async def admit(site: Site, operation: Operation, scope: Scope, receive: Receive) -> Call:
    """The call that a request makes.

    Raises:
        PostroomError: it is not let in; the class says why.
    """
    headers = {name: value for name, value in scope["headers"] if name in _HEADERS}
    form = chosen(headers.get(b"accept"), operation.forms)
    path: dict[str, str] = scope.get("path_params", {})
    key = None
    if operation.resource is not None:
        key = await _authenticated(site, headers)
        _check_scope(key, operation, path)
    query = _query(operation.query, scope["query_string"])
    body = upload = None
    if operation.takes:
        _check_takes(operation.takes, headers.get(b"content-type"))
        upload = Upload(receive, dict(scope["headers"]), site.body_limit, site.body_time)
    elif operation.body is not None:
        _check_content_type(headers.get(b"content-type"))
        here = scope.get(ALL_HERE, False)
        sent = Upload(receive, headers, site.body_limit, site.body_time, all_here=here)
        body = _decoded(operation.body, await sent.whole())
    return Call(site, _base(site, scope, headers), path, query, body, key, form, upload)


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
    return _asked_lately(expected, raw) if len(raw) <= LONGEST_KEPT else _parsed(expected, raw)


def _parsed(expected: type[Query], raw: bytes) -> Query:
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


_asked_lately = lru_cache(MOST_KEPT)(_parsed)


def _check_content_type(content_type: bytes | None) -> None:
    kind = (content_type or b"").split(b";")[0].strip().lower()
    if kind != b"application/json" and not (kind.startswith(b"application/") and kind.endswith(b"+json")):
        raise UnsupportedMediaType("send JSON, with the header Content-Type: application/json")


def _check_takes(takes: tuple[str, ...], content_type: bytes | None) -> None:
    kind = (content_type or b"").split(b";")[0].strip().lower().decode("latin-1")
    if kind not in takes:
        raise UnsupportedMediaType(f"send {' or '.join(takes)}, and say which with the header Content-Type")


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
