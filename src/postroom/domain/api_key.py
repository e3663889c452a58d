"""The secret of an organization, with scopes."""

import hashlib
from typing import Literal

import msgspec

from postroom.domain.scope import Scope

Status = Literal["enabled", "disabled"]
Encoding = Literal["array", "string"]
"""How daily totals show a list: as one, or as a string that holds it."""
PREFIX_LENGTH = 8
SECRET_BYTES = 48


class ApiKey(msgspec.Struct, frozen=True):
    """A key as it is stored: of the secret, only its digest and its first characters.

    An `encoding` of None is the server's.
    """

    org_id: str
    id: str
    name: str
    prefix: str
    status: Status
    scopes: tuple[Scope, ...]
    created_at: int
    updated_at: int
    last_used_at: int | None
    digest: bytes
    encoding: Encoding | None = None


def digest_of(secret: str) -> bytes:
    """What is stored of a secret. It has 384 bits of chance, so a plain hash is enough."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
