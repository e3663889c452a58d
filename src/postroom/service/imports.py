"""Imports: takes in an export, as far as that was not done before, and folds its days."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from postroom.domain.activity import Damaged
from postroom.domain.clock import Clock
from postroom.domain.facts import Keyed, Taken
from postroom.domain.ids import IdSource
from postroom.domain.imports import State, Summary
from postroom.service.exports import Export
from postroom.service.folding import FOLDED_TOGETHER, Folding
from postroom.service.intake import Intake
from postroom.sources.frames import Batch, Identity
from postroom.store import days, imports
from postroom.store.database import Database, Transaction
from postroom.store.imports import Begun

T = TypeVar("T")


class Watcher(Protocol):
    """Is told how far an import is, and may end it."""

    def damaged(self, each: Damaged) -> None:
        """This could not be read; nor could it be before, where the import goes on from there."""

    def reached(self, records: int) -> None:
        """So many records of the export are taken in by now."""

    def folded(self, steps: int, of: int) -> None:
        """All are; so many steps of folding days are done."""

    def stopped(self) -> bool:
        """Whether to end here; the same import goes on from here another time."""


class _Run(NamedTuple):
    begun: Begun
    state: State


class Imports:
    """Takes exports in. While something is `beside`, the database is left alone half of the time."""

    def __init__(self, database: Database, intake: Intake, folding: Folding, clock: Clock) -> None:
        self._database = database
        self._intake = intake
        self._folding = folding
        self._clock = clock
        self._ids = IdSource()

    async def run(
        self, org_id: str, export: Export, watcher: Watcher, beside: Callable[[], bool] = lambda: False
    ) -> Summary | None:
        """Take in what is new of an export; None where the watcher stopped it.

        Raises:
            Invalid: the organization would get too many sources.
            Unavailable: the database does not take it now; what was taken in stays.
        """
        run = await self._begin(org_id, export.identity)
        resumed_at = run.state.records
        export.begin(await self._intake.secret(org_id), run.state.activities, run.state.marks)
        pace = _Pace(beside)
        state = await self._take_all(run, export, watcher, pace)
        if watcher.stopped() or not await self._fold(org_id, _span(export, state), watcher, pace):
            return None
        await self._finish(org_id, export)
        return _summary(export, state, resumed_at)

    async def _begin(self, org_id: str, identity: Identity) -> _Run:
        """A new import, or what is left of one that was interrupted; from now on it is this process's."""
        runner, new, at = secrets.token_hex(8), self._ids.mint(self._clock()), self._clock()

        async def body(tx: Transaction) -> _Run:
            await days.note_change(tx, org_id)  # until it is finished, days are not known to be complete
            found = await imports.find(tx, org_id, identity.fingerprint)
            if found is None:
                begun = Begun(org_id, new, runner)
                await imports.insert(tx, begun, identity, at, _json(State()))
                return _Run(begun, State())
            begun = Begun(org_id, found[0], runner)
            await imports.claim(tx, begun)
            return _Run(begun, msgspec.json.decode(found[1], type=State))

        return await self._database.transaction(body)

    async def _take_all(self, run: _Run, export: Export, watcher: Watcher, pace: "_Pace") -> State:
        """Take in what the run has not taken in before, until the end or until it is stopped."""
        async with aclosing(_batches(export)) as batches:
            async for batch in batches:
                for each in batch.damaged:
                    watcher.damaged(each)
                if batch.keyed.count:
                    run = await pace.keep(self._take(run, batch.keyed))
                watcher.reached(run.state.records)
                if watcher.stopped():
                    break
        return run.state

    async def _take(self, run: _Run, keyed: Keyed) -> _Run:
        """Take some records in, and keep in the same commit how far the run is."""

        async def also(tx: Transaction, taken: Taken) -> None:
            reached = run.state.after(keyed, taken)
            await imports.keep(tx, run.begun, reached.records, _json(reached))

        taken = await self._intake.keep(run.begun.org_id, keyed, also)
        return run._replace(state=run.state.after(keyed, taken))

    async def _fold(self, org_id: str, span: range, watcher: Watcher, pace: "_Pace") -> bool:
        """Fold the days that are over; False where it was stopped before the last one."""
        end = min(span.stop, self._folding.yesterday + 1)
        steps = range(span.start, end, FOLDED_TOGETHER)
        for number, start in enumerate(steps):
            watcher.folded(number, len(steps))
            if watcher.stopped():
                return False
            await pace.keep(self._folding.fold(org_id, start, min(start + FOLDED_TOGETHER, end) - 1))
        watcher.folded(len(steps), len(steps))
        return True

    async def _finish(self, org_id: str, export: Export) -> None:
        async def body(tx: Transaction) -> None:
            span = export.counted.first_day, export.counted.last_day
            await imports.finish(tx, org_id, export.identity.fingerprint, self._clock(), span)
            await days.note_change(tx, org_id)

        await self._database.transaction(body)


class _Pace:
    """While something is beside, leaves the database to it for as long as it was kept from it."""

    def __init__(self, beside: Callable[[], bool]) -> None:
        self._beside = beside

    async def keep(self, work: Awaitable[T]) -> T:
        """What the work answers."""
        begin = time.monotonic()
        result = await work
        if self._beside():
            await asyncio.sleep(time.monotonic() - begin)
        return result


async def _batches(export: Export) -> AsyncGenerator[Batch]:
    """All that is to be taken in. While a batch is, a thread waits for the next one."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, thread_name_prefix="postroom-import") as thread:
        coming = loop.run_in_executor(thread, export.some)
        try:
            while (batch := await coming) is not None:
                coming = loop.run_in_executor(thread, export.some)
                yield batch
        finally:
            coming.cancel()  # nobody asks any more what became of it


def _span(export: Export, state: State) -> range:
    """From the first to the last day on which an answer may have changed."""
    ends = [day for day in (export.counted.first_day, export.counted.last_day) if day is not None]
    changed = [*state.days, *ends]
    return range(min(changed), max(changed) + 1) if changed else range(0)


def _summary(export: Export, state: State, resumed_at: int) -> Summary:
    counted = export.counted
    return Summary(
        resumed_at=resumed_at,
        messages=state.messages,
        duplicates=state.duplicates,
        deletions=state.deletions,
        skipped=counted.skipped,
        damaged=counted.damaged,
        days=len(state.days),
        by_bots=counted.by_bots,
        by_platform=counted.by_platform,
        files=counted.files,
        file_bytes=counted.file_bytes,
        first_day=counted.first_day,
        last_day=counted.last_day,
    )


def _json(state: State) -> str:
    return msgspec.json.encode(state).decode()
