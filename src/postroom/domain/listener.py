"""An HTTP endpoint attached to a queue."""

import zlib
from typing import Literal

import msgspec

Status = Literal["enabled", "disabled"]
SLOTS = 256
EVERY_SLOT = frozenset(range(SLOTS))
MISSED_SHOWN = 100
SECRET_BYTES = 32


class Listener(msgspec.Struct, frozen=True):
    """Where messages of a queue are delivered."""

    org_id: str
    id: str
    queue_id: str
    name: str
    notify_url: str
    liveness_url: str
    secret: str
    status: Status
    slot: int
    created_at: int


class Counts(msgspec.Struct, frozen=True):
    """What became of a listener's deliveries; each is delivered, failed, discarded or pending."""

    accepted: int = 0
    delivered: int = 0
    failed: int = 0
    discarded: int = 0

    @property
    def pending(self) -> int:
        """Deliveries that nothing has ended yet."""
        return self.accepted - self.delivered - self.failed - self.discarded


def slot_of(listener_id: str) -> int:
    """Which of the slots, 0..255, a listener's deliveries belong to."""
    return zlib.crc32(listener_id.encode()) % SLOTS
