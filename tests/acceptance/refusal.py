"""What is asserted of every refused request: the form of the answer, and that nothing changed."""

import asyncio
from collections.abc import Mapping
from typing import Any

from tests.acceptance.client import Answer, Client, events, stats
from tests.acceptance.house import DEADLINE

LISTED = ("api_keys", "queues", "listeners", "messages")


async def everything(client: Client) -> dict[str, Any]:
    """All that a first key can see of its organization, but what changes without a request."""
    seen: dict[str, Any] = {"events": await events(client), "stats": await stats(client)}
    seen |= {kind: (await client.get(f"/{kind}?limit=1000"))[kind] for kind in LISTED}
    for key in seen["api_keys"]:
        del key["last_used_at"]
    for listener in seen["listeners"]:
        del listener["liveness"]
    return seen


async def refused(
    client: Client,
    statuses: int | tuple[int, ...],
    method: str,
    path: str,
    body: object = None,
    *,
    by: Client | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """A request (by `by`, else by the client) that is refused and changes nothing that the client sees."""
    before = await everything(client)
    answer = await (by or client).call(method, path, body, headers)
    answer.problem(*((statuses,) if isinstance(statuses, int) else statuses))
    assert await everything(client) == before
    return answer


async def exchange(port: int, *parts: bytes) -> tuple[int, dict[str, str], bytes]:
    """Bytes over a socket, then what is answered to them: status, headers, body.

    The server may answer and close before it has read all; what it said is read all the same.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(DEADLINE):
            sending = asyncio.create_task(_write(writer, parts))
            answer = await read_answer(reader)
            sending.cancel()
            return answer
    finally:
        writer.close()


async def _write(writer: asyncio.StreamWriter, parts: tuple[bytes, ...]) -> None:
    """Write until the other side will not have more."""
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
    except ConnectionError:
        return


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """One HTTP answer with a content-length."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    body = await reader.readexactly(int(headers["content-length"]))
    return int(head[0].split()[1]), headers, body


def is_problem(status: int, headers: Mapping[str, str], body: bytes, *statuses: int) -> Answer:
    """The same check as of any other refusal, for an answer read from a socket."""
    answer = Answer("socket", status, headers, body)
    answer.problem(*statuses)
    return answer
