"""What a hub should know: a plain list of all that ever happened, counted one by one."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from postroom.domain.clock import DAY, HOUR, SECOND
from postroom.domain.usage import GROUPS, Kind, Totals
from postroom.service.stats import Event, Stats

Ids = tuple[str | None, str | None, str | None, str | None]


@dataclass(frozen=True)
class Fact:
    """One usage event as the test made it: ids of api key, queue, listener, message; its subject's name."""

    at: int
    kind: Kind
    ids: Ids = (None, None, None, None)
    name: str | None = None


@dataclass
class Owing:
    """What became of a listener's deliveries."""

    accepted: int = 0
    delivered: int = 0
    failed: int = 0
    discarded: int = 0
    missed: list[str] = field(default_factory=list)
    pending: set[str] = field(default_factory=set)


@dataclass
class History:
    """All that happened in one organization."""

    time_zone: str
    facts: list[Fact] = field(default_factory=list)
    owing: dict[str, Owing] = field(default_factory=dict)

    def count(self, at: int, kind: Kind, *ids: str | None, name: str | None = None) -> None:
        """One more fact; `ids` as in `Fact`."""
        key, queue, listener, message = (*ids, None, None, None, None)[:4]
        self.facts.append(Fact(at, kind, (key, queue, listener, message), name))

    def stats(self, now: int) -> Stats:
        """The three windows, by going through everything."""
        zone = ZoneInfo(self.time_zone)
        today = datetime.fromtimestamp(now // SECOND, zone).date()
        return Stats(
            _totals([fact for fact in self.facts if fact.at >= now - DAY]),
            _totals([fact for fact in self.facts if fact.at >= now - HOUR]),
            _totals([f for f in self.facts if datetime.fromtimestamp(f.at // SECOND, zone).date() >= today]),
        )

    def events(self, now: int, group: str) -> list[Fact]:
        """What GET /events should list."""
        first, last = GROUPS[group]
        return [fact for fact in self.facts if fact.at >= now - DAY and first <= fact.kind <= last]


def fact_of(event: Event) -> Fact:
    """An event that was read, as a fact."""
    subject = event.kind.name.lower().rsplit("_", 1)[0]
    named = {"api_key": event.api_key, "queue": event.queue, "listener": event.listener}.get(subject)
    about = event.api_key, event.queue, event.listener, event.message
    ids = [each.id if each else None for each in about]
    name = named.name if named else event.message.name if subject == "message" and event.message else None
    return Fact(event.stored_at, event.kind, (ids[0], ids[1], ids[2], ids[3]), name)


def _totals(facts: Sequence[Fact]) -> Totals:
    counted = Counter(fact.kind for fact in facts)
    return tuple(counted[kind] for kind in Kind)
