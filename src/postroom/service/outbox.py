"""Tells whoever delivers what was just committed, so that it need not look for it."""

from typing import Protocol

from postroom.domain.delivery import Owed


class Deliverer(Protocol):
    """Delivers what is owed."""

    def owed(self, org_id: str, listener_id: str, owed: Owed) -> None:
        """A message was accepted."""

    def changed(self, org_id: str, listener_id: str) -> None:
        """A listener was added, changed, found alive or dead, or deleted."""

    def discarded(self, org_id: str, listener_id: str, message_id: str) -> None:
        """A message was deleted before it was delivered."""


class Outbox:
    """Passes news on to the deliverer of this process, if it has one."""

    def __init__(self) -> None:
        self._deliverer: Deliverer | None = None

    def attach(self, deliverer: Deliverer) -> None:
        """From now on, tell `deliverer`."""
        self._deliverer = deliverer

    def owed(self, org_id: str, listener_id: str, owed: Owed) -> None:
        """A message was accepted."""
        if self._deliverer:
            self._deliverer.owed(org_id, listener_id, owed)

    def changed(self, org_id: str, listener_id: str) -> None:
        """A listener was added, changed, found alive or dead, or deleted."""
        if self._deliverer:
            self._deliverer.changed(org_id, listener_id)

    def discarded(self, org_id: str, listener_id: str, message_id: str) -> None:
        """A message was deleted before it was delivered."""
        if self._deliverer:
            self._deliverer.discarded(org_id, listener_id, message_id)
