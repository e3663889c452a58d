"""API keys in the database."""

import msgspec

from postroom.domain.api_key import ApiKey
from postroom.domain.scope import Scope
from postroom.store.database import Reader, Row, Transaction


async def insert(tx: Transaction, key: ApiKey) -> bool:
    """False where the name is taken."""
    values = (
        key.org_id,
        key.id,
        key.name,
        key.digest,
        key.prefix,
        key.status,
        _dump(key.scopes),
        key.created_at,
        key.encoding,
    )
    return bool(await tx.fetch("insert_api_key", *values))


async def find(reader: Reader, org_id: str, key_id: str) -> ApiKey | None:
    """One by id."""
    rows = await reader.fetch("find_api_key", org_id, key_id)
    return _key(rows[0]) if rows else None


async def find_by_digest(reader: Reader, digest: bytes) -> ApiKey | None:
    """The key whose secret has this digest."""
    rows = await reader.fetch("find_api_key_by_digest", digest)
    return _key(rows[0]) if rows else None


async def of(reader: Reader, org_id: str) -> list[ApiKey]:
    """All of an organization, oldest first."""
    return [_key(row) for row in await reader.fetch("list_api_keys", org_id)]


async def update(tx: Transaction, key: ApiKey) -> bool:
    """False where the name is taken."""
    values = (key.org_id, key.id, key.name, key.status, _dump(key.scopes), key.updated_at, key.encoding)
    return bool(await tx.fetch("update_api_key", *values))


async def hold(tx: Transaction, org_id: str, key_id: str) -> None:
    """Until the commit, nobody else changes or deletes the key."""
    await tx.execute("hold_api_key", org_id, key_id)


async def mark_used(tx: Transaction, uses: list[tuple[str, str, int]]) -> None:
    """Keep when keys were used last: (organization's id, key's id, ms) each."""
    await tx.execute_many("mark_api_key_used", uses)


async def delete(tx: Transaction, org_id: str, key_id: str) -> None:
    """For good."""
    await tx.execute("delete_api_key", org_id, key_id)


def _dump(scopes: tuple[Scope, ...]) -> str:
    return msgspec.json.encode(scopes).decode()


def _key(row: Row) -> ApiKey:
    granted = msgspec.json.decode(row[5], type=tuple[Scope, ...])
    return ApiKey(*(*row[:5], granted, *row[6:]))
