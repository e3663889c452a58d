"""Runs what a command does on the store, beside a server or without one."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, get_type_hints

from postroom.cli.failures import Refused
from postroom.cli.options import Config, Data, Database
from postroom.domain.errors import NotFound
from postroom.domain.organization import Organization

if TYPE_CHECKING:  # loading these takes longer than most commands run
    from postroom.service.hub import Hub
    from postroom.settings import Settings

T = TypeVar("T")
CONFIG = Path("postroom.toml")
LISTED = 10


class Place(NamedTuple):
    """Where the store is: each field is an option of every command that works on it."""

    data: Data
    database: Database
    config: Config

    def settings(self) -> "Settings":
        """All settings.

        Raises:
            SettingsError: some cannot be used.
        """
        options = self._asdict()
        return settings_from(options.pop("config"), options)

    def run(self, work: "Callable[[Hub], Awaitable[T]]", *, may_make: bool = False) -> T:
        """What `work` answers; only with `may_make` is a database made where there is none.

        Raises:
            NotFound: there is no database.
            StoreError: it cannot be used.
            Unavailable: it is busy or full.
        """
        return asyncio.run(_within(self.settings(), work, may_make))

    def run_in(self, org: str | None, work: "Callable[[Hub, Organization], Awaitable[T]]") -> T:
        """What `work` answers for the organization `org`, a name or an id; None is the only one there is."""

        async def chosen(hub: "Hub") -> T:
            return await work(hub, choose(await hub.organizations.every(), org))

        return self.run(chosen)


def with_place(work: Callable[..., None]) -> Callable[..., None]:
    """The command `work` with the options of Place where it takes a `place`."""

    def command(**given: Any) -> None:
        place = Place(*(given.pop(name) for name in Place._fields))
        work(place=place, **given)

    command.__doc__ = work.__doc__
    command.__signature__ = _signature(work)  # type: ignore[attr-defined]
    return command


def _signature(work: Callable[..., None]) -> Signature:
    options = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in get_type_hints(Place, include_extras=True).items()
    ]
    own = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in signature(work).parameters.values()]
    at = [each.name for each in own].index("place")
    return Signature([*own[:at], *options, *own[at + 1 :]])


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


async def _within(settings: "Settings", work: "Callable[[Hub], Awaitable[T]]", may_make: bool) -> T:
    from postroom.runtime import commanding

    async with commanding(settings, may_make=may_make) as hub:
        return await work(hub)
