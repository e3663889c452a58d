"""Which listeners are to be probed, and what the probes found."""

from collections.abc import Sequence

import msgspec

from postroom.domain.clock import Clock
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


class Probes:
    """Liveness of the listeners of all organizations."""

    def __init__(self, ledger: Ledger, database: Database, outbox: Outbox, clock: Clock) -> None:
        self._ledger = ledger
        self._database = database
        self._outbox = outbox
        self._clock = clock

    async def every(self) -> list[Probed]:
        """Every listener that is switched on."""
        rows = await listeners.probed(self._database.apart)
        return [Probed(*(*row[:4], bool(row[4]))) for row in rows]

    async def found(self, key: Key, answered: bool) -> None:
        """Write what a probe found.

        Raises:
            Unavailable: the database does not take it now.
        """
        await self._ledger.submit(self._write, (key, answered))

    async def _write(self, entry: Entry, items: list[Found]) -> Sequence[None]:
        for key, answered in items:
            if not await listeners.exists(entry.tx, *key):
                continue
            before = await listeners.liveness(entry.tx, *key)
            after = before.after(answered, self._clock())
            await listeners.write_liveness(entry.tx, *key, after)
            if before.holds_deliveries != after.holds_deliveries:
                self._tell(entry, key)
        return [None] * len(items)

    def _tell(self, entry: Entry, key: Key) -> None:
        entry.then(lambda: self._outbox.changed(*key))
