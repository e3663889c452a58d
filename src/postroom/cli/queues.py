"""`postroom queue`."""

from postroom.cli.command import Command, group
from postroom.cli.options import Json, Org
from postroom.cli.output import moment, show_json, show_table
from postroom.cli.place import Place, with_place

app = group("List queues.")


@app.command("list", cls=Command)
@with_place
def list_all(*, org: Org = None, place: Place, as_json: Json = False) -> None:
    """List the queues of an organization."""
    queues = place.run_in(org, lambda hub, found: hub.queues.of(found.id))
    if as_json:
        shown = [{"id": each.id, "name": each.name, "schema": each.raw_schema} for each in queues]
        show_json({"queues": shown})
    else:
        rows = [(each.id, each.name, moment(each.created_at), each.schema_id) for each in queues]
        show_table(("ID", "Name", "Made at", "Schema"), rows, "There is no queue yet.")
