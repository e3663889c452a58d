"""`postroom audit`."""

import typer

from postroom.cli.command import Command, commands
from postroom.cli.failures import FAILED
from postroom.cli.options import Json
from postroom.cli.output import on_terminal, say, show_json, show_table
from postroom.cli.place import Place, with_place

app = commands()


@app.command("audit", cls=Command)
@with_place
def audit(*, place: Place, as_json: Json = False) -> None:
    """Hold what was counted against the facts; ends with 1 where they differ."""
    found = place.run(lambda hub: hub.audit.differences())
    if as_json:
        show_json({"ok": not found, "differences": found})
    elif found:
        rows = [(each.organization, each.listener, each.counter, each.counted, each.facts) for each in found]
        show_table(("Organization", "Listener", "Counter", "Counted", "Facts"), rows, "")
    elif on_terminal():
        say("Every count is what the facts give.")
    if found:
        raise typer.Exit(FAILED)
