"""Time, in milliseconds since the epoch, that never steps back."""

import time
from collections.abc import Callable

Clock = Callable[[], int]

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def system_clock() -> int:
    """The system's time, ms."""
    return time.time_ns() // 1_000_000


class SharedClock:
    """A clock of this machine, set by one that several machines have in common."""

    def __init__(self, clock: Clock = system_clock) -> None:
        self._clock = clock
        self._ahead = 0

    def __call__(self) -> int:
        return self._clock() + self._ahead

    def set(self, shared: int, before: int, after: int) -> None:
        """The common clock showed `shared`, ms, at some moment between two times of this one.

        Of what may be, the latest is taken: behind the common clock, something could be stamped with a time
        before its transaction began.
        """
        if not shared - after <= self._ahead <= shared - before:
            self._ahead = shared - before


class HeldClock:
    """A clock held at the last time used when the one below it steps back.

    Totals are read by time, so an event must never be stamped earlier than one already counted.
    """

    def __init__(self, clock: Clock, last: int = 0) -> None:
        self._clock = clock
        self._last = last

    def __call__(self) -> int:
        self._last = max(self._last, self._clock())
        return self._last

    def hold(self, at: int) -> None:
        """Never answer a time before `at` from now on."""
        self._last = max(self._last, at)
