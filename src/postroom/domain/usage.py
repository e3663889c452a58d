"""Usage events, the twelve counted facts of the hub, and the running totals made of them."""

from datetime import datetime
from enum import IntEnum
from zoneinfo import ZoneInfo

import msgspec

from postroom.domain.clock import DAY, HOUR, SECOND


class Kind(IntEnum):
    """What happened; the order is the one in which the answer lists the counters."""

    API_KEY_ADDED = 0
    API_KEY_UPDATED = 1
    API_KEY_DELETED = 2
    QUEUE_ADDED = 3
    QUEUE_UPDATED = 4
    QUEUE_DELETED = 5
    LISTENER_ADDED = 6
    LISTENER_UPDATED = 7
    LISTENER_DELETED = 8
    MESSAGE_ADDED = 9
    MESSAGE_PUBLISHED_OK = 10
    MESSAGE_PUBLISHED_NOT_OK = 11


NAMES: tuple[str, ...] = tuple(kind.name.lower() for kind in Kind)
GROUPS: dict[str, tuple[Kind, Kind]] = {
    "all": (Kind.API_KEY_ADDED, Kind.MESSAGE_PUBLISHED_NOT_OK),
    "api_keys": (Kind.API_KEY_ADDED, Kind.API_KEY_DELETED),
    "queues": (Kind.QUEUE_ADDED, Kind.QUEUE_DELETED),
    "listeners": (Kind.LISTENER_ADDED, Kind.LISTENER_DELETED),
    "messages": (Kind.MESSAGE_ADDED, Kind.MESSAGE_PUBLISHED_NOT_OK),
}

Totals = tuple[int, ...]
NOTHING: Totals = (0,) * len(Kind)
SEGMENT_EVENTS = 256


class UsageEvent(msgspec.Struct, frozen=True):
    """One counted fact; `name` is the name of its subject at that time."""

    org_id: str
    id: str
    kind: Kind
    api_key_id: str | None = None
    queue_id: str | None = None
    listener_id: str | None = None
    message_id: str | None = None
    name: str | None = None


class Segment(msgspec.Struct, frozen=True):
    """A stretch of at most a second of an organization's events, with all its totals up to the stretch's end.

    Reading a window costs one look-up per edge and a count of the raw events of the segment that the
    edge cuts. A segment ends with its second or after `SEGMENT_EVENTS` events, so that count is bounded.
    """

    started_at: int
    last_at: int
    events: int
    totals: Totals

    def takes(self, at: int) -> bool:
        """Whether events of the time `at` belong to this segment, rather than to a new one."""
        if at == self.last_at:
            return True
        return at // SECOND == self.started_at // SECOND and self.events < SEGMENT_EVENTS

    def with_more(self, at: int, added: Totals) -> "Segment":
        """This segment with the events of one more commit, or the one that follows it and has them."""
        totals = plus(self.totals, added)
        if self.takes(at):
            return Segment(self.started_at, at, self.events + sum(added), totals)
        return Segment(at, at, sum(added), totals)


BEGINNING = Segment(-1, -1, 0, NOTHING)


def plus(left: Totals, right: Totals) -> Totals:
    """The sum, counter by counter."""
    return tuple(a + b for a, b in zip(left, right, strict=True))


def minus(left: Totals, right: Totals) -> Totals:
    """The difference, counter by counter."""
    return tuple(a - b for a, b in zip(left, right, strict=True))


class Windows(msgspec.Struct, frozen=True):
    """The first millisecond of each window that ends now."""

    last_24_hours: int
    last_1_hours: int
    today_so_far: int


def windows(now: int, time_zone: str) -> Windows:
    """The windows of the answer, with today counted from midnight in `time_zone`."""
    return Windows(now - DAY, now - HOUR, start_of_day(now, time_zone))


def start_of_day(now: int, time_zone: str) -> int:
    """The last midnight in `time_zone`, ms; the first of two, where clocks are put back over it."""
    if time_zone == "UTC":
        return now - now % DAY
    local = datetime.fromtimestamp(now / SECOND, ZoneInfo(time_zone))
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return int(midnight.timestamp()) * SECOND
