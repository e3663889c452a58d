"""What an API key may do."""

from collections.abc import Collection, Iterable
from typing import Any, Literal

import msgspec

from postroom.domain.errors import Invalid
from postroom.domain.ids import is_id

Access = Literal["read", "write"]

RESOURCES: tuple[str, ...] = (
    "activities",
    "analytics",
    "api_clients",
    "api_keys",
    "events",
    "queues",
    "listeners",
    "messages",
    "schemas",
    "sources",
    "stats",
    "subscriptions",
)
PROTECTED: frozenset[str] = frozenset({"api_clients", "api_keys", "subscriptions"})
"""Resources that cannot be granted through the API."""
UNDIVIDED: frozenset[str] = frozenset({"activities", "analytics", "events", "stats"})
"""Resources that are of the whole organization, so that no ids can be targets."""
ALL = "*"
MAX_SCOPES = 100
MAX_TARGETS = 1000
_KEYS = ("resource", "access", "targets")


class Scope(msgspec.Struct, frozen=True):
    """Access to one resource; `targets` is `*`, or the ids to which it is limited. Write includes read."""

    resource: str
    access: Access
    targets: str | tuple[str, ...] = ALL

    def covers(self, resource: str, access: Access) -> bool:
        """Whether the scope is for this resource and this access, whatever its targets."""
        return self.resource == resource and (self.access == "write" or access == "read")

    def reaches(self, access: Access, ids: Collection[str]) -> bool:
        """Whether the targets allow an operation on these ids; without ids only a list may be read."""
        if self.targets == ALL:
            return True
        return any(target in ids for target in self.targets) if ids else access == "read"


EVERYTHING: tuple[Scope, ...] = tuple(Scope(resource, "write") for resource in RESOURCES)
"""The scopes of an organization's first key."""

DEFAULT: tuple[Scope, ...] = (
    Scope("queues", "write"),
    Scope("listeners", "write"),
    Scope("messages", "write"),
    Scope("events", "read"),
    Scope("schemas", "read"),
    Scope("stats", "read"),
)
"""The scopes of a key made without any."""


def permits(scopes: Iterable[Scope], resource: str, access: Access, ids: Collection[str]) -> bool:
    """Whether an operation is permitted whose path holds `ids`."""
    for scope in scopes:  # of every request; a loop costs a third of any()
        if scope.resource == resource and scope.covers(resource, access) and scope.reaches(access, ids):
            return True
    return False


def visible(scopes: Iterable[Scope], resource: str, access: Access) -> frozenset[str] | None:
    """The ids to which a list is limited; None when it is not."""
    ids: set[str] = set()
    for scope in scopes:
        if scope.covers(resource, access):
            if scope.targets == ALL:
                return None
            ids.update(scope.targets)
    return frozenset(ids)


def to_raw(scopes: Iterable[Scope]) -> list[dict[str, Any]]:
    """The scopes in the documented shape."""
    return [
        {
            "resource": scope.resource,
            "access": scope.access,
            "targets": [ALL] if scope.targets == ALL else list(scope.targets),
        }
        for scope in scopes
    ]


def parse(raw: object) -> tuple[Scope, ...]:
    """The scopes given as decoded JSON. Invalid names what is wrong, as `scopes[0].resource`."""
    if not isinstance(raw, list) or len(raw) > MAX_SCOPES:
        raise Invalid("scopes", f"must be an array of at most {MAX_SCOPES} scopes")
    return tuple(_scope(each, f"scopes[{index}]") for index, each in enumerate(raw))


def _scope(raw: object, path: str) -> Scope:
    if not isinstance(raw, dict):
        raise Invalid(path, f"must be an object with {', '.join(_KEYS)}")
    if not raw.keys() <= set(_KEYS):
        raise Invalid(path, f"must have no other properties than {', '.join(_KEYS)}")
    return Scope(
        _resource(raw.get("resource"), f"{path}.resource"),
        _access(raw.get("access"), f"{path}.access"),
        _targets(raw.get("targets", ALL), f"{path}.targets", raw["resource"]),
    )


def _resource(raw: object, path: str) -> str:
    grantable = [resource for resource in RESOURCES if resource not in PROTECTED]
    if isinstance(raw, str) and raw in PROTECTED:
        raise Invalid(path, f"{raw} is protected and cannot be granted; use one of {', '.join(grantable)}")
    if not isinstance(raw, str) or raw not in grantable:
        raise Invalid(path, f"must be one of {', '.join(grantable)}")
    return raw


def _access(raw: object, path: str) -> Access:
    if raw == "read":
        return "read"
    if raw == "write":
        return "write"
    raise Invalid(path, "must be read or write")


def _targets(raw: object, path: str, resource: str) -> str | tuple[str, ...]:
    if raw in (ALL, [ALL]):
        return ALL
    if resource in UNDIVIDED:
        raise Invalid(path, f'must be "*": {resource} cannot be limited to ids')
    if not isinstance(raw, list) or not 1 <= len(raw) <= MAX_TARGETS:
        raise Invalid(path, f'must be "*" or an array of 1 to {MAX_TARGETS} ids')
    for index, each in enumerate(raw):
        if not isinstance(each, str) or not is_id(each):
            raise Invalid(f"{path}[{index}]", 'must be an id; "*" stands alone')
    return tuple(dict.fromkeys(raw))
