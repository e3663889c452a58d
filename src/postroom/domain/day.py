"""UTC days, as whole numbers since 1970-01-01, and what a request says about them."""

import re
from collections.abc import Iterator
from datetime import date

import msgspec

from postroom.domain.clock import DAY
from postroom.domain.errors import Invalid

MOST_DAYS = 36_525
"""Days that one answer may have: a hundred years."""
_EPOCH = date(1970, 1, 1).toordinal()
_MINUTES = 24 * 60
_FORM = re.compile(
    r"(\d{4}-\d{2}-\d{2})"
    r"(?:[Tt ](\d{2}):(\d{2})(?::(?:[0-5]\d|60)(?:[.,]\d{1,9})?)?"
    # A plus that nobody encoded is a space by the time it is read.
    r"(?:[Zz]|([-+ ])(\d{2}):?(\d{2})?)?)?",
    re.ASCII,
)
_EXPECTED = "must be a date such as 2020-08-01, or a time such as 2020-08-01T00:00:00.000Z"


class Span(msgspec.Struct, frozen=True):
    """The days from `first` to `last`, both included."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.last + 1))


def day_of(at: int) -> int:
    """The day of a time, ms since the epoch."""
    return at // DAY


def iso(day: int) -> str:
    """The day as 2024-01-31."""
    return date.fromordinal(_EPOCH + day).isoformat()


def parse(text: str, field: str) -> int:
    """The UTC day of a date, or of a time with any offset; without one it is UTC.

    Raises:
        Invalid: it is neither; `field` is the parameter's name.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise Invalid(field, _EXPECTED)
    written, hour, minute, sign, hours, minutes = match.groups()
    try:
        day = date.fromisoformat(written).toordinal() - _EPOCH
    except ValueError as error:
        raise Invalid(field, f"{written} is no date: {error}") from error
    if hour is None:
        return day
    offset = int(hours or 0) * 60 + int(minutes or 0)
    return _moved(day, int(hour), int(minute), -offset if sign == "-" else offset, field)


def _moved(day: int, hour: int, minute: int, offset: int, field: str) -> int:
    """The UTC day of a time of day that is `offset` minutes ahead of UTC."""
    if hour > 23 or minute > 59 or abs(offset) >= _MINUTES:
        raise Invalid(field, "the time of day, or its offset from UTC, is out of range")
    moved = day + (hour * 60 + minute - offset) // _MINUTES
    if not 1 <= moved + _EPOCH <= date.max.toordinal():
        raise Invalid(field, "is outside the years 1 to 9999 in UTC")
    return moved


def span_of(start: str | None, end: str | None, yesterday: int) -> Span:
    """The days that `from` and `to` ask for, each of which may be missing; none is after yesterday.

    Raises:
        Invalid: one of them cannot be read, they are the wrong way round, or they ask for too many days.
    """
    first = None if start is None else parse(start, "from")
    last = yesterday if end is None else parse(end, "to")
    if first is None:
        last = min(last, yesterday)
        return Span(last, last)
    _check_over(first, "from", yesterday)
    if first > last:
        raise Invalid("from", f"must not be after to: {iso(first)} is after {iso(last)}")
    span = Span(first, min(last, yesterday))
    if len(span) > MOST_DAYS:
        raise Invalid(
            "from", f"{iso(first)} to {iso(span.last)} are more than {MOST_DAYS} days; ask for fewer"
        )
    return span


def one_of(text: str | None, field: str, yesterday: int) -> int:
    """The one day that is asked for: yesterday, if none is.

    Raises:
        Invalid: it cannot be read, or is after yesterday; `field` is the parameter's name.
    """
    day = yesterday if text is None else parse(text, field)
    _check_over(day, field, yesterday)
    return day


def _check_over(day: int, field: str, yesterday: int) -> None:
    if day > yesterday:
        raise Invalid(field, f"must not be after yesterday, {iso(yesterday)}, the last day that is over")
