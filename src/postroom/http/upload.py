"""A request's body as it comes in: in its time, and within its limit."""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any

from postroom.domain.errors import Malformed, TooLarge

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

ALL_HERE = "postroom.all_here"
"""The key in a request's scope that says that its body need not be waited for."""
DISCARD_TIME = 1.0  # seconds
MOST_DISCARDED = 8 * 2**20  # bytes


class Upload:
    """A body that is read once; its first byte is asked for when somebody reads.

    `limit` is in bytes. It has `time` seconds to come, unless it is `all_here`.
    """

    def __init__(
        self,
        receive: Receive,
        headers: Mapping[bytes, bytes],
        limit: int,
        time: float,
        *,
        all_here: bool = False,
    ) -> None:
        self.headers = headers
        self._receive = receive
        self._limit = limit
        self._time = time
        self._all_here = all_here

    async def whole(self, least: int = 0) -> bytes:
        """All of it; its limit is not less than `least` bytes.

        Raises:
            TooLarge: it is over the limit.
            Malformed: it did not come in time, or not whole.
        """
        limit = max(self._limit, least)
        if self._announces_more_than(limit):
            await self._refuse_at_once(limit)
        body, more = await (self._part() if self._all_here else self._gathered(limit))
        if len(body) > limit:
            await self._refuse_more(limit, more)
        return body

    async def _gathered(self, limit: int) -> tuple[bytes, bool]:
        body, more = b"", True
        try:
            async with asyncio.timeout(self._time):
                while more and len(body) <= limit:
                    part, more = await self._part()
                    body = body + part if body else part
        except TimeoutError as error:
            raise _too_slow(self._time) from error
        return body, more

    async def parts(self, limit: int, pace: float = math.inf) -> AsyncGenerator[bytes, None]:
        """Its pieces, as they come; for each `pace` bytes it has a second more.

        Raises:
            TooLarge: it is over the limit.
            Malformed: it did not come in time, or not whole.
        """
        if self._announces_more_than(limit):
            await self._refuse_at_once(limit)
        received, more, begun = 0, True, asyncio.get_running_loop().time()
        while more:
            time = self._time + received / pace
            part, more = await self._part_in_time(begun + time, time)
            received += len(part)
            if received > limit:
                await self._refuse_more(limit, more)
            yield part

    def _announces_more_than(self, limit: int) -> bool:
        length = self.headers.get(b"content-length", b"0")
        return not length.isdigit() or int(length) > limit

    async def _refuse_at_once(self, limit: int) -> None:
        """Raise TooLarge where too much is announced."""
        if b"expect" not in self.headers:  # who asks first has sent nothing yet
            await self._discard()
        raise _too_large(limit)

    async def _refuse_more(self, limit: int, more: bool) -> None:
        """Raise TooLarge where too much has come, of which there is `more`."""
        if more:
            await self._discard()
        raise _too_large(limit)

    async def _part_in_time(self, end: float, time: float) -> tuple[bytes, bool]:
        try:
            async with asyncio.timeout_at(end):
                return await self._part()
        except TimeoutError as error:
            raise _too_slow(time) from error

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


def _too_slow(time: float) -> Malformed:
    return Malformed(f"the body did not arrive within {time:g} seconds")
