"""Handlers of listeners."""

from postroom.domain import listener
from postroom.http.bodies import (
    LinksAnswer,
    Listener,
    ListenerAnswer,
    ListenerMessages,
    ListenersAnswer,
    Liveness,
    Named,
    NamedListenerAnswer,
    NewListener,
    NewListenerAnswer,
)
from postroom.http.call import Call
from postroom.service.listeners import Report


async def get_all(call: Call) -> ListenersAnswer:
    """List the listeners of the organization."""
    return await _list(call, "/listeners", await call.hub.listeners.of(call.org_id))


async def get_of_queue(call: Call) -> ListenersAnswer:
    """List the listeners of a queue."""
    queue = await call.hub.queues.get(call.org_id, call.path["queue_id"])
    listeners = await call.hub.listeners.of(call.org_id, queue.id)
    return await _list(call, f"/queues/{queue.id}/listeners", listeners)


async def post(call: Call) -> NewListenerAnswer:
    """Attach a listener to a queue; the answer has its secret, shown this once."""
    fields = call.body.name, call.body.notify_url, call.body.liveness_url
    made = await call.hub.listeners.create(call.org_id, call.path["queue_id"], *fields)
    return NewListenerAnswer(
        listener=NewListener(made.id, made.name, made.secret), links=call.links(_path(made))
    )


async def get(call: Call) -> ListenerAnswer:
    """Show a listener with what became of its deliveries."""
    found = await call.hub.listeners.get(call.org_id, call.path["queue_id"], call.path["listener_id"])
    report = await call.hub.listeners.report(found)
    return ListenerAnswer(listener=_shown(report), links=call.links(_path(found)))


async def put(call: Call) -> NamedListenerAnswer:
    """Change a listener; switched on again, it is sent at once what waited for it."""
    changed = await call.hub.listeners.update(
        call.org_id,
        call.path["queue_id"],
        call.path["listener_id"],
        name=call.body.name,
        notify_url=call.body.notify_url,
        liveness_url=call.body.liveness_url,
        status=call.body.status,
    )
    return NamedListenerAnswer(listener=Named(changed.id, changed.name), links=call.links(_path(changed)))


async def delete(call: Call) -> LinksAnswer:
    """Delete a listener; what is pending is discarded."""
    queue_id, listener_id = call.path["queue_id"], call.path["listener_id"]
    await call.hub.listeners.delete(call.org_id, queue_id, listener_id)
    return LinksAnswer(links=call.links(f"/queues/{queue_id}/listeners/{listener_id}"))


async def _list(call: Call, path: str, listeners: list[listener.Listener]) -> ListenersAnswer:
    visible = call.visible("listeners")
    shown = [each for each in listeners if visible([each.id, each.queue_id])]
    return ListenersAnswer(
        listeners=[_shown(await call.hub.listeners.report(each)) for each in shown],
        links=call.links(path, ((each.name, _path(each)) for each in shown)),
    )


def _shown(report: Report) -> Listener:
    each, found, counts = report.listener, report.liveness, report.counts
    return Listener(
        each.id,
        each.name,
        each.status,
        Liveness(found.state, found.success_count, found.failure_count),
        ListenerMessages(
            counts.accepted, counts.delivered, counts.pending, counts.discarded, counts.failed, report.missed
        ),
        each.notify_url,
        each.liveness_url,
    )


def _path(each: listener.Listener) -> str:
    return f"/queues/{each.queue_id}/listeners/{each.id}"
