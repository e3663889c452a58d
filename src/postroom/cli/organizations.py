"""`postroom org`."""

from typing import Annotated, Any

import typer

from postroom.cli.command import Command, group
from postroom.cli.options import Json
from postroom.cli.output import moment, show_fields, show_json, show_table
from postroom.cli.place import Place, with_place
from postroom.domain.organization import Organization

app = group("Make and list organizations.")
ONCE = "The key is shown only this once, and may do everything."


@app.command("create", cls=Command)
@with_place
def create(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
    time_zone: Annotated[
        str, typer.Option("--time-zone", metavar="ZONE", help="Where its days begin, as in Europe/Berlin.")
    ] = "UTC",
    place: Place,
    as_json: Json = False,
) -> None:
    """Make an organization and its first API key."""
    made, secret = place.run(lambda hub: hub.organizations.found(name, time_zone), may_make=True)
    if as_json:
        show_json({"organization": shape(made), "api_key": secret})
    else:
        show_fields({"organization": made.name, "id": made.id, "api_key": secret}, ONCE)


@app.command("list", cls=Command)
@with_place
def list_all(*, place: Place, as_json: Json = False) -> None:
    """List all organizations."""
    found = place.run(lambda hub: hub.organizations.every())
    if as_json:
        show_json({"organizations": [shape(each) for each in found]})
    else:
        rows = [(each.id, each.name, each.time_zone, moment(each.created_at)) for each in found]
        show_table(("ID", "Name", "Time zone", "Made at"), rows, "There is no organization yet.")


def shape(organization: Organization) -> dict[str, Any]:
    """The organization as JSON shows it; times are ms."""
    return {
        "id": organization.id,
        "name": organization.name,
        "time_zone": organization.time_zone,
        "created_at": organization.created_at,
    }
