"""Making, changing and recognising API keys."""

import hmac
import secrets
from collections.abc import Callable
from typing import Any, get_args

import msgspec
from msgspec import UNSET, UnsetType

from postroom.domain import scope
from postroom.domain.api_key import PREFIX_LENGTH, SECRET_BYTES, ApiKey, Encoding, Status, digest_of
from postroom.domain.clock import Clock
from postroom.domain.errors import Invalid, NameTaken, NotAuthenticated, NotFound
from postroom.domain.names import check_name
from postroom.domain.scope import Scope
from postroom.domain.usage import Kind
from postroom.service.directory import Directory
from postroom.service.ledger import Entry, Ledger
from postroom.store import api_keys
from postroom.store.database import Database

FIRST_NAME = "first key"


class ApiKeys:
    """The secrets of organizations; `random_text` makes them from a number of bytes."""

    def __init__(
        self,
        ledger: Ledger,
        database: Database,
        directory: Directory,
        clock: Clock,
        random_text: Callable[[int], str] = secrets.token_urlsafe,
    ) -> None:
        self._ledger = ledger
        self._database = database
        self._directory = directory
        self._clock = clock
        self._random_text = random_text
        self._uses: dict[tuple[str, str], int] = {}

    async def authenticate(self, secret: str) -> ApiKey:
        """The enabled key whose secret this is.

        Raises:
            NotAuthenticated: there is none.
        """
        digest = digest_of(secret)
        key = await self._directory.key(digest)
        if key is None or not hmac.compare_digest(key.digest, digest) or key.status != "enabled":
            raise NotAuthenticated("the API key is unknown or disabled")
        self._uses[key.org_id, key.id] = self._clock()
        return key

    async def create(
        self,
        org_id: str,
        name: str,
        status: Status = "enabled",
        scopes: tuple[Scope, ...] = scope.DEFAULT,
        encoding: Encoding | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key and its secret, which is known only now.

        Raises:
            Invalid: a field breaks a rule.
            NameTaken: another key of the organization has the name.
        """
        check_name(name)
        _check_status(status)
        _check_encoding(encoding)

        async def body(entry: Entry) -> tuple[ApiKey, str]:
            key, secret = await self._insert(entry, org_id, name, status, scopes, encoding)
            entry.event(Kind.API_KEY_ADDED, org_id, api_key_id=key.id, name=name)
            return key, secret

        return await self._ledger.commit(body)

    async def insert_first(self, entry: Entry, org_id: str) -> str:
        """The secret of an organization's first key; it is part of the organization, so it is not counted."""
        _, secret = await self._insert(entry, org_id, FIRST_NAME, "enabled", scope.EVERYTHING)
        return secret

    async def of(self, org_id: str) -> list[ApiKey]:
        """All of an organization, oldest first."""
        return [self._with_last_use(key) for key in await api_keys.of(self._database, org_id)]

    async def get(self, org_id: str, key_id: str) -> ApiKey:
        """One by id.

        Raises:
            NotFound: there is none.
        """
        return self._with_last_use(_found(await api_keys.find(self._database, org_id, key_id), key_id))

    async def update(
        self,
        org_id: str,
        key_id: str,
        name: str | UnsetType = UNSET,
        status: Status | UnsetType = UNSET,
        scopes: tuple[Scope, ...] | UnsetType = UNSET,
        encoding: Encoding | UnsetType | None = UNSET,
    ) -> ApiKey:
        """Change what is given.

        Raises:
            Invalid: a field breaks a rule.
            NameTaken: another key of the organization has the name.
            NotFound: there is no such key.
        """
        given: dict[str, Any] = {"name": name, "status": status, "scopes": scopes, "encoding": encoding}
        changes = {field: value for field, value in given.items() if value is not UNSET}
        check_name(changes.get("name", "unchanged"))
        _check_status(changes.get("status", "enabled"))
        _check_encoding(changes.get("encoding"))

        async def body(entry: Entry) -> ApiKey:
            await api_keys.hold(entry.tx, org_id, key_id)
            before = _found(await api_keys.find(entry.tx, org_id, key_id), key_id)
            key = msgspec.structs.replace(before, updated_at=entry.at, **changes)
            if not await api_keys.update(entry.tx, key):
                raise NameTaken(key.name)
            entry.event(Kind.API_KEY_UPDATED, org_id, api_key_id=key_id, name=key.name)
            entry.then(self._directory.forget)
            return key

        return self._with_last_use(await self._ledger.commit(body))

    async def delete(self, org_id: str, key_id: str) -> None:
        """For good.

        Raises:
            NotFound: there is no such key.
        """

        async def body(entry: Entry) -> None:
            await api_keys.hold(entry.tx, org_id, key_id)
            key = _found(await api_keys.find(entry.tx, org_id, key_id), key_id)
            await api_keys.delete(entry.tx, org_id, key_id)
            entry.event(Kind.API_KEY_DELETED, org_id, api_key_id=key_id, name=key.name)
            entry.then(self._directory.forget)

        await self._ledger.commit(body)

    async def keep_uses(self) -> None:
        """Write down when keys were used last; until then it is in memory only."""
        uses = dict(self._uses)
        if uses:
            rows = [(org_id, key_id, at) for (org_id, key_id), at in uses.items()]
            await self._ledger.commit(lambda entry: api_keys.mark_used(entry.tx, rows))
        self._uses = {key: at for key, at in self._uses.items() if uses.get(key) != at}

    async def _insert(
        self,
        entry: Entry,
        org_id: str,
        name: str,
        status: Status,
        scopes: tuple[Scope, ...],
        encoding: Encoding | None = None,
    ) -> tuple[ApiKey, str]:
        secret = self._random_text(SECRET_BYTES)
        key = ApiKey(
            org_id,
            entry.mint(),
            name,
            secret[:PREFIX_LENGTH],
            status,
            scopes,
            entry.at,
            entry.at,
            None,
            digest_of(secret),
            encoding,
        )
        if not await api_keys.insert(entry.tx, key):
            raise NameTaken(name)
        return key, secret

    def _with_last_use(self, key: ApiKey) -> ApiKey:
        last = self._uses.get((key.org_id, key.id), key.last_used_at)
        return msgspec.structs.replace(key, last_used_at=last)


def _found(key: ApiKey | None, key_id: str) -> ApiKey:
    if key is None:
        raise NotFound(f"there is no API key {key_id}")
    return key


def _check_status(status: str) -> None:
    if status not in get_args(Status):
        raise Invalid("status", "must be enabled or disabled")


def _check_encoding(encoding: str | None) -> None:
    if encoding is not None and encoding not in get_args(Encoding):
        raise Invalid("encoding", "must be array or string")
