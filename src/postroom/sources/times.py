"""Times as exports write them, in ms UTC; Unfit where there is none, or one that cannot be."""

from datetime import UTC, datetime, timedelta

from postroom.domain.activity import EARLIEST, LATEST
from postroom.sources.trouble import Unfit

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def from_ms(at: int | float) -> int:
    """A time in ms, between 1990 and 2100."""
    if not EARLIEST <= at < LATEST:
        raise Unfit("has a time before 1990 or after 2100")
    return int(at)


def from_seconds(at: int | float) -> int:
    """A time in seconds, maybe with a fraction."""
    if not EARLIEST <= at * 1000 < LATEST:
        raise Unfit("has a time before 1990 or after 2100")
    return round(at * 1_000_000) // 1000


def from_decimal(text: str) -> int:
    """A time in seconds written as text, as "1355517523.000005"."""
    seconds, _, fraction = text.partition(".")
    if not (seconds.isascii() and seconds.isdecimal() and len(seconds) < 20):
        raise Unfit("has a time that is not a number of seconds")
    digits = (fraction + "00")[:3]
    if not (digits.isascii() and (digits.isdecimal() or not fraction)):
        raise Unfit("has a time that is not a number of seconds")
    return from_ms(int(seconds) * 1000 + int(digits if fraction else 0))


def from_iso(text: str, assume_utc: bool = False) -> int:
    """A time in ISO 8601 with its offset; without one, only where that is to be taken for UTC."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Unfit("has a time that is not in ISO 8601") from None
    if at.tzinfo is None:
        if not assume_utc:
            raise Unfit("has a time without an offset from UTC")
        at = at.replace(tzinfo=UTC)
    try:
        return from_ms((at - _EPOCH) // _MILLISECOND)
    except OverflowError:
        raise Unfit("has a time before 1990 or after 2100") from None
