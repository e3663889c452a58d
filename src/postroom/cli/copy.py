"""`postroom copy`."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.cli.audit import DIFFERENCE_COLUMNS, difference_row
from postroom.cli.command import Command, commands
from postroom.cli.failures import Refused
from postroom.cli.options import Json
from postroom.cli.output import on_terminal, say, show_json, show_table
from postroom.domain.clock import system_clock
from postroom.domain.database import postgresql

if TYPE_CHECKING:  # loading it takes longer than most commands run
    from postroom.service.copying import Verification

app = commands()

From = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="ADDRESS",
        help="Database to copy: sqlite:PATH, of a file or a data directory, or postgresql://USER@HOST/NAME.",
    ),
]
To = Annotated[
    str,
    typer.Option("--to", metavar="ADDRESS", help="Database to copy it into, which must be empty."),
]


@app.command("copy", cls=Command)
def copy(*, source: From, target: To, as_json: Json = False) -> None:
    """Copy everything into another database, to serve from that one; goes on where it was interrupted."""
    addresses = _address("--from", source), _address("--to", target)
    try:
        found = asyncio.run(_copied(*addresses, silent=as_json))
    except KeyboardInterrupt:
        print("Interrupted. Run the same command again to go on.", file=sys.stderr)
        raise
    if as_json:
        show_json(_as_json(found))
    else:
        _show(found)
    _judge(found)


async def _copied(source: str, target: str, *, silent: bool) -> "Verification":
    from postroom.cli.progress import shown
    from postroom.service.copying import opened

    async with opened(source, target, system_clock) as under_way:
        with shown(silent=silent) as progress:
            await under_way.move(progress)
        if on_terminal() and not silent:
            say("Counting and auditing both databases.")
        return await under_way.verify()


def _address(option: str, text: str) -> str:
    if text.startswith("sqlite:") and text != "sqlite:":
        return text
    try:
        return postgresql(text)
    except ValueError as error:
        raise Refused(f"{option} {error}, or sqlite:PATH") from error


def _as_json(found: "Verification") -> dict[str, Any]:
    return {
        "tables": {name: source for name, (source, _) in found.rows.items()},
        "verified": found.good,
        "unequal": found.unequal,
        "differences": {"source": found.source, "target": found.target},
    }


def _show(found: "Verification") -> None:
    if found.unequal:
        rows = [(name, *numbers) for name, numbers in found.unequal.items()]
        show_table(("Table", "Rows in source", "Rows in target"), rows, "")
    differences = [("source", each) for each in found.source] + [("target", each) for each in found.target]
    if differences:
        rows_of_both = [(side, *difference_row(each)) for side, each in differences]
        show_table(("Database", *DIFFERENCE_COLUMNS), rows_of_both, "")
    if found.good and on_terminal():
        say("Every row is there, and every count is what the facts give.")


def _judge(found: "Verification") -> None:
    """Raises Refused where something is not as it should be."""
    if not found.alike:
        raise Refused(
            "the databases are not alike, so the copy cannot be used; begin again with an empty one"
        )
    if not found.good:
        raise Refused(
            "some counts of the source are not what its facts give; they were copied as they are,"
            " and the copy can be used"
        )
