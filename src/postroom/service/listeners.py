"""Making, changing, watching and deleting listeners."""

import base64
import secrets
from collections.abc import Callable
from typing import Any, get_args

import msgspec
from msgspec import UNSET, UnsetType

from postroom.domain.address import check_url
from postroom.domain.errors import Invalid, NameTaken, NotFound
from postroom.domain.listener import MISSED_SHOWN, SECRET_BYTES, Counts, Listener, Status, slot_of
from postroom.domain.liveness import Liveness
from postroom.domain.names import check_name
from postroom.domain.usage import Kind
from postroom.service.ledger import Entry, Ledger
from postroom.service.outbox import Outbox
from postroom.service.queues import discard_all
from postroom.store import deliveries, listeners, queues
from postroom.store.database import Database, Reader

HASTENED = 500
"""Deliveries that become due in the commit that switches their listener on."""


class Report(msgspec.Struct, frozen=True):
    """A listener with what became of its deliveries; `missed` are the newest messages that it never took."""

    listener: Listener
    liveness: Liveness
    counts: Counts
    missed: list[str]


class Listeners:
    """The listeners of organizations; `random_bytes` makes the secrets that sign what they are sent."""

    def __init__(
        self,
        ledger: Ledger,
        database: Database,
        outbox: Outbox,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._ledger = ledger
        self._database = database
        self._outbox = outbox
        self._random_bytes = random_bytes

    async def create(
        self, org_id: str, queue_id: str, name: str, notify_url: str, liveness_url: str
    ) -> Listener:
        """A new listener of a queue; messages accepted from now on are owed to it.

        Raises:
            Invalid: a field breaks a rule.
            NameTaken: another listener of the organization has the name.
            NotFound: there is no such queue.
        """
        check_name(name)
        urls = check_url("notify_url", notify_url), check_url("liveness_url", liveness_url)
        secret = "whsec_" + base64.b64encode(self._random_bytes(SECRET_BYTES)).decode()

        async def body(entry: Entry) -> Listener:
            if await queues.find(entry.tx, org_id, queue_id) is None:
                raise NotFound(f"there is no queue {queue_id}")
            new_id = entry.mint()
            listener = Listener(
                org_id, new_id, queue_id, name, *urls, secret, "enabled", slot_of(new_id), entry.at
            )
            if not await listeners.insert(entry.tx, listener):
                raise NameTaken(name)
            entry.event(Kind.LISTENER_ADDED, org_id, queue_id=queue_id, listener_id=new_id, name=name)
            entry.then(lambda: self._outbox.changed(org_id, new_id))
            return listener

        return await self._ledger.commit(body)

    async def of(self, org_id: str, queue_id: str | None = None) -> list[Listener]:
        """All of an organization or of one queue, oldest first."""
        if queue_id is None:
            return await listeners.of(self._database, org_id)
        return await listeners.of_queue(self._database, org_id, queue_id)

    async def get(self, org_id: str, queue_id: str, listener_id: str) -> Listener:
        """One by id, in its queue.

        Raises:
            NotFound: there is none.
        """
        return await _find(self._database, org_id, queue_id, listener_id)

    async def report(self, listener: Listener) -> Report:
        """The listener with what became of its deliveries, true at this moment."""
        key = listener.org_id, listener.id
        return Report(
            listener,
            await listeners.liveness(self._database, *key),
            await listeners.counts(self._database, *key),
            await deliveries.missed(self._database, *key, MISSED_SHOWN),
        )

    async def update(
        self,
        org_id: str,
        queue_id: str,
        listener_id: str,
        *,
        name: str | UnsetType = UNSET,
        notify_url: str | UnsetType = UNSET,
        liveness_url: str | UnsetType = UNSET,
        status: Status | UnsetType = UNSET,
    ) -> Listener:
        """Change what is given; a listener switched on again is sent what waited for it.

        Raises:
            Invalid: a field breaks a rule.
            NameTaken: another listener of the organization has the name.
            NotFound: there is no such listener.
        """
        given: dict[str, Any] = {
            "name": name,
            "notify_url": notify_url,
            "liveness_url": liveness_url,
            "status": status,
        }
        changes = {field: value for field, value in given.items() if value is not UNSET}
        _check(changes)

        async def body(entry: Entry) -> Listener:
            await queues.hold(entry.tx, org_id, queue_id)
            before = await _find(entry.tx, org_id, queue_id, listener_id)
            listener = msgspec.structs.replace(before, **changes)
            if not await listeners.update(entry.tx, listener):
                raise NameTaken(listener.name)
            if (before.status, listener.status) == ("disabled", "enabled"):
                # Whoever delivers does the same with all, but only where it has seen the listener off.
                await deliveries.hasten(entry.tx, org_id, listener_id, entry.at, HASTENED)
            entry.event(
                Kind.LISTENER_UPDATED, org_id, queue_id=queue_id, listener_id=listener_id, name=listener.name
            )
            entry.then(lambda: self._outbox.changed(org_id, listener_id))
            return listener

        return await self._ledger.commit(body)

    async def delete(self, org_id: str, queue_id: str, listener_id: str) -> None:
        """For good; what is pending counts as discarded.

        Raises:
            NotFound: there is no such listener.
        """

        async def body(entry: Entry) -> None:
            await queues.hold(entry.tx, org_id, queue_id)
            listener = await _find(entry.tx, org_id, queue_id, listener_id)
            await discard_all(entry, listener)
            entry.event(
                Kind.LISTENER_DELETED, org_id, queue_id=queue_id, listener_id=listener_id, name=listener.name
            )
            entry.then(lambda: self._outbox.changed(org_id, listener_id))

        await self._ledger.commit(body)


async def _find(reader: Reader, org_id: str, queue_id: str, listener_id: str) -> Listener:
    listener = await listeners.find(reader, org_id, listener_id)
    if listener is None or listener.queue_id != queue_id:
        raise NotFound(f"the queue {queue_id} has no listener {listener_id}")
    return listener


def _check(changes: dict[str, str]) -> None:
    for field in changes.keys() & {"notify_url", "liveness_url"}:
        check_url(field, changes[field])
    check_name(changes.get("name", "unchanged"))
    if changes.get("status", "enabled") not in get_args(Status):
        raise Invalid("status", "must be enabled or disabled")
