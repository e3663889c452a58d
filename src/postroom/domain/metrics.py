"""What daily totals show: each metric, by its documented name, and how it comes of a day's cells."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from operator import attrgetter
from types import MappingProxyType
from typing import NamedTuple

import msgspec
from pyroaring import BitMap

from postroom.domain.day import Span
from postroom.domain.totals import Cell, Counts, Part, Sender, added, united


class Choice(msgspec.Struct, frozen=True):
    """Which activity is counted: of people always, of bots and what was deleted later as one likes.

    `sources` are the numbers of those that are asked for; None is all of them. What a platform says itself is
    never counted.
    """

    bots: bool = False
    deleted: bool = True
    sources: frozenset[int] | None = None

    def counts(self, cell: Cell) -> bool:
        """Whether the cell is counted."""
        return self.is_about(cell.source) and self.includes(cell.part)

    def is_about(self, source: int) -> bool:
        """Whether the source with this number is asked for."""
        return self.sources is None or source in self.sources

    def includes(self, part: Part) -> bool:
        """Whether activity of this part is counted."""
        wanted = part.sender is Sender.PERSON or (self.bots and part.sender is Sender.BOT)
        return wanted and (self.deleted or not part.deleted)


class Figures(NamedTuple):
    """What some cells come to together: their counts, and how many different people and spaces they name."""

    counts: Counts = Counts()
    people: int = 0
    spaces: int = 0
    groups: int = 0
    directs: int = 0


NOTHING = Figures()

METRICS: Mapping[str, Callable[[Figures], int]] = MappingProxyType(
    {
        "dailyActiveUsers": attrgetter("people"),
        "totalMessagesSent": attrgetter("counts.messages"),
        "deskTopMessagesSent": attrgetter("counts.desktop"),
        "mobileMessagesSent": attrgetter("counts.mobile"),
        "totalActiveSpaces": attrgetter("spaces"),
        "groupActiveSpaces": attrgetter("groups"),
        "one2oneActiveSpaces": attrgetter("directs"),
        "video": attrgetter("counts.video"),
        "sharing.totalFilesShared": attrgetter("counts.files"),
        "sharing.fileShareSize": attrgetter("counts.file_bytes"),
        "recording": attrgetter("counts.recording"),
        "audio": attrgetter("counts.audio"),
        # Those that follow are Postroom's own.
        "otherClientMessagesSent": attrgetter("counts.other"),
        "unknownClientMessagesSent": attrgetter("counts.unknown"),
        "sharing.filesOfUnknownSize": attrgetter("counts.files_of_unknown_size"),
    }
)
"""The documented names, in the documented order; what stands before a dot is the object that has it."""


def figures(cells: Sequence[Cell]) -> Figures:
    """What the cells come to together."""
    return _figures(cells, united(cell.people for cell in cells))


def by_day(cells: Iterable[Cell], span: Span, choice: Choice) -> list[Figures]:
    """The figures of each day; nothing where nothing was counted."""
    days = _counted(cells, choice)
    return [figures(days[day]) if day in days else NOTHING for day in span]


class Range(NamedTuple):
    """The figures of all days together, and messages and people of each."""

    figures: Figures
    messages: list[int]
    people: list[int]


def together(cells: Iterable[Cell], span: Span, choice: Choice) -> Range:
    """What the days come to together, where people and spaces are counted once; reads each bitmap once."""
    days = _counted(cells, choice)
    people = {day: united(cell.people for cell in some) for day, some in days.items()}
    everybody = BitMap.union(BitMap(), *people.values())
    return Range(
        _figures([cell for some in days.values() for cell in some], everybody),
        [sum(cell.counts.messages for cell in days.get(day, ())) for day in span],
        [len(people.get(day, ())) for day in span],
    )


def _counted(cells: Iterable[Cell], choice: Choice) -> dict[int, list[Cell]]:
    """The cells that are counted, by day."""
    days: defaultdict[int, list[Cell]] = defaultdict(list)
    for cell in cells:
        if choice.counts(cell):
            days[cell.day].append(cell)
    return days


def _figures(cells: Sequence[Cell], people: BitMap) -> Figures:
    groups, directs = united(cell.groups for cell in cells), united(cell.directs for cell in cells)
    return Figures(
        added(cell.counts for cell in cells),
        len(people),
        groups.union_cardinality(directs),  # a space may have been both
        len(groups),
        len(directs),
    )


class LeftOut(NamedTuple):
    """By how much a metric would be higher, by the rule that keeps it from that.

    What several rules leave out is told of the one that stands last, so that the metric and all that was
    left out come to the metric of everything.
    """

    deleted: int
    bots: int
    system: int


def left_out(cells: Iterable[Cell], metric: Callable[[Figures], int], choice: Choice) -> LeftOut:
    """What the rules leave out of the metric, one after the other set aside."""
    cells = list(cells)
    ever_more = [choice, Choice(choice.bots, deleted=True), Choice(bots=True, deleted=True)]
    counted = [[cell for cell in cells if each.includes(cell.part)] for each in ever_more]
    values = [metric(figures(some)) for some in (*counted, cells)]
    return LeftOut(*(more - less for less, more in pairwise(values)))
