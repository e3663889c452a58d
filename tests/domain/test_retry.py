"""When a delivery is attempted again."""

import random
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.retry import SCHEDULE, Policy, next_due, parse_retry_after

DAY = 86_400_000
NOW = 1_700_000_000_000
chance = st.floats(0, 1, exclude_max=True)
steady = Policy((0, 5_000, 300_000), jitter=0)


def middle() -> float:
    return 0.5


def test_the_default_schedule_is_the_documented_one() -> None:
    """0 s, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h."""
    seconds = [0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert Policy() == Policy(tuple(second * 1000 for second in seconds), 0.2)


@pytest.mark.parametrize(("made", "delay"), [(0, 0), (1, 5_000), (2, 300_000)])
def test_the_wait_after_k_attempts_is_the_schedules_entry_k(made: int, delay: int) -> None:
    """The first entry is the wait before the first attempt."""
    assert next_due(steady, made, NOW, None, middle) == NOW + delay


@pytest.mark.parametrize("made", [3, 4, 1000])
@pytest.mark.parametrize("retry_after", [None, 0, 1_000])
def test_a_schedule_ends(made: int, retry_after: int | None) -> None:
    """When the schedule is used up nothing is due, whatever Retry-After says."""
    assert next_due(steady, made, NOW, retry_after, middle) is None


@given(st.integers(0, len(SCHEDULE) - 1), chance)
def test_jitter_stays_in_its_bounds(made: int, drawn: float) -> None:
    """Each wait differs from the schedule by a fifth at most."""
    due = next_due(Policy(), made, NOW, None, lambda: drawn)
    assert due is not None
    assert 0.8 * SCHEDULE[made] - 1 <= due - NOW <= 1.2 * SCHEDULE[made] + 1


def test_jitter_uses_the_whole_of_its_bounds() -> None:
    """The lowest draw gives the shortest wait and the highest the longest."""
    policy = Policy((10_000,), jitter=0.2)
    assert next_due(policy, 0, NOW, None, lambda: 0.0) == NOW + 8_000
    assert next_due(policy, 0, NOW, None, lambda: 1.0) == NOW + 12_000


@given(st.integers(0, len(SCHEDULE) - 1), chance, st.integers(0, 10 * DAY))
def test_retry_after_only_ever_lengthens_the_wait(made: int, drawn: float, retry_after: int) -> None:
    """Honoured where longer than the schedule, up to a day; never shorter than the schedule."""
    due = next_due(Policy(), made, NOW, retry_after, lambda: drawn)
    without = next_due(Policy(), made, NOW, None, lambda: drawn)
    assert due is not None
    assert without is not None
    assert due == max(without, NOW + min(retry_after, DAY))


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("120", 120_000),
        (" 120 ", 120_000),
        ("0", 0),
        ("-5", 0),
        (None, None),
        ("", None),
        ("soon", None),
        ("1.5", None),
        ("1e3", None),
        ("٣", None),
        ("9" * 5000, None),
        ("Tue, 14 Nov 2023 22:13:30 GMT", 10_000),
        ("Tuesday, 14-Nov-23 22:13:30 GMT", 10_000),
        ("Tue Nov 14 22:13:30 2023", 10_000),
        ("Tue, 14 Nov 2023 22:13:10 GMT", 0),
        ("Tue, 14 Nov 99999 22:13:10 GMT", None),
        ("Tue, 14 Nov 2023 22:13:10 +9999", None),
        ("2023-11-14T22:13:30Z", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, wait: int | None) -> None:
    """All three forms of an HTTP date; what has passed is no wait, and what cannot be read says nothing."""
    assert parse_retry_after(value, NOW) == wait


@given(st.text())
def test_no_retry_after_is_an_error(value: str) -> None:
    """Receivers send what they like."""
    wait = parse_retry_after(value, NOW)
    assert wait is None or wait >= 0


@given(st.datetimes(datetime(1971, 1, 1), datetime(2099, 12, 31)))
def test_a_date_is_a_wait_from_now(date: datetime) -> None:
    """The wait ends at the date's second."""
    date = date.replace(microsecond=0, tzinfo=UTC)
    at = int(date.timestamp()) * 1000
    assert parse_retry_after(format_datetime(date, usegmt=True), NOW) == max(at - NOW, 0)


def test_real_randomness_fits() -> None:
    """`random.random` can be handed in as it is."""
    due = next_due(Policy(), 1, NOW, None, random.Random(1).random)
    assert due is not None
    assert NOW + 4_000 <= due <= NOW + 6_000
