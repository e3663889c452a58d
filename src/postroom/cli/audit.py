"""`postroom audit`."""

from typing import TYPE_CHECKING

import typer

from postroom.cli.command import Command, commands
from postroom.cli.failures import FAILED
from postroom.cli.options import Json
from postroom.cli.output import on_terminal, say, show_json, show_table
from postroom.cli.place import Place, with_place

if TYPE_CHECKING:  # loading it takes longer than most commands run
    from postroom.service.audit import Difference

app = commands()


DIFFERENCE_COLUMNS = "Organization", "Listener or day", "Counter", "Counted", "Facts"


def difference_row(each: "Difference") -> tuple[object, ...]:
    """A difference as a row."""
    return each.organization, each.listener or each.day, each.counter, each.counted, each.facts


@app.command("audit", cls=Command)
@with_place
def audit(*, place: Place, as_json: Json = False) -> None:
    """Hold what was counted against the facts; ends with 1 where they differ."""
    found = place.run(lambda hub: hub.audit.differences())
    if as_json:
        show_json({"ok": not found, "differences": found})
    elif found:
        show_table(DIFFERENCE_COLUMNS, [difference_row(each) for each in found], "")
    elif on_terminal():
        say("Every count is what the facts give.")
    if found:
        raise typer.Exit(FAILED)
