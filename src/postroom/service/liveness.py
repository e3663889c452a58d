"""Which listeners are to be probed, and what the probes found."""

from collections.abc import Sequence

import msgspec

from postroom.domain.clock import Clock
from postroom.domain.listener import Listener
from postroom.domain.liveness import Liveness
from postroom.service.ledger import Entry, Ledger
from postroom.service.outbox import Outbox
from postroom.store import listeners
from postroom.store.database import Database

Key = tuple[str, str]
Found = tuple[Key, bool]


class Probed(msgspec.Struct, frozen=True):
    """A listener as the prober sees it: `busy` while something is pending or has failed."""

    org_id: str
    listener_id: str
    liveness_url: str
    checked_at: int | None
    busy: bool

    @property
    def key(self) -> Key:
        """The organization's and the listener's id."""
        return self.org_id, self.listener_id


def _probed(listener: Listener, found: Liveness, unfinished: set[Key]) -> Probed:
    key = listener.org_id, listener.id
    busy = "0" in found.recent or key in unfinished
    return Probed(*key, listener.liveness_url, found.checked_at, busy)


class Probes:
    """Liveness of the listeners of all organizations."""

    def __init__(self, ledger: Ledger, database: Database, outbox: Outbox, clock: Clock) -> None:
        self._ledger = ledger
        self._database = database
        self._outbox = outbox
        self._clock = clock

    async def every(self) -> list[Probed]:
        """Every listener that is switched on."""
        known = await listeners.every_liveness(self._database.apart)
        unfinished = await listeners.unfinished(self._database.apart)
        return [
            _probed(listener, known.get((listener.org_id, listener.id), Liveness()), unfinished)
            for listener in await listeners.every(self._database.apart)
            if listener.status == "enabled"
        ]

    async def found(self, key: Key, answered: bool) -> None:
        """Write what a probe found.

        Raises:
            Unavailable: the database does not take it now.
        """
        await self._ledger.submit(self._write, (key, answered))

    async def _write(self, entry: Entry, items: list[Found]) -> Sequence[None]:
        for key, answered in items:
            listener = await listeners.find(entry.tx, *key)
            if not listener or not await listeners.present(entry.tx, [(key[0], listener.queue_id, key[1])]):
                continue
            before = await listeners.liveness(entry.tx, *key)
            after = before.after(answered, self._clock())
            await listeners.write_liveness(entry.tx, *key, after)
            if before.holds_deliveries != after.holds_deliveries:
                self._tell(entry, key)
        return [None] * len(items)

    def _tell(self, entry: Entry, key: Key) -> None:
        entry.then(lambda: self._outbox.changed(*key))
