"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Directory of the database; also POSTROOM_DATA, or data in postroom.toml.",
    ),
]
Database = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="PostgreSQL database, in place of --data; also POSTROOM_DATABASE, or database in postroom.toml.",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="File with settings; postroom.toml of this directory if it is there."
    ),
]
Org = Annotated[
    str | None,
    typer.Option(
        "--org",
        metavar="NAME",
        envvar="POSTROOM_ORG",
        show_envvar=False,
        help="Organization, by name or id; also POSTROOM_ORG. Not needed where there is only one.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
