"""HTTP/1.1 as uvicorn speaks it, with what it leaves open."""

import asyncio
from typing import Any, cast

from msgspec.json import encode
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from postroom.http.problems import problem
from postroom.http.upload import ALL_HERE


class _OneWrite:
    """A transport that sends an answer's head together with what follows it in the same turn of the loop.

    Uvicorn writes the two apart: two system calls here, and two packets for the other side to wake up for.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""

    def write(self, data: bytes) -> None:
        if self._head:
            self._transport.write(self._head + data)
            self._head = b""
        elif data.startswith(b"HTTP/1.1 "):
            self._head = data
            self._loop.call_soon(self._send_head)
        else:
            self._transport.write(data)

    def close(self) -> None:
        self._send_head()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _send_head(self) -> None:
        if self._head:
            self._transport.write(self._head)
            self._head = b""


class Protocol(HttpToolsProtocol):
    """Uvicorn's HTTP/1.1, with a bound on the time of a request's head, and problems in our form.

    Most requests come in one piece: for them no time is measured, and whoever reads the body is told.
    """

    head_time = 0.0  # seconds
    _patience: asyncio.TimerHandle | None = None
    _in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, _OneWrite(transport, self.loop)))
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head and self._patience is None:
            self._expect_head()

    def on_message_begin(self) -> None:
        self._stop_waiting()  # for a first byte
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        # Before the application runs, which is in the next turn of the loop.
        cast(dict[str, Any], self.scope)[ALL_HERE] = True

    def send_400_response(self, msg: str) -> None:
        body = encode(problem(400, f"the request cannot be read: {msg}"))
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _expect_head(self) -> None:
        self._patience = self.loop.call_later(self.head_time, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
