"""Where facts are committed: one time for each commit, and every fact counted where it is made.

Frequent facts (messages accepted, attempts made) are gathered: what arrives in one turn of the event loop
goes into one transaction, and then all who wait for it are answered.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from postroom.domain.clock import HeldClock
from postroom.domain.errors import Unavailable
from postroom.domain.ids import IdSource
from postroom.domain.listener import Counts
from postroom.domain.usage import Kind, Segment, UsageEvent
from postroom.store import listeners, usage
from postroom.store.database import Database, Transaction

T = TypeVar("T")
Item = TypeVar("Item")

MOST_WAITING = 20_000
MOST_TOGETHER = 1_000
PATIENCE = 0.001  # seconds


class Entry:
    """One commit under way: the transaction, its time `at` in ms, and what it counts."""

    def __init__(self, tx: Transaction, at: int, ids: IdSource) -> None:
        self.tx = tx
        self.at = at
        self.events: list[UsageEvent] = []
        self.counts: dict[tuple[str, str], Counts] = {}
        self.afterwards: list[Callable[[], None]] = []
        self._ids = ids

    def mint(self) -> str:
        """A new id."""
        return self._ids.mint(self.at)

    def event(self, kind: Kind, org_id: str, **subject: str | None) -> None:
        """Count a usage event; `subject` are fields of `UsageEvent`."""
        self.events.append(UsageEvent(org_id, self._ids.mint(self.at), kind, **subject))

    def tally(self, org_id: str, listener_id: str, **added: int) -> None:
        """Add to a listener's counts; `added` are fields of `Counts`."""
        key = org_id, listener_id
        before = self.counts.get(key) or Counts()
        sums = {name: getattr(before, name) + added.get(name, 0) for name in Counts.__struct_fields__}
        self.counts[key] = Counts(**sums)

    def then(self, action: Callable[[], None]) -> None:
        """Do this once the commit is durable."""
        self.afterwards.append(action)


# Writes many items of one sort in a commit; answers a result, or the error, of each.
Write = Callable[[Entry, list[Item]], Awaitable[Sequence[T | Exception]]]


class _Waiting(NamedTuple):
    write: Write[Any, Any]
    item: Any
    future: asyncio.Future[Any]


class Ledger:
    """Commits facts; `series` is the series of running totals that this process writes.

    While it is `alone` in writing them, it knows the newest totals and need not read them.
    """

    def __init__(
        self, database: Database, clock: HeldClock, ids: IdSource, series: int, alone: bool = True
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._series = series
        self._alone = alone
        self._newest: dict[str, Segment] = {}
        self._waiting: list[_Waiting] = []
        self._wake = asyncio.Event()
        self._committed_at = 0.0
        self._closed = False

    def newest(self, org_id: str) -> Segment | None:
        """The totals that this process wrote last for an organization; a new object for each commit."""
        return self._newest.get(org_id)

    async def commit(self, body: Callable[[Entry], Awaitable[T]]) -> T:
        """Run `body` in a transaction of its own, durable when this returns, undone when it raises.

        Raises:
            Unavailable: the database is busy, full or out of reach; nothing was changed.
        """

        async def transaction(tx: Transaction) -> tuple[T, Entry, dict[str, Segment]]:
            entry = Entry(tx, self._clock(), self._ids)
            return await body(entry), entry, await self._count(entry)

        result, entry, segments = await self._database.transaction(transaction)
        self._newest.update(segments)
        for action in entry.afterwards:
            action()
        return result

    async def submit(self, write: Write[Item, T], item: Item, patient: bool = False) -> T:
        """Write `item` together with all that arrives in this turn; answers what `write` answers for it.

        What is `patient` waits up to a millisecond after the last commit for others to share the next one.

        Raises:
            Unavailable: the process is stopping, too much is waiting, or the database does not take it.
        """
        if self._closed:
            raise Unavailable("this process is stopping; try again")
        if len(self._waiting) >= MOST_WAITING:
            raise Unavailable("too many writes are waiting; try again")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.append(_Waiting(write, item, future))
        if patient and loop.time() < self._committed_at + PATIENCE:
            loop.call_at(self._committed_at + PATIENCE, self._wake.set)
        else:
            self._wake.set()
        return await future

    async def run(self) -> None:
        """Commit what is submitted, until `close` was called and nothing waits any more."""
        loop = asyncio.get_running_loop()
        while self._waiting or not self._closed:
            if not self._closed:
                await self._wake.wait()
            self._wake.clear()
            await self._while_more_comes()
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
                await self._commit_together(batch)
            self._committed_at = loop.time()

    async def _while_more_comes(self) -> None:
        """Let the loop turn while each turn brings more: a commit costs as much as reading many requests."""
        seen = 0
        while seen < len(self._waiting) < MOST_TOGETHER:
            seen = len(self._waiting)
            await asyncio.sleep(0)

    def close(self) -> None:
        """Take no more; `run` ends when all that waits is written."""
        self._closed = True
        self._wake.set()

    async def _commit_together(self, batch: list[_Waiting]) -> None:
        groups: defaultdict[Write[Any, Any], list[_Waiting]] = defaultdict(list)
        for waiting in batch:
            groups[waiting.write].append(waiting)

        async def body(entry: Entry) -> list[Any]:
            return [
                result
                for write, group in groups.items()
                for result in await write(entry, [w.item for w in group])
            ]

        try:
            results = await self.commit(body) if batch else []
        except Exception as error:
            await self._after_failure(batch, error)
        else:
            ordered = (waiting for group in groups.values() for waiting in group)
            for waiting, result in zip(ordered, results, strict=True):
                _answer(waiting.future, result)

    async def _after_failure(self, batch: list[_Waiting], error: Exception) -> None:
        """One that spoils the commit must not spoil the others: each is tried alone."""
        if len(batch) == 1 or isinstance(error, Unavailable):
            for waiting in batch:
                _answer(waiting.future, error)
        else:
            for waiting in batch:
                await self._commit_together([waiting])

    async def _count(self, entry: Entry) -> dict[str, Segment]:
        if entry.counts:
            await listeners.add_counts(entry.tx, self._series, entry.counts)
        if not entry.events:
            return {}
        known = self._newest if self._alone else {}
        return await usage.append(entry.tx, self._series, entry.at, entry.events, known)


def _answer(future: asyncio.Future[Any], result: Any) -> None:
    if future.done():  # whoever waited has gone
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
