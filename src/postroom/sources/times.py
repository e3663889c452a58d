"""Times as exports write them, in ms UTC; Unfit where there is none, or one that cannot be."""

import re
from datetime import UTC, datetime, timedelta

from postroom.domain.activity import EARLIEST, LATEST
from postroom.sources.trouble import Unfit

_DECIMAL = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,3})[0-9]*)?")
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
    found = _DECIMAL.fullmatch(text)
    if found is None:
        raise Unfit("has a time that is not a number of seconds")
    seconds, fraction = found.groups("")
    return from_ms(int(seconds + fraction.ljust(3, "0")))


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
