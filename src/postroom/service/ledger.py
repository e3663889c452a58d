"""Where facts are committed: one time for each commit, and every fact counted where it is made.

Frequent facts (messages accepted, attempts made) are gathered: what arrives in one turn of the event loop
goes into one transaction, and then all who wait for it are answered. Each flusher writes a series of running
totals of its own, so that flushers, of this process or of others, never wait for one another.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from postroom.domain.clock import HeldClock
from postroom.domain.errors import PostroomError, Unavailable
from postroom.domain.ids import IdSource, IdSources
from postroom.domain.listener import Counts
from postroom.domain.usage import Kind, Segment, UsageEvent
from postroom.service.series import Hold, Series
from postroom.service.waiting import Waiting, WaitingRoom, answer
from postroom.store import listeners, processes, usage
from postroom.store.database import Database, NotMet, Transaction

T = TypeVar("T")
Item = TypeVar("Item")

TURN_WITHIN = 5.0  # seconds
TURNS = 3


class Entry:
    """One commit under way: the transaction, its time `at` in ms, and what it counts.

    One that is not `trusting` is to ask the database for what else is taken from memory.
    """

    def __init__(self, tx: Transaction, at: int, ids: IdSource, *, trusting: bool) -> None:
        self.tx = tx
        self.at = at
        self.trusting = trusting
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

    @property
    def rare(self) -> bool:
        """Whether keys, queues or listeners change, which other processes have in memory."""
        return any(event.kind < Kind.MESSAGE_ADDED for event in self.events)

    def then(self, action: Callable[[], None]) -> None:
        """Do this once the commit is durable."""
        self.afterwards.append(action)


# Writes many items of one sort in a commit; answers a result, or the error, of each.
Write = Callable[[Entry, list[Item]], Awaitable[Sequence[T | Exception]]]


class Committed(NamedTuple):
    """What a transaction that is durable has counted."""

    entry: Entry
    hold: Hold | None
    segments: dict[str, Segment]


class Writer:
    """Commits one transaction after another, and counts what they tell in a series of its own."""

    def __init__(self, database: Database, clock: HeldClock, ids: IdSources, series: Series) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self.series = series
        self._turn = asyncio.Lock()

    async def commit(self, body: Callable[[Entry], Awaitable[T]], *, at_once: bool = False) -> T:
        """As `Ledger.commit`; what is done `at_once` trusts what is in memory first."""
        if self._turn.locked():
            await self._wait_for_turn()
        else:
            await self._turn.acquire()
        try:
            result, done = await self._run(body, at_once)
            if done.hold:
                self.series.committed(done.hold, done.segments)
        finally:
            self._turn.release()
        for action in done.entry.afterwards:
            action()
        return result

    async def _wait_for_turn(self) -> None:
        """Where one commit takes long, those behind it are not to wait as long again, one after the other."""
        try:
            async with asyncio.timeout(TURN_WITHIN):
                await self._turn.acquire()
        except TimeoutError as error:
            raise Unavailable("other writes take long; try again") from error

    async def _run(self, body: Callable[[Entry], Awaitable[T]], at_once: bool) -> tuple[T, Committed]:
        async def transaction(tx: Transaction) -> tuple[T, Committed]:
            at = self._clock()
            entry = Entry(tx, at, self._ids.of(at), trusting=at_once)
            return await body(entry), await self._count(entry)

        try:
            return await self._database.transaction(transaction, at_once=at_once)
        except usage.Behind as behind:
            self._clock.hold(behind.last + 1)
            return await self._run(body, at_once)
        except NotMet:
            self.series.doubt()
            return await self._run(body, at_once=False)
        except BaseException as error:
            if not isinstance(error, PostroomError) or isinstance(error, Unavailable):
                self.series.doubt()
            raise

    async def _count(self, entry: Entry) -> Committed:
        if not entry.counts and not entry.events:
            return Committed(entry, None, {})
        hold = await self.series.hold(entry.tx, entry.at, rare=entry.rare)
        if entry.counts:
            await listeners.add_counts(entry.tx, hold.number, entry.counts)
        segments = await usage.append(entry.tx, hold.number, entry.at, entry.events, hold.newest)
        return Committed(entry, hold, segments)


class Ledger:
    """Commits facts, as `holder` of the series of running totals that it writes; `lease` is in ms.

    A database that takes one transaction at a time is given one writer, any other one for each of its
    `flushers` and one for all that is not gathered.
    """

    def __init__(
        self, database: Database, clock: HeldClock, ids: IdSources, holder: str, lease: int, flushers: int
    ) -> None:
        self._database = database
        several = flushers if database.channel is None else flushers + 1
        series = [Series(f"{holder}.{number}", lease) for number in range(several)]
        self._writers = [Writer(database, clock, ids, each) for each in series]
        self._flushers = flushers
        # A single one holds up the loop, and meanwhile all come who are to come.
        self._room = WaitingRoom(TURNS if flushers > 1 else 0)

    @property
    def holders(self) -> list[str]:
        """The names under which this process holds series."""
        return [writer.series.holder for writer in self._writers]

    @property
    def taken(self) -> int:
        """How often this process has taken a series, and what others had counted in it."""
        return sum(writer.series.taken for writer in self._writers)

    def newest(self, org_id: str) -> Segment | None:
        """The totals that this process wrote last for an organization; a new object for each commit."""
        return self._writers[0].series.newest(org_id)

    async def commit(self, body: Callable[[Entry], Awaitable[T]]) -> T:
        """Run `body` in a transaction of its own, durable when this returns, undone when it raises.

        It may be run more than once, each time from its start.

        Raises:
            Unavailable: the database is busy, full or out of reach; nothing was changed.
        """
        return await self._writers[-1].commit(body)

    async def submit(self, write: Write[Item, T], item: Item, patient: bool = False) -> T:
        """Write `item` together with all that arrives in this turn; answers what `write` answers for it.

        What is `patient` waits up to a millisecond after the last commit for others to share the next one.

        Raises:
            Unavailable: the process is stopping, too much is waiting, or the database does not take it.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._room.enter(Waiting(write, item, future, patient))
        return await future

    async def run(self) -> None:
        """Commit what is submitted, until `close` was called and nothing waits any more."""
        async with asyncio.TaskGroup() as tasks:
            for writer in self._writers[: self._flushers]:
                tasks.create_task(self._flush(writer))

    async def _flush(self, writer: Writer) -> None:
        while batch := await self._room.next():
            await self._commit_together(writer, batch)
            self._room.committed()

    async def leave(self) -> None:
        """Let others write the series that were written here.

        Raises:
            Unavailable: the database does not take it now.
        """
        held = [writer.series.holder for writer in self._writers if writer.series.held]
        if held:
            await self._database.transaction(lambda tx: processes.release_series(tx, held))

    def close(self) -> None:
        """Take no more; `run` ends when all that waits is written."""
        self._room.close()

    async def _commit_together(self, writer: Writer, batch: list[Waiting]) -> None:
        groups: defaultdict[Write[Any, Any], list[Waiting]] = defaultdict(list)
        for waiting in batch:
            groups[waiting.write].append(waiting)

        async def body(entry: Entry) -> list[Any]:
            return [
                result
                for write, group in groups.items()
                for result in await write(entry, [w.item for w in group])
            ]

        try:
            results = await writer.commit(body, at_once=True)
        except Exception as error:
            await self._after_failure(writer, batch, error)
        else:
            ordered = (waiting for group in groups.values() for waiting in group)
            for waiting, result in zip(ordered, results, strict=True):
                answer(waiting.future, result)

    async def _after_failure(self, writer: Writer, batch: list[Waiting], error: Exception) -> None:
        """One that spoils the commit must not spoil the others: each is tried alone."""
        if len(batch) == 1 or isinstance(error, Unavailable):
            for waiting in batch:
                answer(waiting.future, error)
        else:
            for waiting in batch:
                await self._commit_together(writer, [waiting])
