"""A receiver that costs little: POST /ok is answered 200, POST /hang never; /report and /reset are ours.

Bodies that hold `"sent":"<20 digits>"` tell when they were sent (monotonic ns, one clock for all processes),
and so how long they took to arrive.
"""

import array
import asyncio
import re
import sys
import time
from typing import cast

import msgspec
import uvloop

from bench.latency import Latency, summary

OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok"
REPORT = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
SENT = b'"sent":"'

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Report(msgspec.Struct, frozen=True):
    """What arrived since the last reset."""

    received: int
    held: int  # requests that are never answered
    last: int  # when the last one arrived, monotonic ns
    latency: Latency  # from sending to arrival


class Arrivals:
    """What the connections share."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.received = 0
        self.held = 0
        self.last = 0
        self.times = array.array("q")

    def add(self, body: bytes) -> None:
        self.received += 1
        self.last = time.monotonic_ns()
        at = body.find(SENT)
        if at >= 0:
            self.times.append(self.last - int(body[at + len(SENT) : at + len(SENT) + 20]))

    def report(self) -> Report:
        return Report(self.received, self.held, self.last, summary(self.times))


class Connection(asyncio.Protocol):
    """Requests framed by their content-length, answered in turn."""

    def __init__(self, arrivals: Arrivals) -> None:
        self.arrivals = arrivals
        self.held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        held = self.held + data if self.held else data
        while (head := held.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(held, 0, head)
            end = head + 4 + (int(length[1]) if length else 0)
            if len(held) < end:
                break
            self.take(held[: held.find(b" ", 5)], held[head + 4 : end])
            held = held[end:]
        self.held = held

    def take(self, line: bytes, body: bytes) -> None:
        """Answer the request that begins with this method and path."""
        if line == b"POST /hang":
            self.arrivals.held += 1
            return
        if line == b"POST /ok":
            self.arrivals.add(body)
        elif line == b"POST /reset":
            self.arrivals.reset()
        self.transport.write(self.report() if line == b"GET /report" else OK)

    def report(self) -> bytes:
        body = msgspec.json.encode(self.arrivals.report())
        return REPORT % (len(body), body)


async def serve() -> None:
    """Serve on a free port, and say which."""
    arrivals = Arrivals()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(arrivals), "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f'{{"port":{server.sockets[0].getsockname()[1]}}}\n')
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
