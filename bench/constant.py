"""The limit of accept, stats and totals: the product's stack and its server's settings, with constants."""

import gc
import socket

import msgspec
import uvicorn
import uvloop
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

NOUNS = "api_key", "queue", "listener"
KINDS = [f"{noun}_{verb}" for noun in NOUNS for verb in ("added", "updated", "deleted")]
KINDS += ["message_added", "message_published_ok", "message_published_not_ok"]

_NAME = "-" * 21
BARE = f"/queues/{_NAME}/messages"
WHOLE = f"/whole/{_NAME}/messages"
DAILY = "/v1/analytics/messagingMetrics/dailyTotals"


class NewMessage(msgspec.Struct, frozen=True):
    """The body of POST /queues/{queue_id}/messages."""

    data: str
    name: str | None = None


def _window(count: int) -> dict[str, int]:
    return dict.fromkeys(KINDS, count)


def _links(path: str) -> dict[str, dict[str, str]]:
    return {"self": {"href": f"http://127.0.0.1:8080{path}"}}


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
_YEAR = msgspec.json.encode(
    {
        "startDate": "2025-01-01",
        "endDate": "2025-12-31",
        "metrics": {
            "dates": ["2025-01-01"] * 365,
            **{f"aMetricOfTheYear{n}": [1000] * 365 for n in range(14)},
        },
    }
)
_body = msgspec.json.Decoder(NewMessage)


class _Constant:
    """Validates the body, where there is one, and answers a constant; bare ASGI, as the product does it."""

    def __init__(self, answer: bytes, *, reads: bool) -> None:
        self._answer = answer
        self._reads = reads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._reads:
            _body.decode((await receive())["body"])
        length = str(len(self._answer)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self._answer})


async def _whole(request: Request) -> Response:
    """The same for a message, through the Request and Response of the framework."""
    _body.decode(await request.body())
    return Response(_MESSAGE, media_type="application/json")


ROUTES = [
    Route("/queues/{queue_id}/messages", _Constant(_MESSAGE, reads=True), methods=["POST"]),
    Route("/whole/{queue_id}/messages", _whole, methods=["POST"]),
    Route("/stats/messages", _Constant(_STATS, reads=False), methods=["GET"]),
    Route(DAILY, _Constant(_YEAR, reads=False), methods=["GET"]),
]


async def serve() -> None:
    """Serve on a free port, and say which; the settings of the product's server and its collector."""
    config = uvicorn.Config(
        Router(ROUTES, redirect_slashes=False),
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=75,
    )
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as bound:
        server = uvicorn.Server(config)
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        print(f'{{"port":{bound.getsockname()[1]}}}', flush=True)
        await server.serve([bound])


if __name__ == "__main__":
    uvloop.run(serve())
