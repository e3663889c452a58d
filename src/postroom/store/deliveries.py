"""Deliveries and attempts in the database."""

from collections.abc import Iterable

from postroom.domain.delivery import Attempt, Outcome, Owed, State
from postroom.store.database import Reader, Transaction, Value


async def insert(tx: Transaction, owed: Iterable[tuple[str, str, str, int]]) -> None:
    """Deliveries owed from now on: (organization's, message's, listener's id, due at) each."""
    await tx.execute_many("insert_delivery", owed)


async def settle(tx: Transaction, outcomes: list[Outcome]) -> list[Outcome]:
    """Write the outcomes of attempts; answers those whose delivery still waited for this attempt.

    The others were discarded, or made by another process, while the attempt was under way, and are left as
    they are.
    """
    retries, ends = _changes(outcomes)
    rows = await tx.fetch_many("retry_delivery", retries) + await tx.fetch_many("end_delivery", ends)
    settled = {(message_id, listener_id) for message_id, listener_id in rows}
    return [o for o in outcomes if (o.message_id, o.attempt.listener_id) in settled]


async def settle_all(tx: Transaction, outcomes: list[Outcome]) -> None:
    """Write the outcomes, and require that each delivery still waits for this attempt.

    Raises:
        NotMet: one does not; raised here or later in the transaction.
    """
    retries, ends = _changes(outcomes)
    await tx.require("retry_delivery", retries)
    await tx.require("end_delivery", ends)


def _changes(outcomes: list[Outcome]) -> tuple[list[tuple[Value, ...]], list[tuple[Value, ...]]]:
    """The parameters for those that are tried again, and for those that ended."""
    retries = [(*_key(o), o.attempt.number, o.at) for o in outcomes if o.state is State.PENDING]
    ends = [
        (*_key(o), o.attempt.number, o.state.value, o.at) for o in outcomes if o.state is not State.PENDING
    ]
    return list(retries), list(ends)


async def written(tx: Transaction, outcomes: list[Outcome]) -> list[Outcome]:
    """Those of the outcomes that were written before, by a commit that nobody was told of."""
    keys = [(*_key(o), o.attempt.number) for o in outcomes]
    found = {tuple(row) for row in await tx.fetch_many("find_attempt", keys)}
    return [o for o in outcomes if (o.message_id, o.attempt.listener_id, o.attempt.at) in found]


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


async def due(
    reader: Reader, org_id: str, listener_id: str, span: tuple[int, int], limit: int, short: int
) -> tuple[list[Owed], int]:
    """A listener's deliveries that became due in a span, the longest due first, and up to when these are all.

    Times are ms, the ends of the span included; data has at most `short` bytes.
    """
    since, now = span
    rows = await reader.fetch("due_deliveries", org_id, listener_id, now, limit, short, since)
    return [Owed(*row[:3]) for row in rows], rows[-1][3] if len(rows) == limit else now


async def next_due(reader: Reader, org_id: str, listener_id: str, after: int) -> int | None:
    """When the listener's next delivery after the time `after` is due, ms; None when there is none."""
    rows = await reader.fetch("next_due", org_id, listener_id, after)
    return rows[0][0] if rows else None


async def hasten(tx: Transaction, org_id: str, listener_id: str, now: int, limit: int) -> int:
    """Make at most `limit` later deliveries due now; answers how many."""
    return len(await tx.fetch("hasten_deliveries", org_id, listener_id, now, limit))


async def discard_of_message(tx: Transaction, org_id: str, message_id: str, now: int) -> list[str]:
    """Discard whatever of a message is pending; answers the ids of the listeners that waited for it."""
    rows = await tx.fetch("discard_of_message", org_id, message_id, now)
    return [listener_id for (listener_id,) in rows]


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
