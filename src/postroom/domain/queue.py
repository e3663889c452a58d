"""A named, persistent stream of messages."""

from typing import Any

import msgspec

from postroom.domain.schema import Schema


class Queue(msgspec.Struct, frozen=True):
    """A queue; `schema` is what its messages must satisfy, `raw_schema` how it was written."""

    org_id: str
    id: str
    name: str
    schema_id: str | None
    raw_schema: dict[str, Any] | None
    schema: Schema | None
    created_at: int
