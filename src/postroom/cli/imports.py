"""`postroom import`."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from postroom.cli.command import Command, commands
from postroom.cli.failures import Refused
from postroom.cli.interpreter import interpreter
from postroom.cli.options import Json, Org
from postroom.cli.output import printable, show_fields, show_json
from postroom.cli.place import Place, with_place
from postroom.cli.signals import told_to_stop
from postroom.domain.activity import Damaged
from postroom.domain.day import iso
from postroom.domain.errors import Unavailable
from postroom.domain.imports import Summary
from postroom.domain.organization import Organization

if TYPE_CHECKING:  # loading these takes longer than most commands run
    import asyncio

    from postroom.cli.progress import Silent
    from postroom.service.exports import Export
    from postroom.service.hub import Hub

app = commands()

MOST_TOLD = 20
"""Of what is damaged, so much is told one by one."""
LONGEST_SOURCE = 100  # characters

Platform = Annotated[
    Literal[
        "slack",
        "zulip",
        "mattermost",
        "rocketchat",
        "teams",
        "webex",
        "matrix",
        "discord",
        "telegram",
        "ndjson",
    ],
    typer.Argument(metavar="PLATFORM", show_default=False),
]
Source = Annotated[
    str | None,
    typer.Option(
        "--source", metavar="NAME", help="Keep the activity under this name; the platform's if not given."
    ),
]


@app.command("import", cls=Command)
@with_place
def import_(
    *,
    platform: Platform,
    path: Annotated[Path, typer.Argument(metavar="PATH", show_default=False)],
    source: Source = None,
    org: Org = None,
    place: Place,
    as_json: Json = False,
) -> None:
    """Take in the activity in a chat platform's export; what was taken in before is not counted again."""
    with _opened(platform, path, _source(platform, source)) as export:

        async def work(hub: "Hub", organization: Organization) -> Summary | None:
            return await _imported(hub, organization, export, place, silent=as_json)

        summary = place.run_in(org, work)
        if summary is None:
            print("Interrupted. Run the same command again to go on.", file=sys.stderr)
            raise KeyboardInterrupt
        if as_json:
            show_json({"import": {"platform": platform, "source": export.identity.source, **_shape(summary)}})
        else:
            show_fields(_fields(summary))


def _source(platform: str, given: str | None) -> str:
    """Raises Refused where it cannot be the name of a source."""
    if given is None:
        return platform
    if not 0 < len(given) <= LONGEST_SOURCE or not given.isprintable():
        raise Refused(f"--source must have 1 to {LONGEST_SOURCE} characters, without control characters")
    return given


@contextmanager
def _opened(platform: str, path: Path, source: str) -> Iterator["Export"]:
    """The export at the path; Refused where there is none of the platform."""
    from postroom.service import exports
    from postroom.sources import trouble

    try:
        with exports.opened(platform, path, source, interpreter(), _load) as export:
            yield export
    except trouble.Refused as error:
        raise Refused(f"{printable(str(path))}: {error}") from error


def _load() -> None:
    """Load what takes its time, and is not needed before the export is open."""
    for name in ("postroom.runtime", "postroom.service.imports", "postroom.cli.progress"):
        import_module(name)


async def _imported(
    hub: "Hub", organization: Organization, export: "Export", place: Place, *, silent: bool
) -> Summary | None:
    from postroom.cli.progress import shown_in_percent
    from postroom.runtime import served
    from postroom.service.imports import Imports

    imports = Imports(hub.database, hub.intake, hub.folding, hub.clock)
    settings = place.settings()
    with shown_in_percent(silent=silent) as progress:
        watch = _Watch(export, progress, told_to_stop())
        try:
            return await imports.run(organization.id, export, watch, lambda: served(settings))
        except Unavailable as error:
            told = error.detail.rstrip(".")
            raise Unavailable(f"{told}; what was taken in stays, and the same command goes on") from error
        finally:
            watch.close()


class _Watch:
    """Shows how far an import is, and what of the export is damaged."""

    def __init__(self, export: "Export", progress: "Silent", stop: "asyncio.Event") -> None:
        self._export = export
        self._progress = progress
        self._stop = stop
        self._told = 0
        self._began: tuple[int, float] | None = None
        self._note = ""
        progress.begin({"read": export.total})

    def damaged(self, each: Damaged) -> None:
        """Tell of the first few."""
        self._told += 1
        if self._told <= MOST_TOLD:
            print(f"{printable(each.place)}: {printable(each.detail)}", file=sys.stderr)

    def reached(self, records: int) -> None:
        """Show how much of the export is read."""
        now = time.monotonic()
        self._note = f"{records} records"
        if self._began is None:
            self._began = records, now
        elif records > self._began[0]:
            self._note += f", {(records - self._began[0]) / (now - self._began[1]):.0f}/s"
        self._progress.reached("read", self._export.counted.read, self._note)

    def folded(self, steps: int, of: int) -> None:
        """Show how much is folded."""
        if steps == 0:
            self._progress.reached("read", self._export.total, self._note)
            self._progress.begin({"folded": of})
        self._progress.reached("folded", steps)

    def stopped(self) -> bool:
        """Whether Ctrl-C or SIGTERM came."""
        return self._stop.is_set()

    def close(self) -> None:
        """Tell how many were not told of."""
        if self._told > MOST_TOLD:
            print(f"{self._told - MOST_TOLD} more are damaged.", file=sys.stderr)


def _shape(summary: Summary) -> dict[str, Any]:
    """As JSON shows it."""
    return {
        "messages": summary.messages,
        "duplicates": summary.duplicates,
        "deletions": summary.deletions,
        "skipped": summary.skipped,
        "damaged": summary.damaged,
        "days": summary.days,
        "by_bots": summary.by_bots,
        "by_platform": summary.by_platform,
        "files": summary.files,
        "bytes": summary.file_bytes,
        "first_day": _day(summary.first_day),
        "last_day": _day(summary.last_day),
        "resumed_at": summary.resumed_at,
    }


def _fields(summary: Summary) -> dict[str, object]:
    """As a person reads it: a line for each rule."""
    shape = _shape(summary)
    rules = shape.pop("skipped")
    plain = {name.replace("_", " "): "none" if value is None else value for name, value in shape.items()}
    return plain | {f"skipped: {rule}": number for rule, number in rules.items()}


def _day(day: int | None) -> str | None:
    return None if day is None else iso(day)
