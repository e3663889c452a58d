"""The part of one process in the work that all processes on a database share."""

from postroom.domain.clock import Clock
from postroom.domain.listener import EVERY_SLOT
from postroom.domain.sharing import leaving, share
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
        self._name = own
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
        await processes.renew(tx, self._name, until)
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
        await self._database.transaction(lambda tx: processes.renew(tx, self._name, until))

    async def give(self, slots: frozenset[int]) -> None:
        """Let others take these slots.

        Raises:
            Unavailable: the database does not take it now.
        """
        await self._database.transaction(lambda tx: processes.release_slots(tx, slots, self.own))

    async def withdraw(self, busy: frozenset[int]) -> None:
        """Take no part any more; let others take all slots but the `busy` ones, which are held for a lease.

        Raises:
            Unavailable: the database does not take it now.
        """
        self._name = leaving(self.own)

        async def body(tx: Transaction) -> None:
            await processes.hold_slots(tx)
            await processes.take_slots(tx, [(slot, self.own) for slot in busy], self._name)
            await processes.release_slots(tx, EVERY_SLOT - busy, self._name)
            await processes.leave(tx, self.own)

        await self._database.transaction(self._stay)
        await self._database.transaction(body)

    async def leave(self) -> None:
        """Give up everything that is still held.

        Raises:
            Unavailable: the database does not take it now; the lease will end by itself.
        """

        async def body(tx: Transaction) -> None:
            for name in (self.own, self._name):
                await processes.leave(tx, name)

        await self._database.transaction(body)
