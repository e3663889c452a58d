"""Which days are known whole: a zero that was counted, told apart from a day that nobody told of."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from postroom.domain.clock import DAY
from postroom.domain.day import Span


class Told(NamedTuple):
    """All that happened from one time to another was told of, ms UTC; `until` is None where it still is."""

    source: str
    since: int
    until: int | None


class Coverage:
    """What was told of each source, and the names of those that are `unfinished`: more of any day may come.

    Of a source without any such record, nothing more is known than the days that it has activity of.
    """

    def __init__(self, told: Iterable[Told], unfinished: Collection[str] = ()) -> None:
        self._unfinished = frozenset(unfinished)
        self._times: defaultdict[str, list[Told]] = defaultdict(list)
        for each in sorted(told, key=lambda one: (one.source, one.since)):
            times = self._times[each.source]
            if times and _reaches(times[-1], each.since):
                times[-1] = _joined(times[-1], each)
            else:
                times.append(each)

    @property
    def sources(self) -> Collection[str]:
        """The names of sources that something was, or is being, told of."""
        return self._times.keys() | self._unfinished

    def complete(self, span: Span, active: Mapping[str, Collection[int]]) -> list[bool]:
        """Whether each day is told whole by any of the sources asked for, which are given with their days."""
        if not self._unfinished.isdisjoint(active):
            return [False] * len(span)
        days: set[int] = set()
        for source, own in active.items():
            if source in self._times:
                days.update(*(_whole_days(each, span) for each in self._times[source]))
            else:
                days.update(own)
        return [day in days for day in span]


def _reaches(told: Told, time: int) -> bool:
    return told.until is None or told.until >= time


def _joined(one: Told, other: Told) -> Told:
    ends = one.until, other.until
    return Told(one.source, one.since, None if None in ends else max(end for end in ends if end is not None))


def _whole_days(told: Told, span: Span) -> range:
    """The days of the span that lie in the time from their first to their last moment."""
    first = -(-told.since // DAY)
    last = span.last if told.until is None else told.until // DAY - 1
    return range(max(first, span.first), min(last, span.last) + 1)
