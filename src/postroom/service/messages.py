"""Accepting, listing and deleting messages."""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from msgspec import structs

from postroom.domain import schema
from postroom.domain.delivery import Attempt, Owed
from postroom.domain.errors import Invalid, NotFound
from postroom.domain.message import Message, MessageName
from postroom.domain.names import check_name
from postroom.domain.usage import Kind
from postroom.service.directory import Directory
from postroom.service.ledger import Entry, Ledger
from postroom.service.outbox import Outbox
from postroom.service.recipients import QueueKey, RecipientsMemory
from postroom.store import deliveries, messages
from postroom.store.database import Database, Reader


class _New(NamedTuple):
    org_id: str
    queue_id: str
    name: str | None
    data: bytes


class Messages:
    """The messages of organizations."""

    def __init__(self, ledger: Ledger, database: Database, directory: Directory, outbox: Outbox) -> None:
        self._ledger = ledger
        self._database = database
        self._directory = directory
        self._outbox = outbox
        self._recipients = RecipientsMemory()

    async def accept(self, org_id: str, queue_id: str, data: str, name: str | None = None) -> str:
        """The id of the message, now on disk and owed to every listener that the queue has.

        Raises:
            Invalid: the name breaks a rule, or the data does not satisfy the queue's schema.
            NotFound: there is no such queue.
            Unavailable: the database does not take it now.
        """
        queue = await self._directory.queue(org_id, queue_id)
        if queue is None:
            raise _no_queue(queue_id)
        if name is not None:
            check_name(name)
        raw = _encoded(data)
        if queue.schema is not None:
            schema.check(queue.schema, raw)
        return await self._ledger.submit(self._write, _New(org_id, queue_id, name, raw))

    async def newest(self, org_id: str, queue_id: str | None, below: str, limit: int) -> list[MessageName]:
        """At most `limit` messages with ids below `below`, newest first, of one queue or all.

        Raises:
            NotFound: there is no such queue.
        """
        if queue_id is not None and await self._directory.queue(org_id, queue_id) is None:
            raise _no_queue(queue_id)
        return await messages.newest(self._database.apart, org_id, queue_id, below, limit)

    async def get(self, org_id: str, queue_id: str, message_id: str) -> Message:
        """One by id, in its queue.

        Raises:
            NotFound: there is none.
        """
        return await self._find(self._database, org_id, queue_id, message_id)

    async def attempts(self, org_id: str, queue_id: str, message_id: str) -> list[Attempt]:
        """Every request made for a message, in the order made.

        Raises:
            NotFound: there is no such message.
        """
        await self.get(org_id, queue_id, message_id)
        return await deliveries.attempts(self._database, org_id, message_id)

    async def rename(self, org_id: str, queue_id: str, message_id: str, name: str | None) -> Message:
        """Give it another name, or none.

        Raises:
            Invalid: the name breaks a rule.
            NotFound: there is no such message.
        """
        if name is not None:
            check_name(name)

        async def body(entry: Entry) -> Message:
            message = await self._find(entry.tx, org_id, queue_id, message_id)
            await messages.rename(entry.tx, org_id, message_id, name)
            return structs.replace(message, name=name)

        return await self._ledger.commit(body)

    async def delete(self, org_id: str, queue_id: str, message_id: str) -> None:
        """With its attempts; what is pending counts as discarded.

        Raises:
            NotFound: there is no such message.
        """

        async def body(entry: Entry) -> list[str]:
            await self._find(entry.tx, org_id, queue_id, message_id)
            to = await self._recipients.of(entry, [(org_id, queue_id)])
            waiting = await deliveries.discard_of_message(entry.tx, org_id, message_id, entry.at)
            for listener_id in set(waiting).intersection(to.get((org_id, queue_id), ())):
                entry.tally(org_id, listener_id, discarded=1)
            await messages.delete(entry.tx, org_id, [message_id])
            return waiting

        for listener_id in await self._ledger.commit(body):
            self._outbox.discarded(org_id, listener_id, message_id)

    async def _find(self, reader: Reader, org_id: str, queue_id: str, message_id: str) -> Message:
        message = await messages.find(reader, org_id, queue_id, message_id)
        # A deleted queue's messages are gone, though their rows are removed a few at a time.
        if message is None or await self._directory.queue(org_id, queue_id) is None:
            raise NotFound(f"the queue {queue_id} has no message {message_id}")
        return message

    async def _write(self, entry: Entry, items: list[_New]) -> Sequence[str | Exception]:
        to = await self._recipients.of(entry, {(i.org_id, i.queue_id) for i in items})
        accepted: list[Message] = []
        results: list[str | Exception] = []
        for item in items:
            if (item.org_id, item.queue_id) not in to:
                results.append(_no_queue(item.queue_id))
            else:
                accepted.append(Message(item.org_id, entry.mint(), item.queue_id, item.name, item.data))
                results.append(accepted[-1].id)
        await self._keep(entry, accepted, to)
        return results

    async def _keep(self, entry: Entry, accepted: list[Message], to: dict[QueueKey, list[str]]) -> None:
        await messages.insert(entry.tx, accepted)
        owed: defaultdict[tuple[str, str], list[Owed]] = defaultdict(list)
        for m in accepted:
            entry.event(Kind.MESSAGE_ADDED, m.org_id, queue_id=m.queue_id, message_id=m.id, name=m.name)
            one = Owed(m.id, 0, m.data)
            for listener_id in to[m.org_id, m.queue_id]:
                owed[m.org_id, listener_id].append(one)
        rows: list[tuple[str, str, str, int]] = []
        for (org_id, listener_id), together in owed.items():
            entry.tally(org_id, listener_id, accepted=len(together))
            rows += [(org_id, each.message_id, listener_id, entry.at) for each in together]
        await deliveries.insert(entry.tx, rows)
        entry.then(partial(self._outbox.owed, owed, entry.at))  # a lambda would hold the entry that holds it


def _encoded(data: str) -> bytes:
    try:
        return data.encode()
    except UnicodeEncodeError as error:
        raise Invalid("data", "must be text; it holds half of a surrogate pair") from error


def _no_queue(queue_id: str) -> NotFound:
    return NotFound(f"there is no queue {queue_id}")
