"""Deliveries and attempts in the database."""

from collections.abc import Iterable

from postroom.domain.delivery import Attempt, Outcome, Owed, State
from postroom.store.database import Reader, Transaction


async def insert(tx: Transaction, owed: Iterable[tuple[str, str, str, int]]) -> None:
    """Deliveries owed from now on: (organization's, message's, listener's id, due at) each."""
    await tx.execute_many("insert_delivery", owed)


async def settle(tx: Transaction, outcomes: list[Outcome]) -> set[tuple[str, str]]:
    """Write the outcomes of attempts.

    Answers the (message's id, listener's id) of those whose delivery was still pending; the others were
    discarded while the attempt was under way, and are left as they are.
    """
    retries = [o for o in outcomes if o.state is State.PENDING]
    ends = [o for o in outcomes if o.state is not State.PENDING]
    settled = await tx.fetch_many("retry_delivery", [(*_key(o), o.attempt.number, o.at) for o in retries])
    settled += await tx.fetch_many(
        "end_delivery", [(*_key(o), o.attempt.number, o.state.value, o.at) for o in ends]
    )
    return {(message_id, listener_id) for message_id, listener_id in settled}


async def insert_attempts(tx: Transaction, outcomes: list[Outcome]) -> None:
    """Keep what was asked and answered."""
    rows = [(o, o.attempt) for o in outcomes]
    await tx.execute_many(
        "insert_attempt",
        [(*_key(o), a.number, a.at, a.duration, a.status, a.error, a.answer) for o, a in rows],
    )


async def attempts(reader: Reader, org_id: str, message_id: str) -> list[Attempt]:
    """All attempts for a message, in the order made."""
    return [Attempt(*row) for row in await reader.fetch("list_attempts", org_id, message_id)]


async def due(reader: Reader, org_id: str, listener_id: str, now: int, limit: int, short: int) -> list[Owed]:
    """A listener's deliveries that are due, the longest due first, with data of at most `short` bytes."""
    rows = await reader.fetch("due_deliveries", org_id, listener_id, now, limit, short)
    return [Owed(*row) for row in rows]


async def next_due(reader: Reader, org_id: str, listener_id: str, after: int) -> int | None:
    """When the listener's next delivery after the time `after` is due, ms; None when there is none."""
    rows = await reader.fetch("next_due", org_id, listener_id, after)
    return rows[0][0] if rows else None


async def waiting(reader: Reader) -> set[tuple[str, str]]:
    """(Organization's id, listener's id) of each listener that is owed something."""
    rows = await reader.fetch("waiting_listeners")
    return {(org_id, listener_id) for org_id, listener_id in rows}


async def hasten(tx: Transaction, org_id: str, listener_id: str, now: int, limit: int) -> int:
    """Make at most `limit` later deliveries due now; answers how many."""
    return len(await tx.fetch("hasten_deliveries", org_id, listener_id, now, limit))


async def pending_of_message(reader: Reader, org_id: str, message_id: str) -> list[str]:
    """Ids of the listeners that it is still owed to."""
    return [listener_id for (listener_id,) in await reader.fetch("pending_of_message", org_id, message_id)]


async def missed(reader: Reader, org_id: str, listener_id: str, limit: int) -> list[str]:
    """The newest messages whose schedule was used up."""
    return [message_id for (message_id,) in await reader.fetch("missed", org_id, listener_id, limit)]


async def discard_some(tx: Transaction, org_id: str, listener_id: str, now: int, limit: int) -> int:
    """Discard at most `limit` pending deliveries of a deleted listener; answers how many."""
    return len(await tx.fetch("discard_some_deliveries", org_id, listener_id, now, limit))


async def pending_counts(reader: Reader, org_id: str) -> dict[str, int]:
    """How many deliveries of each listener are pending, counted one by one."""
    rows = await reader.fetch("count_pending", org_id)
    return dict(rows)


def _key(outcome: Outcome) -> tuple[str, str, str]:
    return outcome.org_id, outcome.message_id, outcome.attempt.listener_id
