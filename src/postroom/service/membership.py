"""The part of one process in the work that all processes on a database share."""

from postroom.domain.clock import Clock
from postroom.domain.sharing import share
from postroom.service.ledger import Ledger
from postroom.store import processes
from postroom.store.database import Database, Transaction


class Membership:
    """The slots of the process `own`, which it holds for `lease` ms at a time."""

    def __init__(self, database: Database, ledger: Ledger, clock: Clock, own: str, lease: int) -> None:
        self._database = database
        self._ledger = ledger
        self._clock = clock
        self.own = own
        self._lease = lease

    async def renew(self) -> tuple[frozenset[int], frozenset[int]]:
        """Stay a member, or become one; the slots that are held now, and those among them to give up.

        Raises:
            Unavailable: the database does not take it now.
        """

        await self._database.transaction(self._stay)
        return await self._database.transaction(self._share)

    async def _stay(self, tx: Transaction) -> None:
        until = self._clock() + self._lease
        await processes.renew(tx, self.own, until)
        await processes.renew_series(tx, self._ledger.holders, until)

    async def _share(self, tx: Transaction) -> tuple[frozenset[int], frozenset[int]]:
        """By itself, because it waits for others: they are to see meanwhile that this process lives."""
        await processes.hold_slots(tx)
        holders = await processes.slots(tx)
        living = await processes.living(tx, self._clock())
        if self.own not in living:  # somebody whose clock is far ahead has taken it for dead
            return frozenset(), frozenset()
        moves = share(holders, living, self.own)
        wanted = [(slot, holders[slot]) for slot in moves.take]
        taken = await processes.take_slots(tx, wanted, self.own)
        held = {slot for slot, holder in enumerate(holders) if holder == self.own}
        return frozenset(held | taken), frozenset(moves.give)

    async def mark_alive(self) -> None:
        """Write that this process serves, which shows that the database can be written.

        Raises:
            Unavailable: it cannot.
        """
        until = self._clock() + self._lease
        await self._database.transaction(lambda tx: processes.renew(tx, self.own, until))

    async def give(self, slots: frozenset[int]) -> None:
        """Let others take these slots.

        Raises:
            Unavailable: the database does not take it now.
        """
        await self._database.transaction(lambda tx: processes.release_slots(tx, slots, self.own))

    async def leave(self) -> None:
        """Give up everything.

        Raises:
            Unavailable: the database does not take it now; the lease will end by itself.
        """

        async def body(tx: Transaction) -> None:
            await processes.leave(tx, self.own)

        await self._database.transaction(body)
