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

        async def body(tx: Transaction) -> tuple[frozenset[int], frozenset[int]] | None:
            now = self._clock()
            if not await processes.renew(tx, self.own, now + self._lease):
                return None  # nothing is taken before the others can see who takes it
            await processes.renew_series(tx, self._ledger.holders, now + self._lease)
            holders = await processes.slots(tx)  # first: whoever is seen to hold one is then seen to live
            living = await processes.living(tx, now)
            moves = share(holders, living, self.own)
            wanted = [(slot, holders[slot]) for slot in moves.take]
            taken = await processes.take_slots(tx, wanted, self.own)
            held = {slot for slot, holder in enumerate(holders) if holder == self.own}
            return frozenset(held | taken), frozenset(moves.give)

        part = await self._database.transaction(body) or await self._database.transaction(body)
        return part or (frozenset(), frozenset())

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
