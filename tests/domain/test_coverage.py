"""A zero that was counted is told apart from a day that nobody told of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.clock import DAY, HOUR
from postroom.domain.coverage import Coverage, Told
from postroom.domain.day import Span

SPAN = Span(100, 105)
TIMES = st.integers(98 * DAY // HOUR, 108 * DAY // HOUR).map(lambda hours: hours * HOUR)


def days(coverage: Coverage, *asked: str, **active: set[int]) -> set[int]:
    """The days of the span that are complete, where these sources are asked for."""
    given_days: dict[str, set[int]] = {name: set() for name in asked}
    marks = coverage.complete(SPAN, given_days | active)
    return {day for day, mark in zip(SPAN, marks, strict=True) if mark}


@pytest.mark.parametrize(
    ("since", "until", "whole"),
    [
        (100 * DAY, 101 * DAY, {100}),
        (100 * DAY + 1, 102 * DAY, {101}),
        (100 * DAY, 102 * DAY - 1, {100}),
        (100 * DAY + 1, 101 * DAY + 1, set()),
        (0, None, set(SPAN)),
        (104 * DAY + HOUR, None, {105}),
        (0, 100 * DAY, set()),
        (106 * DAY, None, set()),
    ],
)
def test_only_whole_days_count(since: int, until: int | None, whole: set[int]) -> None:
    """A day is complete where it was told from its first to its last moment."""
    assert days(Coverage([Told("a", since, until)]), "a") == whole


def test_times_that_meet_are_one() -> None:
    """A source that was stopped and went on at the same moment missed nothing; an hour's gap tears a day."""
    noon = 102 * DAY + 12 * HOUR
    without_gap = [Told("a", noon, None), Told("a", 101 * DAY, noon)]
    assert days(Coverage(without_gap), "a") == {101, 102, 103, 104, 105}
    with_gap = [Told("a", noon + HOUR, None), Told("a", 101 * DAY, noon)]
    assert days(Coverage(with_gap), "a") == {101, 103, 104, 105}


def test_a_time_inside_another_ends_nothing() -> None:
    """An export of a month within a year, say."""
    told = [Told("a", 100 * DAY, 105 * DAY), Told("a", 101 * DAY, 102 * DAY), Told("a", 105 * DAY, None)]
    assert days(Coverage(told), "a") == set(SPAN)


def test_without_records_the_days_with_activity_are_known() -> None:
    """With them, activity alone proves nothing."""
    coverage = Coverage([Told("a", 104 * DAY, None)])
    assert days(coverage, b={101}) == {101}
    assert days(coverage, a={101}, b={102}) == {102, 104, 105}


def test_any_source_that_tells_is_enough() -> None:
    """An old export does not make later days unknown that another source tells of."""
    coverage = Coverage([Told("a", 0, 102 * DAY), Told("b", 103 * DAY, None)])
    assert days(coverage, "a", "b") == {100, 101, 103, 104, 105}
    assert days(coverage, "a") == {100, 101}
    assert days(coverage) == set()


def test_an_unfinished_import_may_bring_more_of_any_day() -> None:
    """So nothing that it is part of is complete."""
    coverage = Coverage([Told("a", 0, None), Told("b", 0, None)], unfinished={"b"})
    assert days(coverage, "a") == set(SPAN)
    assert days(coverage, "a", "b") == days(coverage, "b") == set()


def test_the_sources_that_are_known() -> None:
    """By name, also of those that brought nothing yet."""
    assert set(Coverage([Told("a", 0, None)], ["b"]).sources) == {"a", "b"}


@given(st.lists(st.tuples(TIMES, st.none() | TIMES), max_size=6))
def test_hour_by_hour(times: list[tuple[int, int | None]]) -> None:
    """Complete are the days of which each hour was told, whatever the order and overlap."""
    told = [Told("a", since, until) for since, until in times if until is None or since <= until]
    hours = {hour for one in told for hour in range(one.since, one.until or 200 * DAY, HOUR)}
    expected = {day for day in SPAN if set(range(day * DAY, (day + 1) * DAY, HOUR)) <= hours}
    assert days(Coverage(told), "a") == (expected if told else set())
