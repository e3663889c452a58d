"""A real HTTP receiver in the test's own loop: records what arrives, and answers as told, well or badly."""

import asyncio
import os
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from itertools import count
from socket import SO_LINGER, SOL_SOCKET, create_server, socket
from struct import pack
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from tests.acceptance.house import DEADLINE

Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]

MEGABYTE: Final = 1_000_000

_numbers: Final = count(1)


@dataclass(frozen=True)
class Received:
    """One request as it arrived."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def message_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def attempt(self) -> int:
        return int(self.headers["postroom-attempt"])


def answer(status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Behaviour:
    """A whole answer at once."""

    async def behave(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers=headers)

    return behave


def held(gate: asyncio.Event, status: int = 200) -> Behaviour:
    """No answer until the gate is opened."""

    async def behave(request: web.Request) -> web.StreamResponse:
        await gate.wait()
        return web.Response(status=status)

    return behave


def hanging() -> Behaviour:
    """No answer ever."""
    return held(asyncio.Event())


async def _gone(request: web.Request) -> web.StreamResponse:
    """End the handler of a request whose connection is no longer HTTP."""
    transport = request.transport
    if transport is not None:
        transport.abort()
    raise asyncio.CancelledError


def reset() -> Behaviour:
    """The connection is reset without an answer."""

    async def behave(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        # With no time to linger, closing sends a reset.
        request.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
        return await _gone(request)

    return behave


def garbage(sent: bytes = b"\x00\xff\xfeSMTP ready, go ahead\r\n\r\n") -> Behaviour:
    """Bytes that are no HTTP, then the end of the connection."""

    async def behave(request: web.Request) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        transport.write(sent)
        transport.close()
        raise asyncio.CancelledError

    return behave


def dripping(sent: bytes = b"HTTP/1.1 200 OK\r\n" + b"x-drop: y\r\n" * 999) -> Behaviour:
    """One byte every 50 ms: it never finishes in time, and never is quite silent."""

    async def behave(request: web.Request) -> web.StreamResponse:
        for byte in sent:
            transport = request.transport
            if transport is None or transport.is_closing():
                break
            transport.write(bytes([byte]))
            await asyncio.sleep(0.05)
        return await _gone(request)

    return behave


def huge(status: int = 200, size: int = 10 * MEGABYTE) -> Behaviour:
    """An answer of many bytes, as fast as they are read."""

    async def behave(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        response.content_length = size
        await response.prepare(request)
        for _ in range(size // 10_000):
            await response.write(b"y" * 10_000)
        return response

    return behave


@dataclass
class Place:
    """One path of the receiver: what it will answer, what it got, and how many requests it held at once."""

    behaviours: list[Behaviour]
    got: list[Received] = field(default_factory=list)
    open: int = 0
    most_open: int = 0

    def next_behaviour(self) -> Behaviour:
        """In the order given; the last one stays."""
        return self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]


def own_address() -> str:
    """A loopback address that no receiver of this run had before.

    A hub still asks the ports of receivers that have ended, and the system gives such ports away again: at
    one address for all, another test's receiver or server would be asked.
    """
    return str(IPv4Address("127.1.0.0") + (os.getpid() % 2000 << 12) + next(_numbers) % 4096)


class Receiver:
    """An aiohttp server on a free port; each path has its own programme (200 unless told)."""

    def __init__(self, host: str | None = None) -> None:
        self.host = host or own_address()
        self._places: dict[str, Place] = defaultdict(lambda: Place([answer()]))
        self._arrived = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self._socket: socket | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=4 * MEGABYTE)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.05, access_log=None)
        await self._runner.setup()
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        await self.close()
        await self._runner.cleanup()

    async def open(self) -> None:
        """Listen (again), always at the same port."""
        assert self._runner is not None
        self._socket = create_server((self.host, self.port), backlog=1024)
        await web.SockSite(self._runner, self._socket).start()
        self.port = int(self._socket.getsockname()[1])

    async def close(self) -> None:
        """Stop listening: new connections are refused until `open`."""
        assert self._runner is not None
        if self._socket is not None and self._socket.fileno() >= 0:
            # A connection that is just being accepted would be lost, unclosed, by closing the server at once.
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            for _ in range(5):
                await asyncio.sleep(0)
        for site in list(self._runner.sites):
            await site.stop()

    def url(self, path: str, host: str | None = None) -> str:
        return f"http://{host or self.host}:{self.port}{path}"

    def on(self, path: str, *behaviours: Behaviour) -> str:
        """Programme a path: one behaviour per request, the last one stays. Its URL."""
        self._places[path].behaviours = list(behaviours)
        return self.url(path)

    def got(self, path: str) -> list[Received]:
        """What has arrived at a path, oldest first."""
        return self._places[path].got

    def open_at(self, path: str) -> int:
        """How many requests a path holds at this moment."""
        return self._places[path].open

    def most_open(self, path: str) -> int:
        """The most requests that a path ever held at once."""
        return self._places[path].most_open

    async def received(self, path: str, count: int = 1, within: float = DEADLINE) -> list[Received]:
        """Wait for `count` requests at a path."""
        return await self.when(lambda: self.got(path) if len(self.got(path)) >= count else [], within)

    async def when(self, look: Callable[[], list[Received]], within: float = DEADLINE) -> list[Received]:
        """Wait, looking after each arrival, until `look` finds something."""
        try:
            async with asyncio.timeout(within), self._arrived:
                await self._arrived.wait_for(look)
        except TimeoutError:
            counts = {path: len(place.got) for path, place in self._places.items()}
            raise AssertionError(f"not received within {within} s; received so far: {counts}") from None
        return list(look())

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        place = self._places[request.path]
        place.open += 1
        place.most_open = max(place.most_open, place.open)
        try:
            return await self._record(place, request)
        finally:
            place.open -= 1

    async def _record(self, place: Place, request: web.Request) -> web.StreamResponse:
        """Keep the request, tell the waiters, behave."""
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        place.got.append(Received(request.method, request.raw_path, headers, body))
        behave = place.next_behaviour()
        async with self._arrived:
            self._arrived.notify_all()
        return await behave(request)
