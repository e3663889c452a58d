"""What each past day looked like: daily totals, what they come to over a range, and what is behind them."""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from postroom.domain.day import Span
from postroom.domain.errors import Invalid
from postroom.domain.metrics import METRICS, Choice, Figures, LeftOut, by_day, figures, left_out, together
from postroom.service.coverage import coverage
from postroom.service.folding import Days, Folding
from postroom.store.database import Database

MOST_NAMED = 20


class Asked(msgspec.Struct, frozen=True):
    """What a question is about; a `source` is named, None is all of them."""

    bots: bool = False
    deleted: bool = True
    source: str | None = None


class Daily(NamedTuple):
    """The figures of each day, and whether they are all there is to tell of it."""

    stamp: object
    figures: list[Figures]
    complete: list[bool]


class Peak(NamedTuple):
    """The most that a day of the range had, and the first day that had it."""

    day: int
    value: int


class Summary(NamedTuple):
    """What a range of days comes to; a peak is None where there was nothing."""

    stamp: object
    figures: Figures
    people_a_day: float
    messages_peak: Peak | None
    people_peak: Peak | None
    complete: bool

    @property
    def stickiness(self) -> float:
        """The share of the range's people who are active on a day, on average."""
        return self.people_a_day / self.figures.people if self.figures.people else 0.0


class Behind(NamedTuple):
    """What is behind one source's part of a number; duplicates are messages, whatever the metric."""

    source: str
    value: int
    left_out: LeftOut
    duplicates: int


class Explanation(NamedTuple):
    """A number, and what is behind it."""

    stamp: object
    value: int
    sources: list[Behind]
    complete: bool


class Totals:
    """Reads what the days come to."""

    def __init__(self, database: Database, folding: Folding) -> None:
        self._database = database
        self._folding = folding

    @property
    def yesterday(self) -> int:
        """The last day that can be asked for."""
        return self._folding.yesterday

    async def stamp(self, org_id: str) -> object:
        """Equal as long as no answer can have changed, but by another day's beginning.

        Raises:
            Unavailable: the database cannot be read.
        """
        return await self._folding.stamp(org_id, self.yesterday)

    async def daily(self, org_id: str, span: Span, asked: Asked) -> Daily:
        """The totals of each day.

        Raises:
            Invalid: there is no such source.
            Unavailable: the database cannot be read or written.
        """
        found, choice, complete = await self._found(org_id, span, asked)
        return Daily(found.stamp, await asyncio.to_thread(by_day, found.cells, span, choice), complete)

    async def summary(self, org_id: str, span: Span, asked: Asked) -> Summary:
        """What the days come to together.

        Raises:
            Invalid: there is no such source.
            Unavailable: the database cannot be read or written.
        """
        found, choice, complete = await self._found(org_id, span, asked)
        return await asyncio.to_thread(_summary, found, span, choice, all(complete))

    async def explain(self, org_id: str, day: int, metric: str, asked: Asked) -> Explanation:
        """What is behind a metric of a day.

        Raises:
            Invalid: there is no such metric, or no such source.
            Unavailable: the database cannot be read or written.
        """
        if metric not in METRICS:
            raise Invalid("metric", f"{metric!r} is none; there are {', '.join(METRICS)}")
        found, choice, complete = await self._found(org_id, Span(day, day), asked)
        return _explanation(found, day, metric, choice, all(complete))

    async def _found(self, org_id: str, span: Span, asked: Asked) -> tuple[Days, Choice, list[bool]]:
        found = await self._folding.days(org_id, span.first, span.last)
        told = await coverage(self._database, org_id)  # after the days: it may know more than their stamp
        names = {*found.sources.values(), *told.sources}
        if asked.source is not None:
            names = {_known(asked.source, names)}
        numbers = frozenset(number for number, name in found.sources.items() if name in names)
        choice = Choice(asked.bots, asked.deleted, None if asked.source is None else numbers)
        return found, choice, await asyncio.to_thread(told.complete, span, _active(found, names))


def _known(name: str, names: set[str]) -> str:
    if name not in names:
        raise Invalid("source", f"there is none named {name!r}; {_listed(sorted(names))}")
    return name


def _active(found: Days, names: Iterable[str]) -> dict[str, set[int]]:
    """The days that each of the sources has activity of."""
    active: dict[str, set[int]] = {name: set() for name in names}
    for cell in found.cells:
        name = found.sources[cell.source]
        if name in active:
            active[name].add(cell.day)
    return active


def _listed(names: list[str]) -> str:
    if not names:
        return "no activity has come from any source yet"
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"there are {', '.join(names[:MOST_NAMED])}{more}"


def _summary(found: Days, span: Span, choice: Choice, complete: bool) -> Summary:
    all_days = together(found.cells, span, choice)
    return Summary(
        found.stamp,
        all_days.figures,
        sum(all_days.people) / len(span),
        _peak(span, all_days.messages),
        _peak(span, all_days.people),
        complete,
    )


def _peak(span: Span, values: list[int]) -> Peak | None:
    most = max(values)
    return Peak(span.first + values.index(most), most) if most else None


def _explanation(found: Days, day: int, metric: str, choice: Choice, complete: bool) -> Explanation:
    reads = METRICS[metric]
    behind = []
    for number, name in sorted(found.sources.items(), key=lambda item: item[1]):
        cells = [cell for cell in found.cells if cell.source == number]
        duplicates = found.duplicates.get((day, number), 0)
        if choice.is_about(number) and (cells or duplicates):
            value = reads(figures([cell for cell in cells if choice.counts(cell)]))
            behind.append(Behind(name, value, left_out(cells, reads, choice), duplicates))
    return Explanation(found.stamp, sum(each.value for each in behind), behind, complete)
