"""Each metric is what a count of the messages, one by one, comes to."""

from collections import defaultdict
from collections.abc import Callable
from itertools import product
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.activity import Client
from postroom.domain.day import Span
from postroom.domain.metrics import METRICS, NOTHING, Choice, by_day, figures, left_out, together
from postroom.domain.totals import PARTS, Cell, Counts, Part, Sender, packed

SPAN = Span(10, 13)
SOURCES = 3
ASKED_FOR = [None, *(frozenset(each) for each in ([], [0], [1], [0, 2]))]
CHOICES = [Choice(*each) for each in product([False, True], [False, True], ASKED_FOR)]


class Sent(NamedTuple):
    """A message; people and spaces have numbers that no other source uses."""

    day: int
    source: int
    part: Part
    client: Client
    person: int | None
    space: int
    direct: bool
    files: int
    video: bool


def _sent(*fields: object) -> Sent:
    one = Sent(*fields)  # type: ignore[arg-type]
    person = None if one.person is None else one.person * SOURCES + one.source
    return one._replace(person=person, space=one.space * SOURCES + one.source)


MESSAGES = st.lists(
    st.builds(
        _sent,
        st.integers(SPAN.first - 1, SPAN.last + 1),
        st.integers(0, SOURCES - 1),
        st.sampled_from(PARTS),
        st.sampled_from(Client),
        st.none() | st.integers(0, 3),
        st.integers(0, 3),
        st.booleans(),
        st.integers(0, 2),
        st.booleans(),
    ),
    max_size=40,
)


def cells(messages: list[Sent]) -> list[Cell]:
    """The messages as their days' totals."""
    groups: defaultdict[tuple[int, int, Part], list[Sent]] = defaultdict(list)
    for each in messages:
        groups[each.day, each.source, each.part].append(each)
    return [
        Cell(
            *place,
            Counts(
                messages=len(some),
                desktop=sum(each.client is Client.DESKTOP for each in some),
                mobile=sum(each.client is Client.MOBILE for each in some),
                other=sum(each.client is Client.OTHER for each in some),
                video=sum(each.video for each in some),
                files=sum(each.files for each in some),
            ),
            packed({each.person for each in some if each.person is not None}),
            packed({each.space for each in some if not each.direct}),
            packed({each.space for each in some if each.direct}),
        )
        for place, some in groups.items()
    ]


def chosen(messages: list[Sent], choice: Choice) -> list[Sent]:
    """The messages that are counted, as the rules are written: people, bots if asked, deleted unless not."""
    return [
        each
        for each in messages
        if each.part.sender is not Sender.PLATFORM
        and (choice.bots or each.part.sender is Sender.PERSON)
        and (choice.deleted or not each.part.deleted)
        and (choice.sources is None or each.source in choice.sources)
    ]


COUNTED: dict[str, Callable[[list[Sent]], int]] = {
    "dailyActiveUsers": lambda sent: len({each.person for each in sent} - {None}),
    "totalMessagesSent": len,
    "deskTopMessagesSent": lambda sent: sum(each.client is Client.DESKTOP for each in sent),
    "mobileMessagesSent": lambda sent: sum(each.client is Client.MOBILE for each in sent),
    "otherClientMessagesSent": lambda sent: sum(each.client is Client.OTHER for each in sent),
    "unknownClientMessagesSent": lambda sent: sum(each.client is Client.UNKNOWN for each in sent),
    "totalActiveSpaces": lambda sent: len({each.space for each in sent}),
    "groupActiveSpaces": lambda sent: len({each.space for each in sent if not each.direct}),
    "one2oneActiveSpaces": lambda sent: len({each.space for each in sent if each.direct}),
    "video": lambda sent: sum(each.video for each in sent),
    "sharing.totalFilesShared": lambda sent: sum(each.files for each in sent),
}


@given(MESSAGES, st.sampled_from(CHOICES))
def test_each_day_is_a_naive_count(messages: list[Sent], choice: Choice) -> None:
    """Whatever is asked for; days without anything are zero."""
    days = by_day(cells(messages), SPAN, choice)
    for day, found in zip(SPAN, days, strict=True):
        sent = [each for each in chosen(messages, choice) if each.day == day]
        for name, count in COUNTED.items():
            assert METRICS[name](found) == count(sent), name


@given(MESSAGES, st.sampled_from(CHOICES))
def test_any_range_is_a_naive_count(messages: list[Sent], choice: Choice) -> None:
    """People and spaces of many days and sources together are counted once."""
    inside = [each for each in messages if each.day in set(SPAN)]
    found = together(cells(inside), SPAN, choice)
    for name, count in COUNTED.items():
        assert METRICS[name](found.figures) == count(chosen(inside, choice)), name
    days = by_day(cells(inside), SPAN, choice)
    assert found.messages == [day.counts.messages for day in days]
    assert found.people == [day.people for day in days]


@given(MESSAGES, st.sampled_from(CHOICES), st.sampled_from(sorted(COUNTED)))
def test_what_is_left_out_and_what_is_not_are_everything(
    messages: list[Sent], choice: Choice, name: str
) -> None:
    """The rules account for the whole difference, and none makes a number higher."""
    some = cells(messages)
    without = figures([cell for cell in some if choice.includes(cell.part)])
    left = left_out(some, METRICS[name], choice)
    assert min(left) >= 0
    assert METRICS[name](without) + sum(left) == COUNTED[name](messages)


def test_what_two_rules_leave_out_is_told_once() -> None:
    """A bot's deleted message is left out for its sender, and so is a deleted one of the platform's."""
    numbers = {part: 10**place for place, part in enumerate(PARTS)}
    some = [Cell(1, 1, part, Counts(number), b"", b"", b"") for part, number in numbers.items()]
    some = [cell._replace(people=packed([]), groups=packed([]), directs=packed([])) for cell in some]
    left = left_out(some, METRICS["totalMessagesSent"], Choice(deleted=False))
    assert left == (10, 1_100, 110_000)


def test_nothing() -> None:
    """No cells are all zeros."""
    assert figures([]) == NOTHING
    assert {reads(NOTHING) for reads in METRICS.values()} == {0}
