"""Tells whoever delivers, here or in another process, what was just committed: it need not look for it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from postroom.domain.delivery import Owed

Accepted = Mapping[tuple[str, str], Sequence[Owed]]
"""Messages in the order in which they were accepted, by their organization's id and their listener's."""


class Deliverer(Protocol):
    """Delivers what is owed."""

    def owed(self, accepted: Accepted, at: int, /) -> None:
        """Messages were accepted at the time `at`, ms."""

    def changed(self, org_id: str, listener_id: str) -> None:
        """A listener was added, changed, found alive or dead, or deleted."""

    def discarded(self, org_id: str, listener_id: str, message_id: str) -> None:
        """A message was deleted before it was delivered."""


class Outbox:
    """Passes news on to those who want to be told."""

    def __init__(self) -> None:
        self._told: list[Deliverer] = []

    def attach(self, deliverer: Deliverer) -> None:
        """From now on, tell `deliverer`, too."""
        self._told.append(deliverer)

    def owed(self, accepted: Accepted, at: int, /) -> None:
        """Messages were accepted at the time `at`, ms."""
        for deliverer in self._told:
            deliverer.owed(accepted, at)

    def changed(self, org_id: str, listener_id: str) -> None:
        """A listener was added, changed, found alive or dead, or deleted."""
        for deliverer in self._told:
            deliverer.changed(org_id, listener_id)

    def discarded(self, org_id: str, listener_id: str, message_id: str) -> None:
        """A message was deleted before it was delivered."""
        for deliverer in self._told:
            deliverer.discarded(org_id, listener_id, message_id)
