"""`postroom send`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from postroom.cli.command import Command, commands
from postroom.cli.failures import Refused
from postroom.cli.options import Json, Org
from postroom.cli.output import printable, say, show_json
from postroom.cli.place import Place, with_place
from postroom.domain.organization import Organization

if TYPE_CHECKING:
    from postroom.service.hub import Hub

app = commands()
STANDARD_INPUT = "-"


@app.command("send", cls=Command)
@with_place
def send(
    *,
    queue: Annotated[str, typer.Argument(metavar="QUEUE", help="Its name or id.", show_default=False)],
    data_to_send: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="What is sent; - or nothing reads standard input. Put -- before what begins with a hyphen.",
            show_default=False,
        ),
    ] = STANDARD_INPUT,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Name of the message.")] = None,
    org: Org = None,
    place: Place,
    as_json: Json = False,
) -> None:
    """Send a message to a queue; the server delivers it, at once or when it runs."""
    text = _limited(data_to_send, place.settings().body_limit)

    async def accept(hub: "Hub", organization: Organization) -> str:
        found = await hub.queues.named(organization.id, queue)
        return await hub.messages.accept(organization.id, found.id, text, name)

    message_id = place.run_in(org, accept)
    if as_json:
        show_json({"message": {"id": message_id, "name": name}})
    else:
        say(f"The message {message_id} is in the queue {printable(queue)}.", message_id)


def _limited(data: str, limit: int) -> str:
    """What is to be sent, of at most `limit` bytes, as it is for the HTTP API."""
    raw = _read(limit + 1) if data == STANDARD_INPUT else data.encode("utf-8", "surrogateescape")
    if len(raw) > limit:
        raise Refused(f"the data is larger than {limit} bytes; send less, or raise the setting body_limit")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Refused("the data is not UTF-8; send it encoded as text, for example with base64") from error


def _read(limit: int) -> bytes:
    if sys.stdin.isatty():
        print("Type the message, then press Ctrl-D.", file=sys.stderr)
    return sys.stdin.buffer.read(limit)
