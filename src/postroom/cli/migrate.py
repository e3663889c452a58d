"""`postroom migrate`."""

import asyncio

from postroom.cli.command import Command, commands
from postroom.cli.options import Json
from postroom.cli.output import say, show_json
from postroom.cli.place import Place, with_place

app = commands()


@app.command("migrate", cls=Command)
@with_place
def migrate(*, place: Place, as_json: Json = False) -> None:
    """Bring the database to this version, or make it; `serve` does the same when it starts."""
    settings = place.settings()
    from postroom.runtime import prepare

    applied = asyncio.run(prepare(settings))
    if as_json:
        show_json({"applied": [{"number": each.number, "name": each.name} for each in applied]})
    elif applied:
        say("\n".join(f"Applied migration {each.number:04} ({each.name})." for each in applied))
    else:
        say("The database is up to date.")
