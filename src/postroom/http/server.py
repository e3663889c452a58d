"""The HTTP server inside the event loop of the process: bound before it starts, drained before it stops."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from postroom.http.app import App
from postroom.http.protocol import Protocol

KEEPALIVE = 75  # seconds; longer than the idle time of common proxies and clients
DRAIN_TIME = 0.5  # seconds
_BACKLOG = 2048
_PAUSE = 0.01


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A listening socket; with `shared`, other processes of this user may listen at the address too.

    Raises:
        OSError: the address is taken, or is not this machine's.
    """
    return socket.create_server((host, port), family=_family(host), backlog=_BACKLOG, reuse_port=shared)


def reserve(host: str, port: int) -> socket.socket:
    """A socket that does not listen, but keeps the address for processes that share it.

    Raises:
        OSError: the address is taken, or is not this machine's.
    """
    with bind(host, port) as free:  # to share would also be allowed where a stranger shares
        address = free.getsockname()
    reserved = socket.socket(_family(host))
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        reserved.setsockopt(socket.SOL_SOCKET, option, 1)
    reserved.bind(address)
    return reserved


def address_of(bound: socket.socket) -> str:
    """Where a client reaches the socket, as the beginning of a URL."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class _Uvicorn(uvicorn.Server):
    """Uvicorn without its own signal handlers: the process has one owner, the runtime."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepting = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.accepting.set()


class Server:
    """Serves the application on a bound socket; `head_time` and `patience`, at the end, are in seconds."""

    def __init__(self, app: App, bound: socket.socket, head_time: float, patience: float) -> None:
        self._app = app
        self._bound = bound
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                app,
                http=type("Protocol", (Protocol,), {"head_time": head_time}),
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                workers=1,  # else uvicorn asks the environment
                timeout_keep_alive=KEEPALIVE,
                timeout_graceful_shutdown=max(1, round(patience)),
            )
        )

    async def run(self) -> None:
        """Serve until `stop` is called."""
        await self._uvicorn.serve([self._bound])

    async def started(self) -> None:
        """Wait until requests are accepted."""
        await self._uvicorn.accepting.wait()

    async def stop(self) -> None:
        """Accept no more connections, answer what has come, and let `run` end."""
        self._app.draining = True
        for listening in getattr(self._uvicorn, "servers", ()):  # none before it has started
            listening.close()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + DRAIN_TIME
        while self._uvicorn.server_state.connections and loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_PAUSE)  # uvicorn tells nobody when a connection ends
        self._uvicorn.should_exit = True
