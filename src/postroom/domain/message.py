"""What is sent."""

import msgspec


class Message(msgspec.Struct, frozen=True):
    """A message; `data` is UTF-8."""

    org_id: str
    id: str
    queue_id: str
    name: str | None
    data: bytes


class MessageName(msgspec.Struct, frozen=True):
    """A message in a list."""

    id: str
    name: str | None
    queue_id: str
