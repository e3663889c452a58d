"""What was told of each source, as far as there are records of it."""

from collections.abc import Iterator

from postroom.domain.clock import DAY
from postroom.domain.coverage import Coverage, Told
from postroom.store import imports, live_sources
from postroom.store.database import Reader
from postroom.store.imports import Brought


async def coverage(reader: Reader, org_id: str) -> Coverage:
    """The times during which live sources took events in, and those that finished imports are of.

    Raises:
        Unavailable: the database cannot be read.
    """
    brought = await imports.of(reader, org_id)
    told = [Told(*period) for period in await live_sources.periods(reader, org_id)]
    return Coverage([*told, *_told(brought)], _unfinished(brought))


def _unfinished(brought: list[Brought]) -> set[str]:
    """Sources that an import is not through with; one that was given up ends when a later one is through."""
    last: dict[str, int] = {}
    for each in brought:
        if each.finished_at is not None:
            last[each.source] = max(each.started_at, last.get(each.source, 0))
    return {
        each.source
        for each in brought
        if each.finished_at is None and each.started_at >= last.get(each.source, 0)
    }


def _told(brought: list[Brought]) -> Iterator[Told]:
    for each in brought:
        if each.first_day is not None and each.last_day is not None:
            # An export cannot tell what was to come after it.
            until = min((each.last_day + 1) * DAY, each.started_at)
            yield Told(each.source, each.first_day * DAY, until)
