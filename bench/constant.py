"""The limit of accept and stats: the product's stack and its server's settings, answering constants."""

import asyncio
import sys

import msgspec
import uvicorn
import uvloop
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

NOUNS = "api_key", "queue", "listener"
KINDS = [f"{noun}_{verb}" for noun in NOUNS for verb in ("added", "updated", "deleted")]
KINDS += ["message_added", "message_published_ok", "message_published_not_ok"]


class NewMessage(msgspec.Struct, frozen=True):
    """The body of POST /queues/{queue_id}/messages."""

    data: str
    name: str | None = None


def _window(count: int) -> dict[str, int]:
    return dict.fromkeys(KINDS, count)


def _links(path: str) -> dict[str, dict[str, str]]:
    return {"self": {"href": f"http://127.0.0.1:8080{path}"}}


_NAME = "-" * 21
_MESSAGE = msgspec.json.encode(
    {"message": {"id": _NAME, "name": _NAME}, "_links": _links(f"/queues/{_NAME}/messages/{_NAME}")}
)
_STATS = msgspec.json.encode(
    {
        "aggregated_api_usage_events": {
            name: _window(1000) for name in ("last_24_hours", "last_1_hours", "today_so_far")
        },
        "_links": _links("/messages/stats"),
    }
)
_body = msgspec.json.Decoder(NewMessage)


async def message(request: Request) -> Response:
    """Validate the body, as the product does, and answer a constant."""
    _body.decode(await request.body())
    return Response(_MESSAGE, media_type="application/json")


async def stats(request: Request) -> Response:
    """An answer of the size of the statistics."""
    return Response(_STATS, media_type="application/json")


ROUTES = [
    Route("/queues/{queue_id}/messages", message, methods=["POST"]),
    Route("/stats/messages", stats, methods=["GET"]),
]


async def serve() -> None:
    """Serve on a free port, and say which."""
    config = uvicorn.Config(
        Router(routes=ROUTES),
        host="127.0.0.1",
        port=0,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    sys.stdout.write(f'{{"port":{port}}}\n')
    sys.stdout.flush()
    await serving


if __name__ == "__main__":
    uvloop.run(serve())
