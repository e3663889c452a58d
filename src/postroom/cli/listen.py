"""`postroom listen`."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from postroom.cli.arrival import Arrival, show_in_json, show_on_terminal, show_plain, webhook
from postroom.cli.command import Command, commands
from postroom.cli.failures import binding
from postroom.cli.options import Json
from postroom.cli.output import on_terminal
from postroom.cli.signals import told_to_stop

if TYPE_CHECKING:
    from aiohttp import web

Receive = Callable[["web.Request"], Awaitable[int]]

app = commands()

UNVERIFIED = 401
LARGEST_BODY = 1_000_000_000  # bytes; the most that a server can be set to take
PATIENCE = 1.0  # seconds that requests under way are given to end

Port = Annotated[
    int, typer.Option("--port", metavar="NUMBER", min=0, max=65_535, help="TCP port; 0 takes any free one.")
]
Host = Annotated[str, typer.Option("--host", metavar="TEXT", help="Address to listen on.")]
Secrets = Annotated[
    list[str] | None,
    typer.Option(
        "--secret",
        metavar="SECRET",
        help="Secret of a listener (whsec_...), to verify signatures with; may be repeated.",
    ),
]
Status = Annotated[
    int, typer.Option("--status", metavar="NUMBER", min=200, max=599, help="Status to answer messages with.")
]


@app.command("listen", cls=Command)
def listen(
    port: Port = 8081,
    host: Host = "127.0.0.1",
    secrets: Secrets = None,
    status: Status = 200,
    as_json: Json = False,
) -> None:
    """Receive messages and print what arrives, to try things out.

    With --secret, what has no true signature is answered 401. GET is answered 200, so that one URL serves as
    notify URL and as liveness URL.
    """
    show = show_in_json if as_json else show_on_terminal if on_terminal() else show_plain
    webhooks = [webhook(secret) for secret in secrets or ()]

    async def receive(request: "web.Request") -> int:
        arrival = Arrival.of(request.headers, await request.read(), webhooks)
        show(arrival)
        return UNVERIFIED if arrival.verified is False else status

    asyncio.run(_listen(host, port, receive, as_json))


async def _listen(host: str, port: int, receive: Receive, as_json: bool) -> None:
    from aiohttp import web

    runner = web.AppRunner(_application(receive), access_log=None, shutdown_timeout=PATIENCE)
    await runner.setup()
    try:
        with binding(host, port):
            await web.TCPSite(runner, host, port).start()
        told = told_to_stop()
        bound = runner.addresses[0][1]
        url = f"http://[{host}]:{bound}/" if ":" in host else f"http://{host}:{bound}/"
        # Standard output has nothing but JSON when it is to have JSON.
        print(f"Listening at {url}", file=sys.stderr if as_json else sys.stdout, flush=True)
        await told.wait()
    finally:
        await runner.cleanup()


def _application(receive: Receive) -> "web.Application":
    from aiohttp import web

    async def handle(request: web.Request) -> web.Response:
        return web.Response(status=200 if request.method in {"GET", "HEAD"} else await receive(request))

    application = web.Application(client_max_size=LARGEST_BODY)
    application.router.add_route("*", "/{path:.*}", handle)
    return application
