"""The limit of deliver: the product's HTTP client alone, posting the same body to the same receiver.

Its own process: a Job in JSON on stdin, a Result in JSON on stdout.
"""

import asyncio
import itertools
import sys
import time
from collections.abc import Iterator

import aiohttp
import msgspec
import uvloop

from bench.load import MOST_REQUESTS, MOST_SECONDS

HEADERS = {
    "content-type": "application/json",
    "user-agent": "postroom",
    "webhook-id": "-" * 21,
    "webhook-timestamp": "1700000000",
    "webhook-signature": "v1," + "A" * 43 + "=",
    "postroom-queue": "-" * 21,
    "postroom-listener": "-" * 21,
    "postroom-attempt": "1",
}
ANSWER_KEPT = 20_000  # bytes, as the product keeps


class Job(msgspec.Struct, frozen=True):
    """`count` messages over `connections` connections, for `seconds` at most."""

    port: int
    body: bytes
    connections: int
    count: int = MOST_REQUESTS
    seconds: float = 10.0


class Result(msgspec.Struct, frozen=True):
    """Messages acknowledged, and how fast."""

    messages: int
    seconds: float
    rate: float  # messages a second


async def perform(job: Job) -> Result:
    """Post until the count or the time is used up."""
    connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=60)
    jar = aiohttp.DummyCookieJar()
    tickets = iter(range(min(job.count, MOST_REQUESTS)))
    begin = time.monotonic()
    end = begin + min(job.seconds, MOST_SECONDS)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar, auto_decompress=False) as session:
        sent = await asyncio.gather(*(_post(session, job, tickets, end) for _ in range(job.connections)))
    seconds = time.monotonic() - begin
    return Result(sum(sent), seconds, sum(sent) / seconds)


async def _post(session: aiohttp.ClientSession, job: Job, tickets: Iterator[int], end: float) -> int:
    """Post one message after another; how many were acknowledged."""
    url = f"http://127.0.0.1:{job.port}/ok"
    timeout = aiohttp.ClientTimeout(total=20)
    for sent in itertools.count():
        if time.monotonic() >= end or next(tickets, None) is None:
            return sent
        async with session.post(
            url, data=job.body, headers=HEADERS, allow_redirects=False, timeout=timeout
        ) as answer:
            await answer.content.read(ANSWER_KEPT)
            answer.raise_for_status()
    raise AssertionError("the count never ends")


def main() -> None:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(perform(job))))


if __name__ == "__main__":
    main()
