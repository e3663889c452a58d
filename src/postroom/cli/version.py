"""`postroom version`."""

from postroom import __version__
from postroom.cli.command import Command, commands
from postroom.cli.options import Json
from postroom.cli.output import say, show_json

app = commands()


@app.command("version", cls=Command)
def version(as_json: Json = False) -> None:
    """Print the version."""
    if as_json:
        show_json({"version": __version__})
    else:
        say(f"Postroom {__version__}", __version__)
