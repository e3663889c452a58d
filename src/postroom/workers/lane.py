"""What a deliverer has in mind about one listener."""

from collections import deque

from postroom.domain.delivery import SHORT, Owed
from postroom.service.deliveries import Lane

MOST_HELD = 256
LATE = 1000
"""How much later, ms, another process' commit is seen than it says. What is later still is searched for."""
_NEVER = 1 << 62


class LaneQueue:
    """The due deliveries of one listener: some in memory, in order; `more` when the store may hold others.

    `running` are the messages under way. Reading from the store takes time, in which messages are accepted,
    delivered and deleted: none of them is to be sent twice.
    """

    def __init__(self, org_id: str, listener_id: str, running: set[str], more: bool = True) -> None:
        self.key = org_id, listener_id
        self.lane: Lane | None = None  # None until it was looked up
        self.due: deque[Owed] = deque()
        self.running = running
        self.more = more
        self.in_ring = False
        self.closed = False
        self.wake_at: int | None = None
        self._past: set[str] | None = None  # while the store is asked: what is not to be taken from there
        self._newest = ""  # of all messages that the store ever gave
        self._since = 0  # ms; what became due before was read, and is in memory or has come to its end

    def ready(self, most: int) -> bool:
        """Whether a request can be made, with at most `most` at once."""
        return self._open and bool(self.due) and len(self.running) < most

    @property
    def hungry(self) -> bool:
        """Whether the store is to be asked for what is due."""
        return self._open and self.more and not self.due and self._past is None

    @property
    def _open(self) -> bool:
        return self.lane is not None and self.lane.open

    def offer(self, owed: Owed, at: int) -> None:
        """Take what was just committed, at the time `at`, ms; or leave it in the store until its turn."""
        in_turn = self.more or self._past is not None or len(self.due) >= MOST_HELD
        # What is no newer than anything read may have been read, and sent, before this process was told.
        if in_turn or owed.message_id <= self._newest:
            self.more = True
            self.look_from(at)
        elif owed.data is not None and len(owed.data) > SHORT:
            self.due.append(Owed(owed.message_id, owed.attempts))
        else:
            self.due.append(owed)

    def look_from(self, at: int) -> None:
        """The store may have something that became due at the time `at` (ms), or later."""
        self._since = min(self._since, at)

    def expect(self) -> int:
        """The store is being asked: for what became due since this time, ms.

        What was read need not be looked at again. A database that has not cleaned up yet what came to its end
        would pass over all of it.
        """
        self._past, self.more = set(self.running), False
        since, self._since = self._since, _NEVER
        return since

    def load(self, read: list[Owed], asked: int, read_to: int) -> None:
        """Take what the store gave when it was asked for so many, but for what is or was under way.

        It was all that became due by the time `read_to`, ms.
        """
        self.look_from(max(read_to - LATE, 0))
        past, self._past = self._past or set(), None
        self._newest = max([self._newest, *(owed.message_id for owed in read)])
        self.due.extend(owed for owed in read if owed.message_id not in past)
        self.more = self.more or len(read) >= asked

    def discard(self, message_id: str) -> None:
        """Forget a message."""
        self.due = deque(owed for owed in self.due if owed.message_id != message_id)
        if self._past is not None:
            self._past.add(message_id)
