"""`postroom stats`."""

import msgspec

from postroom.cli.command import Command, commands
from postroom.cli.options import Json, Org
from postroom.cli.output import show_json, show_table
from postroom.cli.place import Place, with_place
from postroom.domain.usage import NAMES

app = commands()


@app.command("stats", cls=Command)
@with_place
def stats(*, org: Org = None, place: Place, as_json: Json = False) -> None:
    """Count what happened in the last 24 hours, the last hour and today so far."""
    counted = place.run_in(org, lambda hub, found: hub.statistics.messages(found.id))
    windows = msgspec.structs.asdict(counted)
    if as_json:
        shown = {window: dict(zip(NAMES, totals, strict=True)) for window, totals in windows.items()}
        show_json({"aggregated_api_usage_events": shown})
    else:
        rows = list(zip(NAMES, *windows.values(), strict=True))
        show_table(("", "Last 24 hours", "Last hour", "Today so far"), rows, "")
