"""Listeners, what became of their deliveries, and what their probes found."""

from collections.abc import Iterable
from typing import NamedTuple

from postroom.domain.listener import Counts, Listener
from postroom.domain.liveness import DEAD_AFTER, Liveness
from postroom.store.database import Reader, Transaction


class Recipients(NamedTuple):
    """The ids of a queue's listeners, and the version that it keeps while they stay the same."""

    version: int
    listener_ids: list[str]


async def insert(tx: Transaction, listener: Listener) -> bool:
    """False where the name is taken."""
    v = listener
    values = (
        v.org_id,
        v.id,
        v.queue_id,
        v.name,
        v.notify_url,
        v.liveness_url,
        v.secret,
        v.status,
        v.slot,
        v.created_at,
    )
    added = bool(await tx.fetch("insert_listener", *values))
    if added:
        await tx.execute("change_queue", v.org_id, v.queue_id)
    return added


async def find(reader: Reader, org_id: str, listener_id: str) -> Listener | None:
    """One by id."""
    rows = await reader.fetch("find_listener", org_id, listener_id)
    return Listener(*rows[0]) if rows else None


async def present(tx: Transaction, some: Iterable[tuple[str, str, str]]) -> set[tuple[str, str]]:
    """Of (organization's, queue's, listener's id) those that are there, and stay so until the commit.

    Answers their (organization's id, listener's id).
    """
    return {
        (org_id, listener_id) for org_id, listener_id in await tx.fetch_many("present_listener", list(some))
    }


async def hold(tx: Transaction, some: Iterable[tuple[str, str, str]]) -> None:
    """Require that all of them, as for `present`, are there, and stay so until the commit.

    Raises:
        NotMet: they are not; raised here or later in the transaction.
    """
    await tx.require("present_listener", some)


async def of(reader: Reader, org_id: str) -> list[Listener]:
    """All of an organization, oldest first."""
    return [Listener(*row) for row in await reader.fetch("list_listeners", org_id)]


async def of_queue(reader: Reader, org_id: str, queue_id: str) -> list[Listener]:
    """All of a queue, oldest first."""
    return [Listener(*row) for row in await reader.fetch("list_listeners_of_queue", org_id, queue_id)]


async def of_slots(tx: Transaction, slots: Iterable[int]) -> list[Listener]:
    """All of all organizations that are in these slots."""
    return [Listener(*row) for row in await tx.fetch_many("list_listeners_of_slot", [(s,) for s in slots])]


async def every(reader: Reader) -> list[Listener]:
    """All of all organizations."""
    return [Listener(*row) for row in await reader.fetch("list_every_listener")]


async def recipients(
    tx: Transaction, of_queues: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Recipients]:
    """Whom a message accepted now goes to, of those queues that there are.

    Queues go by (organization's id, queue's id), and keep their listeners until the commit.
    """
    # First the queue, then its listeners: a statement that waits for a lock sees all else as it was before.
    shared = await tx.fetch_many("share_queue", list(of_queues))
    found = {(org_id, queue_id): Recipients(version, []) for org_id, queue_id, version in shared}
    for org_id, queue_id, listener_id in await tx.fetch_many("recipients", list(found)):
        found[org_id, queue_id].listener_ids.append(listener_id)
    return found


async def hold_recipients(tx: Transaction, known: dict[tuple[str, str], Recipients]) -> None:
    """Require that the queues have the listeners that are known, and keep them until the commit.

    Raises:
        NotMet: they have others, or are gone; raised here or later in the transaction.
    """
    await tx.require("unchanged_queue", [(*queue, each.version) for queue, each in known.items()])


async def update(tx: Transaction, listener: Listener) -> bool:
    """False where the name is taken."""
    v = listener
    return bool(
        await tx.fetch("update_listener", v.org_id, v.id, v.name, v.notify_url, v.liveness_url, v.status)
    )


async def disable(tx: Transaction, org_id: str, listener_id: str) -> None:
    """Switch it off."""
    await tx.execute("set_listener_status", org_id, listener_id, "disabled")


async def delete(tx: Transaction, listener: Listener) -> None:
    """The listener and its liveness; its pending deliveries are left to be discarded a few at a time."""
    key = listener.org_id, listener.id
    await tx.execute("change_queue", listener.org_id, listener.queue_id)
    await tx.execute("delete_listener", *key)
    await tx.execute("delete_liveness", *key)
    await tx.execute("insert_removal", *key, "listener")


async def add_counts(tx: Transaction, series: int, added: dict[tuple[str, str], Counts]) -> None:
    """Add to the counts of listeners, keyed by (organization's id, listener's id)."""
    rows = [
        (org_id, listener_id, series, c.accepted, c.delivered, c.failed, c.discarded)
        for (org_id, listener_id), c in added.items()
    ]
    await tx.execute_many("add_listener_counts", rows)


async def counts(reader: Reader, org_id: str, listener_id: str) -> Counts:
    """What became of a listener's deliveries."""
    ((*sums,),) = await reader.fetch("read_listener_counts", org_id, listener_id)
    return Counts(*(value or 0 for value in sums))


async def every_count(reader: Reader, org_id: str) -> dict[str, Counts]:
    """What became of the deliveries of each listener, by its id; the deleted ones too."""
    rows = await reader.fetch("list_listener_counts", org_id)
    return {listener_id: Counts(*sums) for listener_id, *sums in rows}


async def liveness(reader: Reader, org_id: str, listener_id: str) -> Liveness:
    """What the probes of a listener found."""
    rows = await reader.fetch("read_liveness", org_id, listener_id)
    return Liveness(*rows[0]) if rows else Liveness()


async def every_liveness(reader: Reader) -> dict[tuple[str, str], Liveness]:
    """What the probes found, keyed by (organization's id, listener's id)."""
    rows = await reader.fetch("list_liveness")
    return {(org_id, listener_id): Liveness(*found) for org_id, listener_id, *found in rows}


async def waiting(reader: Reader) -> set[tuple[str, str]]:
    """(Organization's id, listener's id) of each listener that is owed something."""
    return {(org_id, listener_id) for org_id, listener_id in await reader.fetch("waiting_listeners")}


async def unfinished(reader: Reader) -> set[tuple[str, str]]:
    """(Organization's id, listener's id) of each listener with something pending or failed."""
    return {(org_id, listener_id) for org_id, listener_id in await reader.fetch("unfinished_listeners")}


async def lately_dead(reader: Reader) -> dict[tuple[str, str], Liveness]:
    """What the probes found of those that are dead, keyed by (organization's id, listener's id)."""
    rows = await reader.fetch("list_liveness_like", "%" + "0" * DEAD_AFTER)
    return {(org_id, listener_id): Liveness(*found) for org_id, listener_id, *found in rows}


async def write_liveness(tx: Transaction, org_id: str, listener_id: str, found: Liveness) -> None:
    """Keep what the probes of a listener found by now."""
    values = (found.success_count, found.failure_count, found.recent, found.checked_at)
    await tx.execute("write_liveness", org_id, listener_id, *values)
