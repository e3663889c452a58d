"""Records as they are kept: without the platform's ids of messages, which keyed hashes stand for.

Whoever has the organization's secret can make them, so the process that reads an export does.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from postroom.domain.activity import Activity, Deletion
from postroom.domain.clock import DAY
from postroom.domain.pseudonyms import Pseudonyms
from postroom.domain.totals import traits

MOST_BEGUN = 50
"""Sources whose hashes are begun in memory."""


class Facts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Messages of one source, all different and in the order of their keys; each list has an item for each.

    Times are ms UTC; people and spaces are the platform's ids; traits are those of `totals`. Of files, their
    number, their bytes and how many are of unknown size. `repeated` counts those that came once more, by day.
    """

    source: str
    keys: list[bytes]
    times: list[int]
    people: list[str]
    spaces: list[str]
    traits: list[int]
    files: list[int]
    file_bytes: list[int]
    files_of_unknown_size: list[int]
    repeated: dict[int, int]

    @property
    def count(self) -> int:
        """How many records these were."""
        return len(self.keys) + sum(self.repeated.values())


class Marks(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Deletions of one source, all different and in the order of their keys; times are ms UTC, or 0.

    `sent` are the messages that were told with them, `repeated` is how many deletions came once more.
    """

    source: str
    keys: list[bytes]
    times: list[int]
    sent: Facts
    repeated: int

    @property
    def count(self) -> int:
        """How many records these were."""
        return len(self.keys) + self.repeated


class Keyed(msgspec.Struct, frozen=True, array_like=True):
    """Some records, by source."""

    facts: list[Facts]
    marks: list[Marks]

    @property
    def count(self) -> int:
        """How many records these were."""
        return self.activities + self.deletions

    @property
    def activities(self) -> int:
        """How many records were activities."""
        return sum(each.count for each in self.facts)

    @property
    def deletions(self) -> int:
        """How many records were deletions."""
        return sum(each.count for each in self.marks)


class Taken(NamedTuple):
    """How many records were new, and how many known before.

    Of what is new, how many messages and deletions; and the days whose totals change.
    """

    accepted: int
    duplicates: int
    messages: int
    deletions: int
    days: set[int]


class Keyring:
    """Makes the keys of one organization's records, with its secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._pseudonyms: dict[str, Pseudonyms] = {}

    def keyed(self, records: Iterable[Activity | Deletion]) -> Keyed:
        """The records as they are kept; of several activities with one id, the first."""
        by_source: defaultdict[str, list[Activity | Deletion]] = defaultdict(list)
        for record in records:
            by_source[record.source].append(record)
        keyed = Keyed([], [])
        for source, some in by_source.items():
            pseudonyms = self._of(source)
            if sent := [each for each in some if isinstance(each, Activity)]:
                keyed.facts.append(_facts(source, sent, pseudonyms))
            if gone := [each for each in some if isinstance(each, Deletion)]:
                keyed.marks.append(_marks(source, gone, pseudonyms))
        return keyed

    def _of(self, source: str) -> Pseudonyms:
        if source not in self._pseudonyms:
            if len(self._pseudonyms) >= MOST_BEGUN:
                self._pseudonyms.clear()
            self._pseudonyms[source] = Pseudonyms(self._secret, source)
        return self._pseudonyms[source]


def _facts(source: str, some: Sequence[Activity], pseudonyms: Pseudonyms) -> Facts:
    keys = pseudonyms.messages([each.message_id for each in some])
    first = dict(zip(reversed(keys), reversed(some), strict=True))
    order = sorted(first)
    kept = [first[key] for key in order]
    return Facts(
        source,
        order,
        [each.at for each in kept],
        [each.person for each in kept],
        [each.space for each in kept],
        [traits(each) for each in kept],
        [each.files for each in kept],
        [each.file_bytes for each in kept],
        [each.files_of_unknown_size for each in kept],
        _repeated(some, kept),
    )


def _repeated(some: Sequence[Activity], kept: Sequence[Activity]) -> dict[int, int]:
    if len(some) == len(kept):
        return {}
    days = Counter([each.at // DAY for each in some])
    days.subtract([each.at // DAY for each in kept])
    return {day: count for day, count in days.items() if count}


def _marks(source: str, some: Sequence[Deletion], pseudonyms: Pseudonyms) -> Marks:
    keys = pseudonyms.messages([each.message_id for each in some])
    times = dict(zip(keys, [each.at or 0 for each in some], strict=True))
    order = sorted(times)
    sent = [each.sent for each in some if each.sent is not None]
    return Marks(
        source,
        order,
        [times[key] for key in order],
        _facts(source, sent, pseudonyms),
        len(some) - len(order),
    )
