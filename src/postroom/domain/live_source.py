"""A live source: a chat platform that sends what happens, as it happens."""

from typing import Literal

import msgspec

from postroom.domain.errors import Invalid
from postroom.domain.names import check_name

Kind = Literal["slack", "webex", "matrix", "zulip", "mattermost", "rocketchat"]
Status = Literal["enabled", "disabled"]

LONGEST_NAME = 100
LONGEST_SECRET = 1000
SECRET_BYTES = 32
SALT_BYTES = 16
MADE_HERE: frozenset[Kind] = frozenset({"matrix", "webex"})
"""Platforms that are told the secret; the others make it themselves."""


class LiveSource(msgspec.Struct, frozen=True):
    """Where a platform sends its events; `name` is the source under which their activity is kept.

    `secret` verifies what comes; nothing does while it is empty. `salt` keys hashes of what has to be
    remembered of the platform. `updated_at` is ms UTC, as is `created_at`.
    """

    org_id: str
    id: str
    name: str
    kind: Kind
    secret: str
    status: Status
    salt: bytes
    created_at: int
    updated_at: int


class Counts(msgspec.Struct, frozen=True):
    """What became of a source's events, and when the last one came (ms UTC)."""

    accepted: int = 0
    duplicates: int = 0
    ignored: int = 0
    rejected: int = 0
    last_event_at: int | None = None


def check_source_name(name: str, field: str = "name") -> str:
    """The name, when activity may be kept under it. Invalid says why not."""
    check_name(name, field)
    if len(name) > LONGEST_NAME:
        raise Invalid(field, f"must have at most {LONGEST_NAME} characters")
    return name


def check_secret(secret: str) -> str:
    """The secret, when it can be one. Invalid says why not."""
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise Invalid("secret", "must be of letters, digits and signs of ASCII, without spaces")
    if not 1 <= len(secret) <= LONGEST_SECRET:
        raise Invalid("secret", f"must have from 1 to {LONGEST_SECRET} characters")
    return secret
