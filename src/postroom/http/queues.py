"""Handlers of queues and their schemas."""

from postroom.domain import queue
from postroom.http.bodies import LinksAnswer, Named, Queue, QueueAnswer, QueuesAnswer, SchemaAnswer
from postroom.http.call import Call


async def get_all(call: Call) -> QueuesAnswer:
    """List the queues of the organization."""
    visible = call.visible("queues")
    queues = [each for each in await call.hub.queues.of(call.org_id) if visible([each.id])]
    return QueuesAnswer(
        queues=[Named(each.id, each.name) for each in queues],
        links=call.links("/queues", ((each.name, _path(each.id)) for each in queues)),
    )


async def post(call: Call) -> QueueAnswer:
    """Make a queue."""
    return await _answer(call, await call.hub.queues.create(call.org_id, call.body.name, call.body.schema))


async def get(call: Call) -> QueueAnswer:
    """Show a queue."""
    return await _answer(call, await call.hub.queues.get(call.org_id, call.path["queue_id"]))


async def put(call: Call) -> QueueAnswer:
    """Change a queue."""
    change = call.path["queue_id"], call.body.name, call.body.schema
    return await _answer(call, await call.hub.queues.update(call.org_id, *change))


async def delete(call: Call) -> LinksAnswer:
    """Delete a queue with its listeners and messages; what is pending is discarded."""
    await call.hub.queues.delete(call.org_id, call.path["queue_id"])
    return LinksAnswer(links=call.links(_path(call.path["queue_id"])))


async def get_schema(call: Call) -> SchemaAnswer:
    """Show a version of a queue's schema; its id is the SHA-256 of its canonical JSON."""
    queue_id, schema_id = call.path["queue_id"], call.path["schema_id"]
    schema = await call.hub.queues.get_schema(call.org_id, queue_id, schema_id)
    return SchemaAnswer(schema=schema, links=call.links(f"{_path(queue_id)}/schemas/{schema_id}"))


async def _answer(call: Call, found: queue.Queue) -> QueueAnswer:
    path = _path(found.id)
    listeners = await call.hub.listeners.of(call.org_id, found.id)
    others = [(each.name, f"{path}/listeners/{each.id}") for each in listeners]
    if found.schema_id is not None:
        others.append(("schema", f"{path}/schemas/{found.schema_id}"))
    return QueueAnswer(
        queue=Queue(found.id, found.name, found.raw_schema),
        links=call.links(path, others),
    )


def _path(queue_id: str) -> str:
    return f"/queues/{queue_id}"
