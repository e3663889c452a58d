"""When a delivery is attempted again."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from postroom.domain.clock import DAY, HOUR, MINUTE, SECOND

SCHEDULE: tuple[int, ...] = (
    0,
    5 * SECOND,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR,
)
JITTER = 0.2
LONGEST_RETRY_AFTER = DAY


class Policy(msgspec.Struct, frozen=True):
    """`schedule[k]` is the wait, in ms, before attempt k + 1; `jitter` the share by which it varies, 0..1."""

    schedule: tuple[int, ...] = SCHEDULE
    jitter: float = JITTER


def next_due(
    policy: Policy,
    attempts_made: int,
    ended_at: int,
    retry_after_ms: int | None,
    random: Callable[[], float],
) -> int | None:
    """The time, ms, of the next attempt; None when the schedule is used up. `random` gives 0..1."""
    if attempts_made >= len(policy.schedule):
        return None
    spread = policy.jitter * (2 * random() - 1)
    delay = round(policy.schedule[attempts_made] * (1 + spread))
    return ended_at + max(delay, min(retry_after_ms or 0, LONGEST_RETRY_AFTER))


def parse_retry_after(value: str | None, now: int) -> int | None:
    """The wait, in ms, that a Retry-After header asks for (RFC 9110, 10.2.3); None when it says nothing."""
    if value is None:
        return None
    value = value.strip()
    if re.fullmatch(r"-?[0-9]{1,18}", value):
        return max(int(value), 0) * SECOND
    date = _date(value)
    return None if date is None else max(int(date.timestamp()) * SECOND - now, 0)


def _date(value: str) -> datetime | None:
    """An HTTP date in any of its three forms. One of them names no zone, but all are UTC."""
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
