"""A series of running totals, and the right to write it."""

from typing import NamedTuple

from postroom.domain.usage import Segment
from postroom.store import processes
from postroom.store.database import Transaction


class Hold(NamedTuple):
    """A series that is held, since when, and its newest segments as far as they are known."""

    number: int
    term: int
    newest: dict[str, Segment]


class Series:
    """The series that one writer of this process writes, one commit after another.

    It is taken with the first commit that counts something, as `holder`, for `lease` ms at a time. Each
    commit makes sure that it is still held; where the lease was lost, the commit takes another series, so
    that a process that was stopped for a while writes no totals under somebody else's.
    """

    def __init__(self, holder: str, lease: int) -> None:
        self.holder = holder
        self.taken = 0  # how often one was taken that this writer did not write just before
        self._lease = lease
        self._held: Hold | None = None

    @property
    def held(self) -> bool:
        """Whether there is one."""
        return self._held is not None

    def newest(self, org_id: str) -> Segment | None:
        """The totals written last for an organization; a new object for each commit."""
        return self._held.newest.get(org_id) if self._held else None

    async def hold(self, tx: Transaction, at: int, *, rare: bool) -> Hold:
        """The series to write in this transaction, begun at `at`, ms; `rare` as in `Entry`.

        Raises:
            NotMet: it is not held any more; raised here or later in the transaction.
        """
        hold = self._held or Hold(*await processes.take_series(tx, self.holder, at, at + self._lease), {})
        if rare:
            await processes.bump_revision(tx, hold.number, self.holder, hold.term)
        elif hold is self._held:
            await processes.hold_series(tx, hold.number, self.holder, hold.term)
        return hold

    def committed(self, hold: Hold, written: dict[str, Segment]) -> None:
        """The transaction is durable, with these newest segments."""
        hold.newest.update(written)
        if hold is not self._held:
            self.taken += 1
        self._held = hold

    def doubt(self) -> None:
        """It is not known whether a transaction is durable: take the series anew, which waits for its end."""
        self._held = None
