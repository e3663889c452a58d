"""A request that was let in: who asks, for what, with what."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from postroom.domain import scope
from postroom.domain.api_key import ApiKey, Encoding
from postroom.domain.errors import Invalid
from postroom.http.accept import JSON
from postroom.http.answers import Answers
from postroom.http.bodies import Link, Links, Query
from postroom.http.upload import Upload
from postroom.service.hub import Hub

LONGEST_LIST = 1000


class Site(msgspec.Struct, frozen=True):
    """What all requests share: the services, whether the process is ready, and its limits.

    `ready` raises Unavailable when it is not. `body_limit` is in bytes, and so is `activities_limit`, that of
    activities; `body_time` is in seconds. `public_url` is the base of links, without a slash at its end; when
    it is empty, they lead where a request was sent. `encoding` is that of daily totals where neither the
    request nor its key says.
    """

    hub: Hub
    ready: Callable[[], Awaitable[None]]
    body_limit: int
    body_time: float
    public_url: str
    activities_limit: int
    encoding: Encoding = "array"
    answers: Answers = msgspec.field(default_factory=Answers)


class Finished(msgspec.Struct, frozen=True):
    """An answer that needs no more encoding, and its content type."""

    body: bytes
    kind: str


class Call(msgspec.Struct, frozen=True):
    """One request; `key` is None only where none is needed, `form` is what it is answered in.

    `upload` is the body where the handler reads that itself.
    """

    site: Site
    base: str
    path: dict[str, str]
    query: Any
    body: Any
    key: ApiKey | None
    form: str = JSON
    upload: Upload | None = None

    @property
    def hub(self) -> Hub:
        """The services."""
        return self.site.hub

    @property
    def org_id(self) -> str:
        """The organization that asks."""
        assert self.key is not None, "the operation table lets nobody in without a key here"  # noqa: S101
        return self.key.org_id

    @property
    def encoding(self) -> Encoding:
        """How this client wants lists in daily totals, where its request does not say."""
        return (self.key and self.key.encoding) or self.site.encoding

    @property
    def sent(self) -> Upload:
        """The body, unread."""
        assert self.upload is not None, "the operation table says what is taken here"  # noqa: S101
        return self.upload

    def visible(self, resource: str) -> Callable[[Iterable[str]], bool]:
        """Whether a thing with any of these ids may be listed."""
        assert self.key is not None, "the operation table lets nobody in without a key here"  # noqa: S101
        limited_to = scope.visible(self.key.scopes, resource, "read")
        return lambda ids: limited_to is None or not limited_to.isdisjoint(ids)

    def links(self, path: str, others: Iterable[tuple[str, str]] = ()) -> Links:
        """`self`, then the others, each a name and a path."""
        links = {"self": Link(self.base + path)}
        for name, other in others:
            links.setdefault(name, Link(self.base + other))
        return links

    def limit(self) -> int:
        """How many things a list may have, as the query asks.

        Raises:
            Invalid: it is out of range.
        """
        if not 1 <= self.query.limit <= LONGEST_LIST:
            raise Invalid("limit", f"must be from 1 to {LONGEST_LIST}")
        return int(self.query.limit)


class Operation(msgspec.Struct, frozen=True):
    """A row of the table: what can be asked, what is needed for it, what is answered.

    `errors` are those of this operation alone; those that every request of its sort can meet are derived.
    A `resource` of None needs no key. Of its `forms`, the media types that it can answer, the first is JSON;
    a handler answers in another with Finished. Where it `takes` media types, the handler reads the body,
    which is a list or lines of these `items`.
    """

    methods: tuple[str, ...]
    path: str
    handler: "Handler"
    answer: type[msgspec.Struct]
    resource: str | None = None
    body: type[msgspec.Struct] | None = None
    query: type[Query] = Query
    errors: tuple[type[Exception], ...] = ()
    also: str | None = None  # a second path, in the public document's own links
    forms: tuple[str, ...] = (JSON,)
    takes: tuple[str, ...] = ()
    items: tuple[type[msgspec.Struct], ...] = ()

    @property
    def access(self) -> scope.Access:
        """What the key's scope must allow."""
        return "read" if self.methods[0] == "GET" else "write"

    @property
    def summary(self) -> str:
        """The handler's docstring."""
        return (self.handler.__doc__ or "").strip().splitlines()[0]


Handler = Callable[[Call], Awaitable[Any]]
