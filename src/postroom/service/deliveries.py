"""What is owed, and what the attempts to deliver it lead to."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from postroom.domain.clock import Clock
from postroom.domain.delivery import SHORT, Attempt, Outcome, Owed, State
from postroom.domain.listener import EVERY_SLOT, Listener
from postroom.domain.liveness import Liveness
from postroom.domain.retry import Policy, next_due
from postroom.domain.usage import Kind
from postroom.service.ledger import Entry, Ledger
from postroom.service.outbox import Outbox
from postroom.store import deliveries, listeners, messages
from postroom.store.database import Database

GONE = 410
SOME = 500


class Lane(NamedTuple):
    """A listener, and whether its deliveries have to wait."""

    listener: Listener
    liveness: Liveness

    @property
    def open(self) -> bool:
        """Whether it is to be sent to now."""
        return self.listener.status == "enabled" and not self.liveness.holds_deliveries


class Due(NamedTuple):
    """Some deliveries that are due, the longest due first; when the `next` one is that is not due yet.

    All that became due since the time that was asked for, and by `read_to`, are among them. Times are ms.
    """

    some: list[Owed]
    next: int | None
    read_to: int


class Deliveries:
    """Deliveries of all organizations, for whoever delivers; `random` gives 0..1."""

    def __init__(
        self,
        ledger: Ledger,
        database: Database,
        outbox: Outbox,
        clock: Clock,
        policy: Policy,
        random: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._database = database
        self._outbox = outbox
        self._clock = clock
        self._policy = policy
        self._random = random

    async def lanes(self, slots: frozenset[int]) -> list[Lane]:
        """Every listener of these slots; what is known of its liveness is told of the dead ones only."""
        dead = await listeners.lately_dead(self._database)
        if slots == EVERY_SLOT:
            found = await listeners.every(self._database)
        else:
            found = await self._database.transaction(lambda tx: listeners.of_slots(tx, slots))
        return [Lane(each, dead.get((each.org_id, each.id), Liveness())) for each in found]

    async def waiting(self) -> set[tuple[str, str]]:
        """(Organization's id, listener's id) of each listener that is owed something."""
        return await listeners.waiting(self._database.apart)

    async def lane(self, org_id: str, listener_id: str) -> Lane | None:
        """One listener, or None when it is gone."""
        listener = await listeners.find(self._database, org_id, listener_id)
        if listener is None:
            return None
        return Lane(listener, await listeners.liveness(self._database, org_id, listener_id))

    async def due(self, org_id: str, listener_id: str, limit: int, since: int = 0) -> Due:
        """A listener's deliveries that are due now, and became so `since` that time (ms)."""
        key, now = (org_id, listener_id), self._clock()
        some, read_to = await deliveries.due(self._database, *key, (since, now), limit, SHORT)
        return Due(some, await deliveries.next_due(self._database, *key, now), read_to)

    async def data(self, org_id: str, message_id: str) -> bytes | None:
        """What is to be sent; None where the message is gone."""
        return await messages.data_of(self._database, org_id, message_id)

    async def hasten(self, org_id: str, listener_id: str) -> bool:
        """Make deliveries that wait for a later attempt due now, a few at a time; False when none is left."""
        changed = await self._ledger.commit(
            lambda entry: deliveries.hasten(entry.tx, org_id, listener_id, entry.at, SOME)
        )
        return changed == SOME

    def outcome(self, listener: Listener, owed: Owed, attempt: Attempt, retry_after: int | None) -> Outcome:
        """What an attempt leads to; `retry_after` is the wait in ms that the answer asked for."""
        key = listener.org_id, owed.message_id, listener.queue_id, attempt
        ended_at = attempt.at + attempt.duration
        if attempt.acknowledged:
            return Outcome(*key, State.DELIVERED, ended_at)
        due_at = next_due(self._policy, attempt.number, ended_at, retry_after, self._random)
        gone = attempt.status == GONE
        if due_at is None:
            return Outcome(*key, State.FAILED, ended_at, gone)
        return Outcome(*key, State.PENDING, due_at, gone)

    async def settle(self, outcome: Outcome) -> None:
        """Write an attempt and what it leads to, durable when this returns.

        Raises:
            Unavailable: the database does not take it now.
        """
        await self._ledger.submit(self._write, outcome, patient=True)

    async def _write(self, entry: Entry, outcomes: list[Outcome]) -> Sequence[None]:
        key = {(o.org_id, o.queue_id, o.attempt.listener_id) for o in outcomes}
        if entry.trusting:  # that all are still waited for, as most of the time they are
            await listeners.hold(entry.tx, key)
            await deliveries.settle_all(entry.tx, outcomes)
            present = kept = made = outcomes
        else:
            living = await listeners.present(entry.tx, key)
            present = [o for o in outcomes if (o.org_id, o.attempt.listener_id) in living]
            kept = await deliveries.settle(entry.tx, present)
            made = await self._made(entry, outcomes, kept)
        await deliveries.insert_attempts(entry.tx, kept)
        _count(entry, made, kept)
        for o in present:
            if o.listener_gone:
                await self._disable(entry, o.org_id, o.attempt.listener_id)
        return [None] * len(outcomes)

    @staticmethod
    async def _made(entry: Entry, outcomes: list[Outcome], kept: list[Outcome]) -> list[Outcome]:
        """The attempts that were not counted before: a commit whose answer was lost is written again."""
        if len(kept) == len(outcomes):
            return outcomes
        keys = {_key(o) for o in kept}
        left = [o for o in outcomes if _key(o) not in keys]
        before = {_key(o) for o in await deliveries.written(entry.tx, left)}
        return kept + [o for o in left if _key(o) not in before]

    async def _disable(self, entry: Entry, org_id: str, listener_id: str) -> None:
        await listeners.disable(entry.tx, org_id, listener_id)
        entry.then(lambda: self._outbox.changed(org_id, listener_id))


def _key(outcome: Outcome) -> tuple[str, str]:
    return outcome.message_id, outcome.attempt.listener_id


def _count(entry: Entry, outcomes: list[Outcome], kept: list[Outcome]) -> None:
    """Every attempt is a usage event; a listener's counts change unless the delivery was discarded."""
    for o in outcomes:
        kind = Kind.MESSAGE_PUBLISHED_OK if o.attempt.acknowledged else Kind.MESSAGE_PUBLISHED_NOT_OK
        subject = {"queue_id": o.queue_id, "listener_id": o.attempt.listener_id, "message_id": o.message_id}
        entry.event(kind, o.org_id, **subject)
    ended = Counter((o.org_id, o.attempt.listener_id, o.state) for o in kept)
    for (org_id, listener_id, state), count in ended.items():
        if state is State.DELIVERED:
            entry.tally(org_id, listener_id, delivered=count)
        elif state is State.FAILED:
            entry.tally(org_id, listener_id, failed=count)
