"""`postroom listener`."""

from typing import TYPE_CHECKING, Any

from postroom.cli.command import Command, group
from postroom.cli.options import Json, Org
from postroom.cli.output import show_json, show_table
from postroom.cli.place import Place, with_place
from postroom.domain.organization import Organization

if TYPE_CHECKING:
    from postroom.service.hub import Hub
    from postroom.service.listeners import Report

app = group("List listeners.")

HEADINGS = ("ID", "Name", "Queue", "State", "Acknowledged", "Pending", "Missed", "Notify URL")


@app.command("list", cls=Command)
@with_place
def list_all(*, org: Org = None, place: Place, as_json: Json = False) -> None:
    """List the listeners of an organization, with what became of their deliveries."""
    reports, names = place.run_in(org, _reports)
    if as_json:
        show_json({"listeners": [_shape(each, names[each.listener.queue_id]) for each in reports]})
    else:
        rows = [_row(each, names[each.listener.queue_id]) for each in reports]
        show_table(HEADINGS, rows, "There is no listener yet.")


async def _reports(hub: "Hub", organization: Organization) -> "tuple[list[Report], dict[str, str]]":
    """What became of each listener's deliveries, and the names of queues by their id."""
    listeners = await hub.listeners.of(organization.id)
    names = {queue.id: queue.name for queue in await hub.queues.of(organization.id)}
    return [await hub.listeners.report(each) for each in listeners if each.queue_id in names], names


def _row(report: "Report", queue: str) -> tuple[object, ...]:
    each, counts = report.listener, report.counts
    state = report.liveness.state if each.status == "enabled" else each.status
    return each.id, each.name, queue, state, counts.delivered, counts.pending, counts.failed, each.notify_url


def _shape(report: "Report", queue: str) -> dict[str, Any]:
    """The listener as the HTTP API shows it, with its queue."""
    each, counts, liveness = report.listener, report.counts, report.liveness
    return {
        "id": each.id,
        "name": each.name,
        "queue": {"id": each.queue_id, "name": queue},
        "status": each.status,
        "liveness": {
            "state": liveness.state,
            "success_count": liveness.success_count,
            "failure_count": liveness.failure_count,
        },
        "messages": {
            "accepted_count": counts.accepted,
            "acknowledged_count": counts.delivered,
            "pending_count": counts.pending,
            "discarded_count": counts.discarded,
            "missed_count": counts.failed,
            "missed": report.missed,
        },
        "notify_url": each.notify_url,
        "liveness_url": each.liveness_url,
    }
