"""Time that a test sets."""

from postroom.domain.clock import DAY, HOUR, MINUTE, SECOND

NOON = 1_752_580_800_000  # 2025-07-15 12:00 UTC, ms


class MovingClock:
    """A clock that stands still until the test moves it, forward or back."""

    def __init__(self, now: int = NOON) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def pass_(self, *, days: int = 0, hours: int = 0, minutes: int = 0, seconds: int = 0, ms: int = 0) -> int:
        """Move by this much; the new time, ms."""
        self.now += days * DAY + hours * HOUR + minutes * MINUTE + seconds * SECOND + ms
        return self.now
