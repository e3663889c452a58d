"""Series of running totals, the processes that serve, and the slots they share."""

from collections.abc import Collection, Iterable

from postroom.domain.errors import Unavailable
from postroom.store.database import NotMet, Reader, Transaction

_TRIES = 10


async def hold_series(tx: Transaction, number: int, holder: str, term: int) -> None:
    """Require that the series is still the holder's as it was taken, and stays that until the commit.

    Raises:
        NotMet: it is not; raised here or later in the transaction.
    """
    await tx.require("hold_series", [(number, holder, term)])


async def bump_revision(tx: Transaction, number: int, holder: str, term: int) -> None:
    """The same, and let other processes see that keys, queues or listeners have changed.

    Raises:
        NotMet: the series is not the holder's any more.
    """
    if not await tx.fetch("bump_revision", number, holder, term):
        raise NotMet("bump_revision")


async def take_series(tx: Transaction, holder: str, now: int, until: int) -> tuple[int, int]:
    """A series that nobody else writes, the holder's until the time `until`, ms: its number and term.

    The term is another one each time, so that nothing counts that was sent before and comes late.

    Raises:
        Unavailable: each time, the holder of the one that seemed free has renewed it.
    """
    await tx.fetch("hold_taking")  # else all aim at the same one, and those who lose at the same new one
    for _ in range(_TRIES):
        for query in ("take_series", "add_series"):
            for number, term in await tx.fetch(query, holder, now, until):
                return number, term
    raise Unavailable("no series of totals can be had now; try again")


async def every_series(reader: Reader) -> list[int]:
    """The series of running totals that were ever written."""
    return [number for (number,) in await reader.fetch("list_series")]


async def foreign_revision(reader: Reader, holders: Collection[str]) -> int:
    """A number that changes when anybody but these holders changes keys, queues or listeners."""
    rows = await reader.fetch("list_revisions")
    return sum(revision for holder, revision in rows if holder not in holders)


async def renew_series(tx: Transaction, holders: Collection[str], until: int) -> None:
    """The holders' series are their own until the time `until`, ms."""
    await tx.execute_many("renew_series", [(holder, until) for holder in holders])


async def release_series(tx: Transaction, holders: Collection[str]) -> None:
    """The holders' series are there for others to take."""
    await tx.execute_many("release_series", [(holder,) for holder in holders])


async def renew(tx: Transaction, process: str, until: int) -> None:
    """The process serves until the time `until`, ms; one that was taken for dead has lost its slots."""
    if not await tx.fetch("renew_process", process, until):
        await tx.execute("release_slots", process)
        await tx.execute("add_process", process, until)


async def leave(tx: Transaction, process: str) -> None:
    """The process serves no more, and its slots are there for others to take."""
    await tx.execute("release_slots", process)
    await tx.execute("delete_process", process)


async def living(tx: Transaction, now: int) -> list[str]:
    """The ids of the processes that serve, in order; those whose time has passed are removed."""
    await tx.execute("delete_dead_processes", now)
    return [holder for (holder,) in await tx.fetch("list_processes")]


async def hold_slots(tx: Transaction) -> None:
    """Nobody else takes slots before the commit."""
    await tx.fetch("hold_slots")


async def slots(reader: Reader) -> list[str | None]:
    """Who holds each slot, from 0 on."""
    return [holder for _, holder in await reader.fetch("list_slots")]


async def take_slots(tx: Transaction, wanted: Iterable[tuple[int, str | None]], holder: str) -> set[int]:
    """Those of the `wanted` slots that are still their last holder's, who is given with each."""
    rows = await tx.fetch_many("take_slot", [(slot, holder, last) for slot, last in wanted])
    return {slot for (slot,) in rows}


async def release_slots(tx: Transaction, given: Iterable[int], holder: str) -> None:
    """Let others take them."""
    await tx.execute_many("release_slot", [(slot, holder) for slot in given])
