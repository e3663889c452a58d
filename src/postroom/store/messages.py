"""Messages in the database."""

from postroom.domain.message import Message, MessageName
from postroom.store.database import Reader, Transaction


async def insert(tx: Transaction, accepted: list[Message]) -> None:
    """Keep accepted messages."""
    await tx.execute_many("insert_message", [(m.org_id, m.id, m.queue_id, m.name, m.data) for m in accepted])


async def find(reader: Reader, org_id: str, queue_id: str, message_id: str) -> Message | None:
    """One by id, in its queue."""
    rows = await reader.fetch("find_message", org_id, message_id, queue_id)
    return Message(*rows[0]) if rows else None


async def data_of(reader: Reader, org_id: str, message_id: str) -> bytes | None:
    """What is to be sent; None where the message is gone."""
    rows = await reader.fetch("message_data", org_id, message_id)
    return rows[0][0] if rows else None


async def newest(
    reader: Reader, org_id: str, queue_id: str | None, below: str, limit: int
) -> list[MessageName]:
    """At most `limit` messages with ids below `below`, newest first, of one queue or all."""
    if queue_id is None:
        rows = await reader.fetch("list_messages", org_id, below, limit)
    else:
        rows = await reader.fetch("list_messages_of_queue", org_id, below, limit, queue_id)
    return [MessageName(*row) for row in rows]


async def rename(tx: Transaction, org_id: str, message_id: str, name: str | None) -> None:
    """Give it another name."""
    await tx.execute("rename_message", org_id, message_id, name)


async def delete(tx: Transaction, org_id: str, message_ids: list[str]) -> None:
    """With their deliveries and attempts."""
    rows = [(org_id, message_id) for message_id in message_ids]
    await tx.execute_many("delete_deliveries_of_message", rows)
    await tx.execute_many("delete_message", rows)


async def delete_some_of_queue(tx: Transaction, org_id: str, queue_id: str, limit: int) -> int:
    """At most `limit` messages of a deleted queue, with their deliveries and attempts; answers how many."""
    deleted = await tx.fetch("delete_some_messages_of_queue", org_id, queue_id, limit)
    await tx.execute_many("delete_deliveries_of_message", [(org_id, message_id) for (message_id,) in deleted])
    return len(deleted)


async def some_old(
    reader: Reader, org_id: str, after: str, before: str, limit: int
) -> list[tuple[str, int | None]]:
    """Ids between two ids, with when the last delivery ended (ms); None while one is pending."""
    rows = await reader.fetch("some_old_messages", org_id, after, before, limit)
    return [(message_id, ended_at) for message_id, ended_at in rows]
