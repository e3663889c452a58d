"""Moves everything from one database to another, so that the second one takes the first one's place.

The source is held as it is for as long as the copy runs, but not between two runs. So a copy that goes on
after an interruption first compares, row by row, what came to the target before with what the source has now.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import NamedTuple, Protocol

import msgspec

from postroom.domain.clock import SECOND, Clock
from postroom.domain.database import without_password
from postroom.domain.errors import NotFound, StoreError, Unavailable
from postroom.service.audit import Audit, Difference
from postroom.store import copies, drivers, steps
from postroom.store.copying import PIECE, TABLES, Piece, Table, Tables, open_tables
from postroom.store.database import Database, Row

_CONNECTIONS = 2


class Progress(Protocol):
    """Is told how far a copy is."""

    def begin(self, totals: dict[str, int]) -> None:
        """The tables in their order, and how many rows each has."""

    def reached(self, table: str, rows: int) -> None:
        """So many rows of a table are in the target by now."""


class Verification(msgspec.Struct, frozen=True):
    """The numbers of rows in source and target, and what an audit of each found."""

    rows: dict[str, tuple[int, int]]
    source: list[Difference]
    target: list[Difference]

    @property
    def unequal(self) -> dict[str, tuple[int, int]]:
        """The tables whose numbers of rows differ."""
        return {name: numbers for name, numbers in self.rows.items() if len(set(numbers)) > 1}

    @property
    def alike(self) -> bool:
        """Whether the target is as the source is, be that good or not."""
        return not self.unequal and self.source == self.target

    @property
    def good(self) -> bool:
        """Whether every count is right, too."""
        return self.alike and not self.source


class Side(NamedTuple):
    """One of the two databases; `name` is its address as it may be shown."""

    name: str
    tables: Tables
    database: Database


class Copy:
    """A copy under way, of a source that nobody changes into a target that nobody else uses."""

    def __init__(self, source: Side, target: Side, clock: Clock, piece: Piece) -> None:
        self._source = source
        self._target = target
        self._clock = clock
        self._piece = piece
        self._totals: dict[str, int] = {}

    async def move(self, progress: Progress) -> None:
        """Bring every row to the target that is not there by now.

        Raises:
            StoreError: what is there is not what the source has.
            Unavailable: one of the databases is full or out of reach; copying again goes on from there.
        """
        self._totals = {name: await self._source.tables.count(name) for name in TABLES}
        progress.begin(self._totals)
        for name in TABLES:
            table = await self._source.tables.table(name)
            rows = 0
            progress.reached(name, rows)
            async for more in self._pieces(table):
                rows += more
                progress.reached(name, rows)
                await asyncio.sleep(0)  # embedded databases alone would never let Ctrl-C in

    async def verify(self) -> Verification:
        """Hold both sides against each other; when they are alike the target may be used.

        Raises:
            StoreError: a server uses the target already.
            Unavailable: one of the databases is out of reach.
        """
        await self._target.tables.settle()
        there = {name: await self._target.tables.count(name) for name in TABLES}
        # The same moment on both sides, as their audits look back from it.
        now = await self._source.database.now()
        audits = [
            await Audit(side.database, lambda: now).differences() for side in (self._source, self._target)
        ]
        found = Verification({name: (self._totals[name], there[name]) for name in TABLES}, *audits)
        await refuse_served(self._target)
        if found.alike:
            await self._target.database.transaction(
                lambda tx: copies.finish(tx, self._source.name, self._clock())
            )
        return found

    async def _pieces(self, table: Table) -> AsyncIterator[int]:
        """The number of rows in each piece that came before, and then in each that comes now."""
        piece = table.piece(self._piece)
        last: Row | None = None
        while there := await self._target.tables.some(table, last, piece):
            ours = await self._source.tables.some(table, last, piece)
            same = min(len(there), len(ours))
            if not same or there[:same] != ours[:same]:
                raise self._changed(table)
            last = table.key_of(there[same - 1])
            yield same
        while rows := await self._source.tables.some(table, last, piece):
            await self._target.tables.add(table, rows)
            last = table.key_of(rows[-1])
            yield len(rows)

    def _changed(self, table: Table) -> StoreError:
        source, target = self._source.name, self._target.name
        return StoreError(
            f"{source} was changed since its copy into {target} began (table {table.name}):"
            " that copy cannot go on; begin another one, into an empty database"
        )


@asynccontextmanager
async def opened(source: str, target: str, clock: Clock, piece: Piece = PIECE) -> AsyncIterator[Copy]:
    """A copy between the databases at two addresses, ready to begin or to go on; both are held.

    Raises:
        NotFound: there is no source.
        StoreError: one of them cannot be used for this.
        Unavailable: one of them is busy, full or out of reach.
    """
    source, target = _settled(source), _settled(target)
    async with AsyncExitStack() as stack:
        with _about(_name(source)):
            theirs = await _source(stack, source)
        with _about(_name(target)):
            ours = await _target(stack, target, theirs, clock)
            await _begin(theirs, ours, clock)
        yield Copy(theirs, ours, clock, piece)


@contextmanager
def _about(name: str) -> Iterator[None]:
    """Where it is not said yet, says which of the two databases an error is about."""
    try:
        yield
    except (StoreError, Unavailable) as error:
        if name in error.detail:
            raise
        raise type(error)(f"{name}: {error.detail}") from error


async def _source(stack: AsyncExitStack, address: str) -> Side:
    name = _name(address)
    if (file := drivers.file_of(address)) and not file.exists():
        raise NotFound(f"there is nothing of Postroom in {name}")
    tables = await open_tables(address)
    stack.push_async_callback(tables.close)
    _check_schema(name, await tables.schema())
    side = await _side(stack, name, address, tables)  # a server is seen before it has to wait for a lock
    await tables.freeze()
    _check_schema(name, await tables.schema())  # another version, or a server, may have come meanwhile
    await refuse_served(side)
    for other in await copies.unfinished(side.database):
        raise StoreError(f"{name} is itself a copy of {other} that is not finished; finish that one first")
    return side


async def _target(stack: AsyncExitStack, address: str, source: Side, clock: Clock) -> Side:
    name = _name(address)
    tables = await open_tables(address)
    stack.push_async_callback(tables.close)
    if await tables.identity() == await source.tables.identity():
        raise StoreError(f"{source.name} and {name} are the same database; give two")
    await tables.claim()
    if newest := await tables.schema():
        _check_schema(name, newest)
    await drivers.migrate(address, clock)
    return await _side(stack, name, address, tables)


async def _side(stack: AsyncExitStack, name: str, address: str, tables: Tables) -> Side:
    database = await drivers.open_database(address, _CONNECTIONS)
    stack.push_async_callback(database.close)
    side = Side(name, tables, database)
    await refuse_served(side)
    return side


async def refuse_served(side: Side) -> None:
    """Pass where no server is at work; of an embedded database, its lock tells that.

    Raises:
        StoreError: one is, or was killed a few seconds ago.
    """
    if side.database.channel is None:
        return
    now = await side.database.now()
    leases = await copies.serving(side.database, now)
    if leases:
        seconds = (max(leases) - now) // SECOND + 1
        raise StoreError(
            f"{side.name} is being served; stop every server on it first (one that was killed counts for"
            f" {seconds} more seconds)"
        )


async def _begin(source: Side, target: Side, clock: Clock) -> None:
    """Make the target the source's, unless it is that already."""
    under_way = await copies.unfinished(target.database)
    if under_way == [source.name]:
        return
    for other in under_way:
        raise StoreError(
            f"{target.name} has a part of {other}; copy that one again to finish it,"
            " or give an empty database"
        )
    for name in TABLES:
        if await target.tables.count(name):
            raise StoreError(f"{target.name} is not empty; give a database that is")
    await target.database.transaction(partial(copies.begin, source=source.name, at=clock()))


def _check_schema(name: str, newest: int) -> None:
    known = len(steps.known())
    if newest == 0:
        raise NotFound(f"there is nothing of Postroom in {name}")
    if newest < known:
        raise StoreError(f"{name} is of an older version; bring it up to date with postroom migrate first")
    if newest > known:
        raise StoreError(f"{name} is of a newer version (schema {newest}, this one knows {known}); use that")


def _settled(address: str) -> str:
    """The address with a file's whole path; what is not there and is not called .db is a data directory."""
    file = drivers.file_of(address)
    if file is None:
        return address
    if not file.exists() and file.suffix != ".db":
        file = file / "postroom.db"
    return f"{drivers.SQLITE}{file.resolve()}"


def _name(address: str) -> str:
    """The address without user and password: so it is shown, and known again."""
    scheme, separator, rest = without_password(address).partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
