"""Making, changing and deleting queues."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from postroom.domain import schema
from postroom.domain.errors import NameTaken, NotFound
from postroom.domain.listener import Listener
from postroom.domain.names import check_name
from postroom.domain.queue import Queue
from postroom.domain.usage import Kind
from postroom.service.directory import Directory
from postroom.service.ledger import Entry, Ledger
from postroom.service.outbox import Outbox
from postroom.store import listeners, queues
from postroom.store.database import Database

RawSchema = dict[str, Any]


class Queues:
    """The queues of organizations."""

    def __init__(self, ledger: Ledger, database: Database, directory: Directory, outbox: Outbox) -> None:
        self._ledger = ledger
        self._database = database
        self._directory = directory
        self._outbox = outbox

    async def create(self, org_id: str, name: str, raw_schema: RawSchema | None = None) -> Queue:
        """A new queue.

        Raises:
            Invalid: the name or the schema breaks a rule.
            NameTaken: another queue of the organization has the name.
        """
        check_name(name)
        _parsed(raw_schema)

        async def body(entry: Entry) -> Queue:
            queue = Queue(org_id, entry.mint(), name, *_schema_fields(raw_schema), entry.at)
            if not await queues.insert(entry.tx, queue):
                raise NameTaken(name)
            entry.event(Kind.QUEUE_ADDED, org_id, queue_id=queue.id, name=name)
            return queue

        return await self._ledger.commit(body)

    async def of(self, org_id: str) -> list[Queue]:
        """All of an organization, oldest first."""
        return await queues.of(self._database, org_id)

    async def get(self, org_id: str, queue_id: str) -> Queue:
        """One by id.

        Raises:
            NotFound: there is none.
        """
        return _found(await self._directory.queue(org_id, queue_id), queue_id)

    async def named(self, org_id: str, name: str) -> Queue:
        """One by name, or by id.

        Raises:
            NotFound: there is none.
        """
        by_name = await queues.find_by_name(self._database, org_id, name)
        return by_name or await self.get(org_id, name)

    async def get_schema(self, org_id: str, queue_id: str, schema_id: str) -> RawSchema:
        """A version of the queue's schema, as it was written.

        Raises:
            NotFound: the queue never had it.
        """
        found = await queues.find_schema(self._database, org_id, queue_id, schema_id)
        if found is None:
            raise NotFound(f"the queue {queue_id} has no schema {schema_id}")
        return found

    async def update(
        self,
        org_id: str,
        queue_id: str,
        name: str | UnsetType = UNSET,
        raw_schema: RawSchema | UnsetType | None = UNSET,
    ) -> Queue:
        """Change what is given; a schema of None lets every message in.

        Raises:
            Invalid: the name or the schema breaks a rule.
            NameTaken: another queue of the organization has the name.
            NotFound: there is no such queue.
        """
        check_name("unchanged" if name is UNSET else name)
        _parsed(None if raw_schema is UNSET else raw_schema)

        async def body(entry: Entry) -> Queue:
            await queues.hold(entry.tx, org_id, queue_id)
            queue = _changed(
                _found(await queues.find(entry.tx, org_id, queue_id), queue_id), name, raw_schema
            )
            if not await queues.update(entry.tx, queue):
                raise NameTaken(queue.name)
            entry.event(Kind.QUEUE_UPDATED, org_id, queue_id=queue_id, name=queue.name)
            entry.then(self._directory.forget)
            return queue

        return await self._ledger.commit(body)

    async def delete(self, org_id: str, queue_id: str) -> None:
        """The queue, its listeners and messages; what is pending counts as discarded.

        Raises:
            NotFound: there is no such queue.
        """

        async def body(entry: Entry) -> list[Listener]:
            await queues.hold(entry.tx, org_id, queue_id)
            queue = _found(await queues.find(entry.tx, org_id, queue_id), queue_id)
            attached = await listeners.of_queue(entry.tx, org_id, queue_id)
            for listener in attached:
                await discard_all(entry, listener)
            await queues.delete(entry.tx, org_id, queue_id)
            entry.event(Kind.QUEUE_DELETED, org_id, queue_id=queue_id, name=queue.name)
            entry.then(self._directory.forget)
            return attached

        for listener in await self._ledger.commit(body):
            self._outbox.changed(org_id, listener.id)


async def discard_all(entry: Entry, listener: Listener) -> None:
    """Delete a listener of a queue that is held.

    All that is pending counts as discarded at once; its rows follow, a few at a time.
    """
    counts = await listeners.counts(entry.tx, listener.org_id, listener.id)
    entry.tally(listener.org_id, listener.id, discarded=counts.pending)
    await listeners.delete(entry.tx, listener)


def _changed(queue: Queue, name: str | UnsetType, raw_schema: RawSchema | UnsetType | None) -> Queue:
    if name is not UNSET:
        queue = msgspec.structs.replace(queue, name=name)
    if raw_schema is not UNSET:
        schema_id, raw, parsed = _schema_fields(raw_schema)
        queue = msgspec.structs.replace(queue, schema_id=schema_id, raw_schema=raw, schema=parsed)
    return queue


def _parsed(raw_schema: RawSchema | None) -> schema.Schema | None:
    return schema.parse(raw_schema) if raw_schema else None


def _schema_fields(raw_schema: RawSchema | None) -> tuple[str | None, RawSchema | None, schema.Schema | None]:
    if not raw_schema:  # an empty map asks for nothing
        return None, None, None
    return schema.schema_id(raw_schema), raw_schema, schema.parse(raw_schema)


def _found(queue: Queue | None, queue_id: str) -> Queue:
    if queue is None:
        raise NotFound(f"there is no queue {queue_id}")
    return queue
