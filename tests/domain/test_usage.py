"""Running totals and windows."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.clock import DAY, HOUR, SECOND
from postroom.domain.usage import (
    BEGINNING,
    GROUPS,
    NAMES,
    NOTHING,
    SEGMENT_EVENTS,
    Kind,
    Segment,
    minus,
    plus,
    start_of_day,
    windows,
)

ONE = (1, *NOTHING[1:])
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Antarctica/Troll",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Atlantic/Azores",
    "America/Havana",
]
instants = st.datetimes(datetime(2005, 1, 1), datetime(2035, 1, 1))


def ms(text: str) -> int:
    """An ISO time with its offset, in ms."""
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


def date_of(at: int, zone: str) -> str:
    """The calendar's date at a time, in a zone."""
    return datetime.fromtimestamp(at // SECOND, ZoneInfo(zone)).date().isoformat()


def test_the_twelve_kinds_in_the_order_of_the_answer() -> None:
    """Their numbers stand in the database, their names in the answer of GET /stats/messages."""
    assert NAMES == (
        "api_key_added",
        "api_key_updated",
        "api_key_deleted",
        "queue_added",
        "queue_updated",
        "queue_deleted",
        "listener_added",
        "listener_updated",
        "listener_deleted",
        "message_added",
        "message_published_ok",
        "message_published_not_ok",
    )
    assert [kind.value for kind in Kind] == list(range(12))


def test_each_kind_is_in_one_group_and_in_all() -> None:
    """The groups of GET /events part the twelve kinds."""
    for kind in Kind:
        groups = {name for name, (first, last) in GROUPS.items() if first <= kind <= last}
        subject = kind.name.lower().rsplit("_", 1)[0].removesuffix("_published").removesuffix("_not")
        assert groups == {"all", f"{subject.removesuffix('_published')}s"}


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 300)), max_size=60))
def test_a_segment_is_bounded_and_counts_all(commits: list[tuple[int, int]]) -> None:
    """Within one second, and closed after 256 events; a commit's events are never parted."""
    at, newest, made = 0, BEGINNING, list[Segment]()
    for step, count in commits:
        at += step
        added = (count, *NOTHING[1:])
        taken = newest.takes(at)
        newest = newest.with_more(at, added)
        made = [*(made[:-1] if taken else made), newest]
    assert sum(segment.events for segment in made) == sum(count for _, count in commits)
    assert newest.totals[0] == sum(count for _, count in commits)
    for segment, following in pairwise(made):
        assert segment.last_at < following.started_at
    for segment in made:
        assert segment.started_at // SECOND == segment.last_at // SECOND
        assert segment.last_at == segment.started_at or segment.events < SEGMENT_EVENTS + 300 + 300


@pytest.mark.parametrize(
    ("at", "events", "taken"),
    [
        (1_999, 1, True),
        (2_000, 1, False),
        (1_501, SEGMENT_EVENTS - 1, True),
        (1_501, SEGMENT_EVENTS, False),
        (1_500, SEGMENT_EVENTS * 9, True),
    ],
)
def test_when_a_segment_takes_more(at: int, events: int, taken: bool) -> None:
    """It ends with its second or when it is full, but never within a millisecond."""
    assert Segment(1_000, 1_500, events, NOTHING).takes(at) is taken


@given(st.lists(st.integers(0, 1 << 50), min_size=12, max_size=12))
def test_minus_undoes_plus(totals: list[int]) -> None:
    """Counter by counter."""
    assert minus(plus(tuple(totals), ONE), ONE) == tuple(totals)
    assert plus(tuple(totals), NOTHING) == tuple(totals)


def test_the_windows_of_an_utc_organization() -> None:
    """Each begins with the first millisecond that it holds."""
    now = ms("2025-03-01T13:14:15+00:00") + 16
    edges = windows(now, "UTC")
    assert edges.last_24_hours == ms("2025-02-28T13:14:15+00:00") + 16
    assert edges.last_1_hours == ms("2025-03-01T12:14:15+00:00") + 16
    assert edges.today_so_far == ms("2025-03-01T00:00:00+00:00")


@pytest.mark.parametrize(
    ("now", "zone", "start"),
    [
        ("2025-07-01T00:00:00+02:00", "Europe/Berlin", "2025-07-01T00:00:00+02:00"),
        ("2025-06-30T23:59:59+02:00", "Europe/Berlin", "2025-06-30T00:00:00+02:00"),
        ("2025-03-30T12:00:00+02:00", "Europe/Berlin", "2025-03-30T00:00:00+01:00"),
        ("2025-10-26T23:59:59+01:00", "Europe/Berlin", "2025-10-26T00:00:00+02:00"),
        ("2025-10-26T02:30:00+02:00", "Europe/Berlin", "2025-10-26T00:00:00+02:00"),
        ("2025-10-26T02:30:00+01:00", "Europe/Berlin", "2025-10-26T00:00:00+02:00"),
        ("2025-01-01T05:44:59+05:45", "Asia/Kathmandu", "2025-01-01T00:00:00+05:45"),
        ("2018-11-04T09:00:00-02:00", "America/Sao_Paulo", "2018-11-04T01:00:00-02:00"),
        ("2025-10-26T00:30:00+00:00", "Atlantic/Azores", "2025-10-26T00:00:00+00:00"),
        ("2025-10-26T00:30:00-01:00", "Atlantic/Azores", "2025-10-26T00:00:00+00:00"),
        ("2025-10-26T09:00:00-01:00", "Atlantic/Azores", "2025-10-26T00:00:00+00:00"),
        ("2025-11-02T00:30:00-05:00", "America/Havana", "2025-11-02T00:00:00-04:00"),
    ],
)
def test_a_day_begins_at_its_first_midnight(now: str, zone: str, start: str) -> None:
    """Days of 23 and 25 hours, a midnight that the clocks skip, and one that they show twice."""
    assert start_of_day(ms(now), zone) == ms(start)
    assert start_of_day(ms(now) + 999, zone) == ms(start)


@given(instants, st.sampled_from(ZONES))
def test_today_is_one_date_of_the_calendar(moment: datetime, zone: str) -> None:
    """The day holds now, begins with the first millisecond of its date, and lasts 26 hours at most."""
    now = int(moment.replace(tzinfo=UTC).timestamp() * SECOND)
    start = start_of_day(now, zone)
    assert start <= now < start + 26 * HOUR
    assert date_of(start, zone) == date_of(now, zone)
    assert date_of(start - 1, zone) < date_of(now, zone)


@given(instants, st.sampled_from(ZONES))
def test_today_never_begins_earlier_than_it_did(moment: datetime, zone: str) -> None:
    """While time passes, the beginning of the day stays or moves on."""
    begin = int(moment.replace(tzinfo=UTC).timestamp()) * SECOND
    starts = [start_of_day(begin + half * HOUR // 2, zone) for half in range(2 * 30)]
    assert starts == sorted(starts)
    assert starts[-1] - starts[0] <= timedelta(days=2) / timedelta(milliseconds=1)
    assert starts[-1] > begin - DAY
