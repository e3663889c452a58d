"""UTC days, and what a request says about them."""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.clock import DAY
from postroom.domain.day import MOST_DAYS, Span, day_of, iso, one_of, parse, span_of
from postroom.domain.errors import Invalid

YESTERDAY = parse("2020-08-10", "")
OFFSETS = st.integers(-24 * 60 + 1, 24 * 60 - 1).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=OFFSETS)


def span(start: str | None, end: str | None) -> tuple[str, str]:
    """First and last day of what is asked for on 2020-08-11."""
    found = span_of(start, end, YESTERDAY)
    return iso(found.first), iso(found.last)


@given(st.dates())
def test_dates(day: date) -> None:
    """A date is the day of its midnight in UTC, and is shown as it was written."""
    number = parse(day.isoformat(), "")
    assert iso(number) == day.isoformat()
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    assert number == day_of(round((midnight - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 1000)


@given(st.integers(-(10**14), 10**14))
def test_a_day_has_86400000_milliseconds(at: int) -> None:
    """Before 1970 too."""
    assert 0 <= at - day_of(at) * DAY < DAY


@given(TIMES, st.sampled_from(["auto", "milliseconds", "minutes"]))
def test_times_with_any_offset(at: datetime, precision: str) -> None:
    """The instant is turned to UTC, and its date taken."""
    text = at.isoformat(timespec=precision)
    assert iso(parse(text, "")) == at.astimezone(UTC).date().isoformat()
    assert parse(text.replace("+", " "), "") == parse(text, "")


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2020-08-01T00:00:00.000Z", "2020-08-01"),
        ("2020-08-01t23:59:59z", "2020-08-01"),
        ("2020-08-01 23:59", "2020-08-01"),
        ("2020-08-01T00:30:00+01", "2020-07-31"),
        ("2020-08-01T23:30:00.123456789-0100", "2020-08-02"),
        ("2016-12-31T23:59:60Z", "2016-12-31"),
        ("2020-02-29", "2020-02-29"),
        ("0001-01-01", "0001-01-01"),
        ("9999-12-31", "9999-12-31"),
    ],
)
def test_forms_of_times(text: str, day: str) -> None:
    """What programs write: any separator, precision and form of the offset; without one it is UTC."""
    assert iso(parse(text, "from")) == day


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2020-8-1",
        "20200801",
        "2020-W31-6",
        "2019-02-29",
        "2020-13-01",
        "0000-01-01",
        "2020-08-01T",
        "2020-08-01T24:00:00Z",
        "2020-08-01T23:60:00Z",
        "2020-08-01T23:00:61Z",
        "2020-08-01T00:00:00+24:00",
        "2020-08-01Z",
        " 2020-08-01",
        "2020-08-01\n",
        "\uff12020-08-01",
        "1596240000",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:30:00-01:00",
    ],
)
def test_what_is_no_date(text: str) -> None:
    """It is refused by the parameter's name, never guessed at."""
    for name in ("from", "to"):
        with pytest.raises(Invalid) as refused:
            parse(text, name)
        assert refused.value.field == name


@given(st.text(max_size=40))
def test_no_text_breaks_it(text: str) -> None:
    """Any text is a day, or Invalid."""
    with suppress(Invalid):
        assert parse(iso(parse(text, "")), "") == parse(text, "")


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, ("2020-08-10", "2020-08-10")),
        (None, "2020-08-03", ("2020-08-03", "2020-08-03")),
        (None, "2020-08-11", ("2020-08-10", "2020-08-10")),
        ("2020-08-08", None, ("2020-08-08", "2020-08-10")),
        ("2020-08-10", None, ("2020-08-10", "2020-08-10")),
        ("2020-08-01", "2020-08-03", ("2020-08-01", "2020-08-03")),
        ("2020-08-03", "2020-08-03", ("2020-08-03", "2020-08-03")),
        ("2020-08-08", "2020-08-11", ("2020-08-08", "2020-08-10")),
        ("2020-08-08", "9999-12-31", ("2020-08-08", "2020-08-10")),
        ("2020-08-09T22:00:00-03:00", "2020-08-11T01:00+02:00", ("2020-08-10", "2020-08-10")),
        (None, "1066-10-14", ("1066-10-14", "1066-10-14")),
    ],
)
def test_ranges(start: str | None, end: str | None, expected: tuple[str, str]) -> None:
    """The documented defaults; both days are included, and yesterday is the last that is ever given."""
    assert span(start, end) == expected


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        ("2020-08-11", None, "from"),
        ("2020-08-11", "2020-08-12", "from"),
        ("2020-08-03", "2020-08-02", "from"),
        ("2020-08-03", "?", "to"),
        ("?", "2020-08-03", "from"),
        ("0001-01-01", None, "from"),
    ],
)
def test_ranges_that_are_none(start: str | None, end: str | None, field: str) -> None:
    """After yesterday, the wrong way round, unreadable, or too long."""
    with pytest.raises(Invalid) as refused:
        span_of(start, end, YESTERDAY)
    assert refused.value.field == field


def test_the_longest_range() -> None:
    """A hundred years, and not a day more."""
    first = YESTERDAY - MOST_DAYS + 1
    assert len(span_of(iso(first), None, YESTERDAY)) == MOST_DAYS
    with pytest.raises(Invalid, match="more than"):
        span_of(iso(first - 1), None, YESTERDAY)


def test_a_spans_days() -> None:
    """Both ends are of it."""
    assert (list(Span(3, 5)), len(Span(3, 5))) == ([3, 4, 5], 3)


def test_one_day() -> None:
    """Yesterday if none is named; a day that is not over is none."""
    assert one_of(None, "date", YESTERDAY) == YESTERDAY
    assert iso(one_of("2020-08-01T23:00-02:00", "date", YESTERDAY)) == "2020-08-02"
    with pytest.raises(Invalid) as refused:
        one_of("2020-08-11", "date", YESTERDAY)
    assert refused.value.field == "date"
