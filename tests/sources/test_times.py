"""Times as exports write them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.activity import EARLIEST, LATEST
from postroom.sources.times import from_decimal, from_iso, from_ms, from_seconds
from postroom.sources.trouble import Unfit

MOMENTS = st.datetimes(datetime(1990, 1, 2), datetime(2099, 12, 30))
MICROSECONDS = st.integers(EARLIEST * 1000, LATEST * 1000 - 1)


@given(MOMENTS, st.integers(-14 * 60, 14 * 60))
def test_iso_with_any_offset(moment: datetime, minutes: int) -> None:
    """An instant is the same in every zone, cut to the millisecond."""
    exact = moment.replace(tzinfo=UTC)
    there = exact.astimezone(timezone(timedelta(minutes=minutes)))
    since = exact - datetime(1970, 1, 1, tzinfo=UTC)
    assert from_iso(there.isoformat()) == since // timedelta(milliseconds=1)


@given(MICROSECONDS)
def test_decimal_seconds_are_exact(microseconds: int) -> None:
    """Text loses nothing: a message just before midnight stays on its day."""
    seconds, rest = divmod(microseconds, 1_000_000)
    assert from_decimal(f"{seconds}.{rest:06}") == microseconds // 1000


@given(st.integers(EARLIEST, LATEST - 1))
def test_seconds_with_a_fraction(at: int) -> None:
    """A number of seconds with three decimals is that millisecond."""
    assert from_seconds(at / 1000) == at
    assert from_ms(at) == at


def test_iso_as_it_comes() -> None:
    """Seven decimals, an offset without colon, and Z are all read."""
    expected = 1700000000123
    for text in (
        "2023-11-14T22:13:20.1234567Z",
        "2023-11-14T23:13:20.123+0100",
        "2023-11-14T22:13:20.123+00:00",
    ):
        assert from_iso(text) == expected


def test_without_an_offset() -> None:
    """A time without offset is refused, except where it is to be taken for UTC."""
    assert from_iso("2023-11-14T22:13:20", assume_utc=True) == 1700000000000
    with pytest.raises(Unfit, match="without an offset"):
        from_iso("2023-11-14T22:13:20")


@pytest.mark.parametrize(
    "text", ["", "now", "2023-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
)
def test_iso_that_is_none(text: str) -> None:
    """What is no time, or one that no message can have, is Unfit, and is not quoted."""
    with pytest.raises(Unfit) as failure:
        from_iso(text)
    assert not text or text not in str(failure.value)


@pytest.mark.parametrize("text", ["", ".", "1.x", "x.1", "-1.0", "1" * 30, "1e9", "٣.0", "1700000000.٣"])
def test_decimals_that_are_none(text: str) -> None:
    """Only digits are a number of seconds."""
    with pytest.raises(Unfit):
        from_decimal(text)


@pytest.mark.parametrize("at", [0, -1, 10**400, 1e300, float("inf"), float("-inf"), float("nan")])
def test_numbers_that_are_no_times(at: float) -> None:
    """Absurd numbers are Unfit, of any size."""
    for read in (from_ms, from_seconds):
        with pytest.raises(Unfit):
            read(at)
