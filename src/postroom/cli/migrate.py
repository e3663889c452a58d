"""`postroom migrate`."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from postroom.cli.command import Command, commands
from postroom.cli.options import Json
from postroom.cli.output import say, show_json
from postroom.cli.place import Place, with_place

if TYPE_CHECKING:  # loading these takes longer than most commands run
    from postroom.settings import Settings
    from postroom.store.steps import Migration

Distribute = Annotated[
    bool,
    typer.Option(
        "--distribute",
        help="Also distribute the tables over the nodes of a Citus cluster; nothing may serve.",
    ),
]

app = commands()


@app.command("migrate", cls=Command)
@with_place
def migrate(*, place: Place, distribute: Distribute = False, as_json: Json = False) -> None:
    """Bring the database to this version, or make it; `serve` does the same when it starts."""
    settings = place.settings()
    if distribute:
        _distribute(settings, as_json)
        return
    from postroom.runtime import prepare

    applied = asyncio.run(prepare(settings))
    if as_json:
        show_json({"applied": _listed(applied)})
    else:
        say(_told(applied) or "The database is up to date.")


def _distribute(settings: "Settings", as_json: bool) -> None:
    """Tables may be large: each is told when it is done."""
    from postroom.domain.clock import system_clock
    from postroom.store import drivers

    distributed: list[str] = []

    def done(table: str) -> None:
        distributed.append(table)
        if not as_json:
            print(f"Distributed {table}.", flush=True)

    applied = asyncio.run(drivers.distribute(settings.address, system_clock, done))
    if as_json:
        show_json({"applied": _listed(applied), "distributed": distributed})
    elif applied or not distributed:
        say(_told(applied) or "The database is up to date, and distributed.")


def _listed(applied: "Sequence[Migration]") -> list[dict[str, object]]:
    return [{"number": each.number, "name": each.name} for each in applied]


def _told(applied: "Sequence[Migration]") -> str:
    return "\n".join(f"Applied migration {each.number:04} ({each.name})." for each in applied)
