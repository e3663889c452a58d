"""What came of an import: of the part that was taken in by now, and of the whole."""

import msgspec

from postroom.domain.facts import Keyed, Taken


class State(msgspec.Struct, frozen=True):
    """What came of the records that were taken in by now; it is kept in one commit with them.

    `activities` and `marks` are how many activities and deletions of the export were taken, be they new or
    not: whoever goes on leaves out so many of each. The others are how many were new, how many were not, and
    the days on which anything changed.
    """

    activities: int = 0
    marks: int = 0
    messages: int = 0
    deletions: int = 0
    duplicates: int = 0
    days: frozenset[int] = frozenset()

    @property
    def records(self) -> int:
        """All that were taken."""
        return self.activities + self.marks

    def after(self, keyed: Keyed, taken: Taken) -> "State":
        """When these were taken, and this came of it."""
        return State(
            self.activities + keyed.activities,
            self.marks + keyed.deletions,
            self.messages + taken.messages,
            self.deletions + taken.deletions,
            self.duplicates + taken.duplicates,
            self.days | taken.days,
        )


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an import.

    Messages and deletions are those that were new, duplicates those that were not; `days` are those on which
    anything changed. What follows `days` is of all messages that the export has.
    """

    resumed_at: int  # records that were taken in by an import of the same that was interrupted
    messages: int
    duplicates: int
    deletions: int
    skipped: dict[str, int]  # by rule
    damaged: int
    days: int
    by_bots: int
    by_platform: int
    files: int
    file_bytes: int
    first_day: int | None
    last_day: int | None
