"""A request's body as it comes in: in its time, and within its limit."""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any

from postroom.domain.errors import Malformed, TooLarge

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

DISCARD_TIME = 1.0  # seconds
MOST_DISCARDED = 8 * 2**20  # bytes


class Upload:
    """A body that is read once; its first byte is asked for when somebody reads.

    `limit` is in bytes. It has `time` seconds to come.
    """

    def __init__(self, receive: Receive, headers: Mapping[bytes, bytes], limit: int, time: float) -> None:
        self.headers = headers
        self._receive = receive
        self._limit = limit
        self._time = time

    async def whole(self, least: int = 0) -> bytes:
        """All of it; its limit is not less than `least` bytes.

        Raises:
            TooLarge: it is over the limit.
            Malformed: it did not come in time, or not whole.
        """
        return b"".join([part async for part in self.parts(max(self._limit, least))])

    async def parts(self, limit: int, pace: float = math.inf) -> AsyncGenerator[bytes, None]:
        """Its pieces, as they come; for each `pace` bytes it has a second more.

        Raises:
            TooLarge: it is over the limit.
            Malformed: it did not come in time, or not whole.
        """
        if self._announces_more_than(limit):
            if b"expect" not in self.headers:  # who asks first has sent nothing yet
                await self._discard()
            raise _too_large(limit)
        received, more, begun = 0, True, asyncio.get_running_loop().time()
        while more:
            time = self._time + received / pace
            part, more = await self._part_in_time(begun + time, time)
            received += len(part)
            if received > limit:
                if more:
                    await self._discard()
                raise _too_large(limit)
            yield part

    def _announces_more_than(self, limit: int) -> bool:
        length = self.headers.get(b"content-length", b"0")
        return not length.isdigit() or int(length) > limit

    async def _part_in_time(self, end: float, time: float) -> tuple[bytes, bool]:
        try:
            async with asyncio.timeout_at(end):
                return await self._part()
        except TimeoutError as error:
            raise Malformed(f"the body did not arrive within {time:g} seconds") from error

    async def _part(self) -> tuple[bytes, bool]:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Malformed("the connection was closed before the body was complete")
        return message.get("body", b""), message.get("more_body", False)

    async def _discard(self) -> None:
        """Read on for a while, so that a sender who listens only when all is sent gets to read the answer."""
        discarded, more = 0, True
        with suppress(TimeoutError):
            async with asyncio.timeout(DISCARD_TIME):
                while more and discarded < MOST_DISCARDED:
                    part, more = await self._part()
                    discarded += len(part)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body must have at most {limit} bytes")
