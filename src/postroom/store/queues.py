"""Queues and their schemas in the database."""

import msgspec

from postroom.domain import schema
from postroom.domain.queue import Queue
from postroom.store.database import Reader, Row, Transaction


async def insert(tx: Transaction, queue: Queue) -> bool:
    """False where the name is taken."""
    values = (queue.org_id, queue.id, queue.name, queue.schema_id, queue.created_at)
    added = bool(await tx.fetch("insert_queue", *values))
    if added:
        await _keep_schema(tx, queue)
    return added


async def update(tx: Transaction, queue: Queue) -> bool:
    """False where the name is taken."""
    renamed = bool(await tx.fetch("update_queue", queue.org_id, queue.id, queue.name, queue.schema_id))
    if renamed:
        await _keep_schema(tx, queue)
    return renamed


async def find(reader: Reader, org_id: str, queue_id: str) -> Queue | None:
    """One by id."""
    rows = await reader.fetch("find_queue", org_id, queue_id)
    return _queue(rows[0]) if rows else None


async def find_by_name(reader: Reader, org_id: str, name: str) -> Queue | None:
    """One by name."""
    rows = await reader.fetch("find_queue_by_name", org_id, name)
    return _queue(rows[0]) if rows else None


async def of(reader: Reader, org_id: str) -> list[Queue]:
    """All of an organization, oldest first."""
    return [_queue(row) for row in await reader.fetch("list_queues", org_id)]


async def find_schema(reader: Reader, org_id: str, queue_id: str, schema_id: str) -> dict[str, object] | None:
    """A version of a queue's schema, as it was written."""
    rows = await reader.fetch("find_schema", org_id, queue_id, schema_id)
    return msgspec.json.decode(rows[0][0], type=dict[str, object]) if rows else None


async def hold(tx: Transaction, org_id: str, queue_id: str) -> None:
    """Until the commit, nobody else changes what the queue's listeners are owed."""
    await tx.execute("hold_queue", org_id, queue_id)


async def delete(tx: Transaction, org_id: str, queue_id: str) -> None:
    """The queue, its schemas and listeners; its messages are left to be removed a few at a time."""
    await tx.execute("delete_queue", org_id, queue_id)
    await tx.execute("insert_removal", org_id, queue_id, "queue")


async def _keep_schema(tx: Transaction, queue: Queue) -> None:
    if queue.schema_id is not None:
        body = msgspec.json.encode(queue.raw_schema).decode()
        await tx.execute("insert_schema", queue.org_id, queue.id, queue.schema_id, body)


def _queue(row: Row) -> Queue:
    org_id, queue_id, name, schema_id, body, created_at = row
    raw = msgspec.json.decode(body) if body is not None else None
    return Queue(org_id, queue_id, name, schema_id, raw, raw and schema.parse(raw), created_at)
