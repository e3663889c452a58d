"""Runs what a command does on the store, beside a server or without one."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from postroom.cli.failures import Refused
from postroom.domain.errors import NotFound
from postroom.domain.organization import Organization

if TYPE_CHECKING:  # loading these takes longer than most commands run
    from postroom.service.hub import Hub
    from postroom.settings import Settings

T = TypeVar("T")
CONFIG = Path("postroom.toml")
DATABASE = "postroom.db"
LISTED = 10


class Place(NamedTuple):
    """Where the store is: the options --data and --config."""

    data: str | None
    config: Path | None

    def settings(self) -> "Settings":
        """All settings.

        Raises:
            SettingsError: some cannot be used.
        """
        return settings_from(self.config, {"data": self.data})

    def run(self, work: "Callable[[Hub], Awaitable[T]]", *, may_make: bool = False) -> T:
        """What `work` answers; only with `may_make` is a database made where there is none.

        Raises:
            NotFound: there is no database.
            StoreError: it cannot be used.
            Unavailable: it is busy or full.
        """
        settings = self.settings()
        if not may_make and not (settings.data / DATABASE).exists():
            raise NotFound(
                f"there is no database in {settings.data}; name its directory with --data,"
                " or make one with postroom org create NAME"
            )
        return asyncio.run(_within(settings, work))

    def run_in(self, org: str | None, work: "Callable[[Hub, Organization], Awaitable[T]]") -> T:
        """What `work` answers for the organization `org`, a name or an id; None is the only one there is."""

        async def chosen(hub: "Hub") -> T:
            return await work(hub, choose(await hub.organizations.every(), org))

        return self.run(chosen)


def settings_from(config: Path | None, options: dict[str, object]) -> "Settings":
    """Settings from options, the environment and the file.

    Raises:
        SettingsError: some cannot be used.
    """
    from postroom.settings import load

    return load(options, os.environ, config or (CONFIG if CONFIG.exists() else None))


def choose(organizations: list[Organization], org: str | None) -> Organization:
    """The organization with this name or id, or the only one.

    Raises:
        NotFound: it is not there.
        Refused: which one is meant is open.
    """
    names = listed(organizations)
    if not organizations:
        raise NotFound("there is no organization yet; make one with postroom org create NAME")
    if org is None and len(organizations) > 1:
        raise Refused(f"say which organization with --org NAME; there are {names}")
    for each in organizations:
        if org in {None, each.name, each.id}:
            return each
    raise NotFound(f"there is no organization {org!r}; there are {names}")


def listed(organizations: Sequence[Organization]) -> str:
    """The names of the first few."""
    names = [each.name for each in organizations[:LISTED]]
    more = len(organizations) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


async def _within(settings: "Settings", work: "Callable[[Hub], Awaitable[T]]") -> T:
    from postroom.runtime import commanding

    async with commanding(settings) as hub:
        return await work(hub)
