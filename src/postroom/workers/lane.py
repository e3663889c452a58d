"""What a deliverer has in mind about one listener."""

from collections import deque

from postroom.domain.delivery import SHORT, Owed
from postroom.service.deliveries import Lane

MOST_HELD = 256


class LaneQueue:
    """The due deliveries of one listener: some in memory, in order; `more` when the store may hold others."""

    def __init__(self, org_id: str, listener_id: str, more: bool = True) -> None:
        self.key = org_id, listener_id
        self.lane: Lane | None = None  # None until it was looked up
        self.due: deque[Owed] = deque()
        self.running: set[str] = set()
        self.more = more
        self.loading = False
        self.in_ring = False
        self.closed = False
        self.wake_at: int | None = None

    def ready(self, most: int) -> bool:
        """Whether a request can be made, with at most `most` at once."""
        return self._open and bool(self.due) and len(self.running) < most

    @property
    def hungry(self) -> bool:
        """Whether the store is to be asked for what is due."""
        return self._open and self.more and not self.due and not self.loading

    @property
    def _open(self) -> bool:
        return self.lane is not None and self.lane.open

    def offer(self, owed: Owed) -> None:
        """Take what was just committed, or leave it in the store to be read in its turn."""
        if self.more or self.loading or len(self.due) >= MOST_HELD:
            self.more = True
        elif owed.data is not None and len(owed.data) > SHORT:
            self.due.append(Owed(owed.message_id, owed.attempts))
        else:
            self.due.append(owed)

    def load(self, read: list[Owed], asked: int) -> None:
        """Take what the store gave when it was asked for so many; what is under way is among it."""
        self.due.extend(owed for owed in read if owed.message_id not in self.running)
        self.more = self.more or len(read) >= asked

    def discard(self, message_id: str) -> None:
        """Forget a message."""
        self.due = deque(owed for owed in self.due if owed.message_id != message_id)
