"""`postroom events`."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from postroom.cli.command import Command, commands
from postroom.cli.options import Json, Org
from postroom.cli.output import moment, on_terminal, printable, show_json, styled
from postroom.cli.place import Place, with_place
from postroom.domain import ids
from postroom.domain.organization import Organization
from postroom.domain.usage import NAMES, Kind

if TYPE_CHECKING:
    from postroom.service.hub import Hub
    from postroom.service.stats import Event

app = commands()

TOGETHER = 1000
PAUSE = 0.5  # seconds
SUBJECTS = {"api_key": "API key", "queue": "queue", "listener": "listener", "message": "message"}
_STYLES = {Kind.MESSAGE_PUBLISHED_OK: "green", Kind.MESSAGE_PUBLISHED_NOT_OK: "red"}

Group = Annotated[
    Literal["all", "api_keys", "listeners", "messages", "queues"],
    typer.Option("--events", metavar="GROUP", help="all, api_keys, listeners, messages or queues."),
]
Follow = Annotated[bool, typer.Option("--follow", help="Go on with what happens from now on.")]


@app.command("events", cls=Command)
@with_place
def events(
    *,
    group: Group = "all",
    follow: Follow = False,
    org: Org = None,
    place: Place,
    as_json: Json = False,
) -> None:
    """Print what happened in the last 24 hours, oldest first."""
    show = _show_json if as_json else _show_on_terminal if on_terminal() else _show_plain

    async def read(hub: "Hub", organization: Organization) -> None:
        async for event in _read(hub, organization.id, group, PAUSE if follow else None):
            show(organization.id, event)

    place.run_in(org, read)


async def _read(hub: "Hub", org_id: str, group: str, pause: float | None) -> AsyncIterator["Event"]:
    """Each event once; unless `pause` is None without end, looking for more after so many seconds.

    Another process may add events to the last millisecond that was read, with ids below those read. So that
    millisecond is read again; `seen` are the ids of it that were given.
    """
    after: str | None = None
    seen: set[str] = set()
    while True:
        some = await hub.statistics.events(org_id, group, after, TOGETHER)
        for event in some:
            if event.id not in seen:
                yield event
        seen = _of_last_moment(some, seen)
        if len(some) == TOGETHER:
            after = some[-1].id
        elif pause is None:
            return
        else:
            after = ids.lowest(ids.time_of(max(seen))) if seen else None
            await asyncio.sleep(pause)


def _of_last_moment(some: list["Event"], seen: set[str]) -> set[str]:
    """Of the ids given by now, those of the latest millisecond."""
    given = {event.id for event in some} | seen
    last = ids.time_of(max(given)) if given else 0
    return {each for each in given if ids.time_of(each) == last}


def _show_json(org_id: str, event: "Event") -> None:
    """As the HTTP API shows it, one event in a line."""
    shown: dict[str, Any] = {
        "id": event.id,
        "type": NAMES[event.kind],
        "stored_at": event.stored_at,
        "client": {"id": org_id},
    }
    about = ((subject, getattr(event, subject)) for subject in SUBJECTS)
    show_json(shown | {subject: thing for subject, thing in about if thing}, in_one_line=True)


def _show_plain(org_id: str, event: "Event") -> None:
    """Time, type, and the names of key, queue, listener and message; the id where there is no name."""
    print(moment(event.stored_at), NAMES[event.kind], *_names(event), sep="\t", flush=True)


def _show_on_terminal(org_id: str, event: "Event") -> None:
    things = zip(SUBJECTS.values(), _names(event), strict=True)
    styled(
        (moment(event.stored_at), "dim"),
        (f"  {NAMES[event.kind]:24}  ", _STYLES.get(event.kind, "cyan")),
        (", ".join(f"{word} {name}" for word, name in things if name), ""),
    )


def _names(event: "Event") -> list[str]:
    things = [getattr(event, subject) for subject in SUBJECTS]
    return ["" if thing is None else printable(thing.name or thing.id) for thing in things]
