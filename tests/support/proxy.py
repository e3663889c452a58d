"""A TCP proxy before a server, of PostgreSQL say, that a test cuts, stalls and heals.

It has a thread and an event loop of its own, so that it also works while the test's loop waits for a process.
"""

import asyncio
import socket
import struct
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from anyio.from_thread import BlockingPortal, start_blocking_portal

HOST: Final = "127.0.0.1"
CHUNK: Final = 65536
NO_LINGER: Final = struct.pack("ii", 1, 0)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with a TCP reset; what was not sent yet is lost."""
    sock: socket.socket = writer.get_extra_info("socket")
    if sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    writer.transport.abort()


async def received(
    reader: asyncio.StreamReader, gate: asyncio.Event, held: threading.Event | None = None
) -> bytes:
    """The next bytes, empty at the end, once the gate lets them pass; so too the end, and an error."""
    try:
        data = await reader.read(CHUNK)
    except OSError:
        await gate.wait()
        raise
    if held is not None and data and not gate.is_set():
        held.set()
    await gate.wait()
    return data


@dataclass(eq=False)
class Link:
    """A client's connection and the one made for it; while a gate is not set, nothing passes."""

    writers: list[asyncio.StreamWriter]
    requests: asyncio.Event = field(default_factory=asyncio.Event)
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def reset(self) -> None:
        for writer in self.writers:
            reset(writer)

    def cut(self) -> None:
        """Reset both connections; nothing passes any more."""
        self.reset()
        if self.task is not None:
            self.task.cancel()


class Proxy:
    """Listens at `port` of 127.0.0.1 and connects each client to the target; methods work from any thread.

    A stall loses nothing: as on a real network, all that was held back arrives after it, be it a COMMIT or
    the news that the client has gone.
    """

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)  # of new connections; may be changed at any time
        self.port = 0
        self.accepted = 0  # connections so far, also those that were reset at once
        self.held = threading.Event()  # an answer has come and is held back
        self._links: set[Link] = set()
        self._cut = self._hold_requests = self._hold_answers = False
        self._marker = b""
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._portal: BlockingPortal = self._stack.enter_context(start_blocking_portal())
        self._server = self._portal.call(self._listen)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._portal.call(self._server.close)
        self.cut()
        self._stack.close()

    @property
    def open(self) -> int:
        """Connections that clients hold now, also those that are stalled."""
        return len(self._links)

    def cut(self) -> None:
        """Reset all connections, and each new one as soon as it is made."""
        self._set(cut=True)

    def stall(self) -> None:
        """A black hole: all connections stay, and new ones are made, but not a byte passes."""
        self._set(hold_requests=True, hold_answers=True)

    def stall_answers(self, to: bytes = b"") -> None:
        """Requests pass, answers do not: from now on, or once a request that contains `to` has passed.

        With `to`, each connection is by itself, and the bytes must come in one piece, as small statements do.
        """
        self._set(hold_answers=not to, marker=to)

    def heal(self) -> None:
        """All passes again, first what was held back."""
        self._set()

    def _set(
        self, cut: bool = False, hold_requests: bool = False, hold_answers: bool = False, marker: bytes = b""
    ) -> None:
        """Go over to another state, in the proxy's own thread; it holds when this returns."""

        def change() -> None:
            self._cut, self._marker = cut, marker
            self._hold_requests, self._hold_answers = hold_requests, hold_answers
            self.held.clear()
            for link in list(self._links):
                self._apply(link)

        self._portal.call(change)

    def _apply(self, link: Link) -> None:
        """The proxy's state to one of its connections."""
        if self._cut:
            link.cut()
        for gate, closed in ((link.requests, self._hold_requests), (link.answers, self._hold_answers)):
            if closed:
                gate.clear()
            else:
                gate.set()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, HOST, 0)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self._cut:
            reset(writer)
            return
        link = Link([writer])
        self._apply(link)
        self._links.add(link)
        link.task = asyncio.create_task(self._carry(link, reader, writer))
        link.task.add_done_callback(lambda _: self._links.discard(link))

    async def _carry(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect one client to the target until one of the two ends it."""
        try:
            await link.requests.wait()
            answers, requests = await asyncio.open_connection(*self.target)
            link.writers.append(requests)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._ask(link, reader, requests))
                both.create_task(self._answer(link, answers, writer))
        except* OSError:
            link.reset()

    async def _ask(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Requests from the client to the target."""
        while data := await received(reader, link.requests):
            if self._marker and self._marker in data:
                link.answers.clear()
            writer.write(data)
            await writer.drain()
        writer.close()

    async def _answer(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers from the target to the client."""
        while data := await received(reader, link.answers, self.held):
            writer.write(data)
            await writer.drain()
        writer.close()
