"""The load generator: keep-alive connections that each send the next request when the last is answered.

Its own process: a Job in JSON on stdin, a Result in JSON on stdout. Raw protocols on uvloop and prepared
bytes, so that the server is what is measured. It refuses targets outside loopback, and every run has an end.
"""

import array
import asyncio
import gc
import ipaddress
import re
import sys
import time
from collections import Counter
from typing import cast

import msgspec
import uvloop

from bench.latency import Latency, summary

STAMP = b"0" * 20  # in a request whose job says `stamp`: replaced by the time of sending, monotonic ns
MOST_CONNECTIONS = 1024
MOST_REQUESTS = 2_000_000
MOST_SECONDS = 600.0
MOST_LOST = 100  # connections
GRACE = 30.0  # seconds for the last answers

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Job(msgspec.Struct, frozen=True):
    """What to send; ends at `count` requests or after `seconds`, whichever is given and comes first."""

    port: int
    request: bytes
    connections: int = 1
    count: int = MOST_REQUESTS
    seconds: float = MOST_SECONDS
    warmup: float = 0.0  # seconds whose requests are sent and not measured
    pace: float = 0.0  # seconds between two requests of a connection, at least
    stamp: bool = False
    host: str = "127.0.0.1"


class Result(msgspec.Struct, frozen=True):
    """Figures of the measured part; `total` counts every answer, the warm-up's too."""

    rate: float  # answers a second
    begin: int  # of the measured part, monotonic ns
    seconds: float
    latency: Latency
    statuses: dict[str, int]
    total: int
    lost: int  # connections closed by the other side, or answers that could not be read
    unanswered: int


def request(method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
    """The bytes of one HTTP/1.1 request."""
    given = {"host": "127.0.0.1", **(headers or {})}
    if body:
        given |= {"content-type": "application/json", "content-length": str(len(body))}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Run:
    """What the connections of one job share."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.head, _, self.tail = job.request.partition(STAMP) if job.stamp else (job.request, b"", b"")
        self.left = job.count
        self.waiting = 0
        self.total = 0
        self.lost = 0
        self.times = array.array("q")
        self.statuses: Counter[int] = Counter()
        self.open: set[Connection] = set()
        self.finished = asyncio.Event()
        self.begin = time.monotonic_ns() + int(job.warmup * 1e9)
        self.end = self.begin + int(job.seconds * 1e9)
        self.last = self.begin

    def take(self) -> bool:
        """Whether one more request is to be sent."""
        if self.left <= 0 or self.lost > MOST_LOST or time.monotonic_ns() >= self.end:
            return False
        self.left -= 1
        self.waiting += 1
        return True

    def answered(self, status: int, sent: int) -> None:
        """Count an answer to a request sent at that time."""
        self.waiting -= 1
        self.total += 1
        if sent < self.begin:
            return
        self.last = time.monotonic_ns()
        self.times.append(self.last - sent)
        self.statuses[status] += 1

    def closed(self, connection: "Connection", waiting: bool) -> None:
        """Count a connection that ended; open another when there is more to do."""
        self.open.discard(connection)
        if waiting:
            self.waiting -= 1
            self.lost += 1
        more = waiting and self.left > 0 and self.lost <= MOST_LOST and time.monotonic_ns() < self.end
        if more:
            self.opening = asyncio.ensure_future(self.connect())
        elif not self.open:
            self.finished.set()

    async def connect(self) -> None:
        """Open one connection, which sends at once."""
        try:
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: Connection(self), self.job.host, self.job.port)
        except OSError:
            self.lost += 1
            if not self.open:
                self.finished.set()

    def result(self) -> Result:
        seconds = max(self.last - self.begin, 1) / 1e9
        statuses = {str(status): count for status, count in sorted(self.statuses.items())}
        return Result(
            rate=len(self.times) / seconds,
            begin=self.begin,
            seconds=seconds,
            latency=summary(self.times),
            statuses=statuses,
            total=self.total,
            lost=self.lost,
            unanswered=self.waiting,
        )


class Connection(asyncio.Protocol):
    """One request at a time, answers framed by their content-length."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.held = b""
        self.sent = 0
        self.waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self.run.open.add(self)
        self.send()

    def send(self) -> None:
        run = self.run
        if not run.take():
            self.transport.close()
            return
        self.waiting = True
        self.sent = time.monotonic_ns()
        self.transport.write(b"%b%020d%b" % (run.head, self.sent, run.tail) if run.job.stamp else run.head)

    def data_received(self, data: bytes) -> None:
        held = self.held + data if self.held else data
        head = held.find(b"\r\n\r\n")
        if head < 0:
            self.held = held
            return
        length = _LENGTH.search(held, 0, head)
        if length is None:
            self.transport.abort()
        elif len(held) < head + 4 + int(length[1]):
            self.held = held
        else:
            self.held = b""
            self.answered(int(held[9:12]))

    def answered(self, status: int) -> None:
        self.waiting = False
        self.run.answered(status, self.sent)
        wait = self.run.job.pace - (time.monotonic_ns() - self.sent) / 1e9 if self.run.job.pace else 0.0
        if wait > 0:
            asyncio.get_running_loop().call_later(wait, self.send)
        else:
            self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        self.run.closed(self, self.waiting)
        self.waiting = False


def checked(job: Job) -> Job:
    """The job, or ValueError where it leaves loopback or has no near end."""
    if not ipaddress.ip_address(job.host).is_loopback:
        raise ValueError(f"{job.host} is not a loopback address")
    bounds = (job.connections, MOST_CONNECTIONS), (job.count, MOST_REQUESTS), (job.seconds, MOST_SECONDS)
    if any(not 0 < given <= most for given, most in bounds):
        raise ValueError(f"over {MOST_CONNECTIONS} connections, {MOST_REQUESTS} requests or {MOST_SECONDS} s")
    return job


async def perform(job: Job) -> Result:
    """Run a job to its end."""
    run = Run(job)
    await asyncio.gather(*(run.connect() for _ in range(job.connections)))
    try:
        async with asyncio.timeout(job.warmup + job.seconds + GRACE):
            await run.finished.wait()
    except TimeoutError:
        pass
    return run.result()


def main() -> None:
    job = checked(msgspec.json.decode(sys.stdin.buffer.read(), type=Job))
    gc.disable()
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(perform(job))))


if __name__ == "__main__":
    main()
