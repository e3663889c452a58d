"""Making, changing and deleting live sources."""

import secrets
from collections.abc import Callable
from typing import Any, get_args

import msgspec
from msgspec import UNSET, UnsetType

from postroom.domain.errors import Invalid, NotFound
from postroom.domain.live_source import (
    MADE_HERE,
    SALT_BYTES,
    SECRET_BYTES,
    Counts,
    Kind,
    LiveSource,
    Status,
    check_secret,
    check_source_name,
)
from postroom.service.ledger import Entry, Ledger
from postroom.store import days, live_sources
from postroom.store.database import Database, Reader

_REGISTRATION = """\
id: {id}
url: {url}
as_token: {as_token}
hs_token: {hs_token}
sender_localpart: {localpart}
rate_limited: false
namespaces:
  users:
    - exclusive: false
      regex: "@.*"
  aliases: []
  rooms: []
"""


class LiveSources:
    """The live sources of organizations; `random_bytes` makes secrets."""

    def __init__(
        self, ledger: Ledger, database: Database, random_bytes: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._ledger = ledger
        self._database = database
        self._random_bytes = random_bytes

    async def create(
        self, org_id: str, kind: Kind, name: str | None = None, secret: str | None = None
    ) -> LiveSource:
        """A new one; its activity is kept under `name`, or under that of its kind.

        Without a secret it gets one, where the platform is told it; else it waits for the platform's.

        Raises:
            Invalid: a field breaks a rule.
        """
        name = check_source_name(kind if name is None else name)
        if secret is not None:
            check_secret(secret)
        elif kind in MADE_HERE:
            secret = self._random_bytes(SECRET_BYTES).hex()
        salt = self._random_bytes(SALT_BYTES)

        async def body(entry: Entry) -> LiveSource:
            made = LiveSource(
                org_id, entry.mint(), name, kind, secret or "", "enabled", salt, entry.at, entry.at
            )
            await live_sources.insert(entry.tx, made)
            await _begin(entry, made)
            return made

        return await self._ledger.commit(body)

    def registration(self, source: LiveSource, url: str) -> str:
        """What a Matrix homeserver is told of an application service that it sends events to, in YAML.

        It must name a token with which the service could ask the homeserver; nobody here ever does.
        """
        return _REGISTRATION.format(
            id=_quoted(f"postroom-{source.id}"),
            url=_quoted(url),
            as_token=_quoted(self._random_bytes(SECRET_BYTES).hex()),
            hs_token=_quoted(source.secret),
            localpart=_quoted(f"postroom-{source.salt.hex()[:8]}"),
        )

    async def of(self, org_id: str) -> list[LiveSource]:
        """All of an organization, oldest first."""
        return await live_sources.of(self._database, org_id)

    async def get(self, org_id: str, source_id: str) -> LiveSource:
        """One by id.

        Raises:
            NotFound: there is none.
        """
        return await _find(self._database, org_id, source_id)

    async def counts(self, org_id: str) -> dict[str, Counts]:
        """What became of the events of each source, by its id; none of one to which nothing came."""
        return await live_sources.counts(self._database, org_id)

    async def update(
        self,
        org_id: str,
        source_id: str,
        *,
        name: str | UnsetType = UNSET,
        secret: str | UnsetType = UNSET,
        status: Status | UnsetType = UNSET,
    ) -> LiveSource:
        """Change what is given; what was taken in under another name stays under that.

        Raises:
            Invalid: a field breaks a rule.
            NotFound: there is no such source.
        """
        given: dict[str, Any] = {"name": name, "secret": secret, "status": status}
        changes = {field: value for field, value in given.items() if value is not UNSET}
        _check(changes)

        async def body(entry: Entry) -> LiveSource:
            before = await _held(entry, org_id, source_id)
            after = msgspec.structs.replace(before, **changes, updated_at=entry.at)
            await live_sources.update(entry.tx, after)
            if (before.name, before.status) != (after.name, after.status):
                await _begin_anew(entry, after)
            return after

        return await self._ledger.commit(body)

    async def delete(self, org_id: str, source_id: str) -> None:
        """For good; the activity that was taken in stays.

        Raises:
            NotFound: there is no such source.
        """

        async def body(entry: Entry) -> None:
            await _held(entry, org_id, source_id)
            await live_sources.delete(entry.tx, org_id, source_id)
            await live_sources.end(entry.tx, org_id, source_id, entry.at)

        await self._ledger.commit(body)


def _quoted(text: str) -> str:
    """As YAML quotes it, too."""
    return msgspec.json.encode(text).decode()


async def _begin_anew(entry: Entry, source: LiveSource) -> None:
    await live_sources.end(entry.tx, source.org_id, source.id, entry.at)
    if source.status == "enabled":
        await _begin(entry, source)


async def _begin(entry: Entry, source: LiveSource) -> None:
    await live_sources.begin(entry.tx, source, entry.at)
    # Days on which others told something under its name are no longer known to be complete.
    await days.note_change(entry.tx, source.org_id)


async def _held(entry: Entry, org_id: str, source_id: str) -> LiveSource:
    """The source as it stays until the commit, but for what is done here."""
    await live_sources.hold(entry.tx, org_id, source_id)
    return await _find(entry.tx, org_id, source_id)


async def _find(reader: Reader, org_id: str, source_id: str) -> LiveSource:
    source = await live_sources.find(reader, source_id)
    if source is None or source.org_id != org_id:
        raise NotFound(f"there is no source {source_id}")
    return source


def _check(changes: dict[str, str]) -> None:
    if "name" in changes:
        check_source_name(changes["name"])
    if "secret" in changes:
        check_secret(changes["secret"])
    if changes.get("status", "enabled") not in get_args(Status):
        raise Invalid("status", "must be enabled or disabled")
