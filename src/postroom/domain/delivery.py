"""A message owed to a listener, and the requests made for it."""

from enum import IntEnum

import msgspec

ANSWER_KEPT = 20_000
SHORT = 1024  # bytes; longer data is not held in memory while it waits


class State(IntEnum):
    """What became of a delivery."""

    PENDING = 0
    DELIVERED = 1
    FAILED = 2
    DISCARDED = 3


class Owed(msgspec.Struct, frozen=True):
    """A pending delivery; `data` is the message's where it is at hand."""

    message_id: str
    attempts: int
    data: bytes | None = None


class Attempt(msgspec.Struct, frozen=True):
    """One request made: `status` of the answer, or `error`, the class of what went wrong; or both.

    `at` is the start in ms since the epoch, `duration` is in ms, `answer` the first 20,000 bytes.
    """

    listener_id: str
    number: int
    at: int
    duration: int
    status: int | None
    error: str | None
    answer: bytes

    @property
    def acknowledged(self) -> bool:
        """Whether the receiver took the message: only a 2xx says so."""
        return self.error is None


class Outcome(msgspec.Struct, frozen=True):
    """What an attempt leads to: the delivery's new state, and when (ms) it ended or is due again."""

    org_id: str
    message_id: str
    queue_id: str
    attempt: Attempt
    state: State
    at: int
    listener_gone: bool = False
