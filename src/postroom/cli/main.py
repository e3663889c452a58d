"""The command `postroom`: every other command is loaded when it is asked for."""

import os
import sys
from collections.abc import Callable
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from postroom import __version__
from postroom.cli.command import commands
from postroom.cli.failures import FAILED, explain

MODULES = {
    "serve": "serve",
    "org": "organizations",
    "key": "api_keys",
    "queue": "queues",
    "listener": "listeners",
    "send": "messages",
    "stats": "stats",
    "events": "events",
    "listen": "listen",
    "import": "imports",
    "audit": "audit",
    "migrate": "migrate",
    "copy": "copy",
    "version": "version",
}
"""Commands, and the modules that have them."""


class Root(TyperGroup):
    """The commands by name; starting one does not load what the others need."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        names: dict[str, Any] = dict.fromkeys(MODULES)
        self.commands = names

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, loaded; None where there is none."""
        if cmd_name not in MODULES:
            return None
        command = get_command(import_module(f"postroom.cli.{MODULES[cmd_name]}").app)
        command.name = cmd_name
        return command


app = commands()


@app.callback(cls=Root, invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """A self-hosted message hub that counts what it carries."""
    if version:
        print(f"Postroom {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())
    if version or context.invoked_subcommand is None:
        raise typer.Exit


def main() -> int:
    """Run one command; the exit code."""
    return guarded(lambda: get_command(app).main(prog_name="postroom", standalone_mode=False) or 0)


def guarded(work: Callable[[], int]) -> int:
    """The exit code of `work`, or what explaining its error gives."""
    _open_streams()
    try:
        code = _explained(work)
        sys.stdout.flush()
    except BrokenPipeError:
        # What could not be written is not to be tried again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return FAILED
    return code


def _explained(work: Callable[[], int]) -> int:
    try:
        return work()
    except Exception as error:
        return explain(error)


def _open_streams() -> None:
    """A standard stream that is closed is None in Python; what the locale has no letter for is escaped."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - kept to the end
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
