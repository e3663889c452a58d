"""Whom messages go to, kept in memory with the version of the queue that it is true of."""

from collections.abc import Iterable

from postroom.service.ledger import Entry
from postroom.store import listeners
from postroom.store.listeners import Recipients

MOST_KEPT = 10_000

QueueKey = tuple[str, str]
"""An organization's id and a queue's."""


class RecipientsMemory:
    """Asks the database for what is not known; of what is, a commit requires that it still is so."""

    def __init__(self) -> None:
        self._known: dict[QueueKey, Recipients] = {}

    async def of(self, entry: Entry, queues: Iterable[QueueKey]) -> dict[QueueKey, list[str]]:
        """The ids of the listeners of those queues that there are; they stay the same until the commit.

        Raises:
            NotMet: what is known is not true any more; raised here or later in the transaction.
        """
        asked = set(queues)
        known = {key: self._known[key] for key in asked & self._known.keys()} if entry.trusting else {}
        await listeners.hold_recipients(entry.tx, known)
        if unknown := asked - known.keys():
            known |= await self._look_up(entry, unknown)
        return {key: recipients.listener_ids for key, recipients in known.items()}

    async def _look_up(self, entry: Entry, queues: set[QueueKey]) -> dict[QueueKey, Recipients]:
        found = await listeners.recipients(entry.tx, queues)
        for key in queues - found.keys():
            self._known.pop(key, None)
        if len(self._known) + len(found) > MOST_KEPT:
            self._known.clear()
        self._known |= found
        return found
