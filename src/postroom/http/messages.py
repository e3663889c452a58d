"""Handlers of messages."""

from postroom.domain.message import MessageName
from postroom.http.bodies import Attempt, AttemptsAnswer, LinksAnswer, MessageAnswer, MessagesAnswer, Named
from postroom.http.call import Call

ABOVE_ALL = "~"  # above every id in ASCII


async def post(call: Call) -> MessageAnswer:
    """Send a message to every listener that the queue has at this moment."""
    queue_id, name = call.path["queue_id"], call.body.name
    message_id = await call.hub.messages.accept(call.org_id, queue_id, call.body.data, name)
    return _answer(call, message_id, name)


async def get_all(call: Call) -> MessagesAnswer:
    """List the messages of the organization, newest first."""
    return await _list(call, "/messages", None)


async def get_of_queue(call: Call) -> MessagesAnswer:
    """List the messages of a queue, newest first."""
    return await _list(call, f"/queues/{call.path['queue_id']}/messages", call.path["queue_id"])


async def get(call: Call) -> MessageAnswer:
    """Show a message."""
    message = await call.hub.messages.get(call.org_id, call.path["queue_id"], call.path["message_id"])
    return _answer(call, message.id, message.name)


async def get_attempts(call: Call) -> AttemptsAnswer:
    """Show every request made for a message."""
    queue_id, message_id = call.path["queue_id"], call.path["message_id"]
    attempts = await call.hub.messages.attempts(call.org_id, queue_id, message_id)
    names = {each.id: each.name for each in await call.hub.listeners.of(call.org_id, queue_id)}
    return AttemptsAnswer(
        attempts=[
            Attempt(
                Named(each.listener_id, names.get(each.listener_id)),
                each.number,
                each.at,
                each.duration,
                each.status,
                each.error,
                each.answer.decode("utf-8", "replace"),
            )
            for each in attempts
        ],
        links=call.links(f"{_path(queue_id, message_id)}/attempts"),
    )


async def put(call: Call) -> MessageAnswer:
    """Give a message another name."""
    queue_id, message_id = call.path["queue_id"], call.path["message_id"]
    message = await call.hub.messages.rename(call.org_id, queue_id, message_id, call.body.name)
    return _answer(call, message.id, message.name)


async def delete(call: Call) -> LinksAnswer:
    """Delete a message; what is pending is discarded."""
    queue_id, message_id = call.path["queue_id"], call.path["message_id"]
    await call.hub.messages.delete(call.org_id, queue_id, message_id)
    return LinksAnswer(links=call.links(_path(queue_id, message_id)))


async def _list(call: Call, path: str, queue_id: str | None) -> MessagesAnswer:
    visible, limit = call.visible("messages"), call.limit()
    below = call.query.startAfterId or ABOVE_ALL
    found = await call.hub.messages.newest(call.org_id, queue_id, below, limit + 1)
    shown = [each for each in found[:limit] if visible([each.id, each.queue_id])]
    return MessagesAnswer(
        messages=[Named(each.id, each.name) for each in shown],
        links=call.links(path, [*_next(path, found, limit), *_each(shown)]),
    )


def _next(path: str, found: list[MessageName], limit: int) -> list[tuple[str, str]]:
    if len(found) <= limit:
        return []
    return [("next", f"{path}?limit={limit}&startAfterId={found[limit - 1].id}")]


def _each(shown: list[MessageName]) -> list[tuple[str, str]]:
    return [(each.name or each.id, _path(each.queue_id, each.id)) for each in shown]


def _answer(call: Call, message_id: str, name: str | None) -> MessageAnswer:
    return MessageAnswer(
        message=Named(message_id, name), links=call.links(_path(call.path["queue_id"], message_id))
    )


def _path(queue_id: str, message_id: str) -> str:
    return f"/queues/{queue_id}/messages/{message_id}"
