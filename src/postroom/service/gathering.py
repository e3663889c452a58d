"""Doing at once what several ask for in one turn of the event loop."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, NamedTuple, TypeVar

from postroom.domain.errors import Unavailable
from postroom.service.waiting import answer

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")

MOST_TOGETHER = 200


class _Waiting(NamedTuple, Generic[Item]):
    item: Item
    done: "asyncio.Future[None]"


class Gathering(Generic[Key, Item]):
    """Calls `do` with all that was submitted under one key, since a commit costs as much as many requests."""

    def __init__(self, do: Callable[[Key, Sequence[Item]], Awaitable[object]]) -> None:
        self._do = do
        self._waiting: dict[Key, list[_Waiting[Item]]] = {}

    async def submit(self, key: Key, item: Item) -> None:
        """Returns when it is done with; raises what `do` raises."""
        entry = _Waiting(item, asyncio.get_running_loop().create_future())
        entry.done.add_done_callback(_seen)
        if key in self._waiting:  # whoever came first does it for all
            self._waiting[key].append(entry)
        else:
            self._waiting[key] = [entry]
            await self._lead(key)
        await entry.done

    async def _lead(self, key: Key) -> None:
        waiting, seen = self._waiting[key], 0
        try:
            while seen < len(waiting) < MOST_TOGETHER:
                seen = len(waiting)
                await asyncio.sleep(0)
        finally:
            del self._waiting[key]
            await self._do_all(key, waiting)

    async def _do_all(self, key: Key, waiting: list[_Waiting[Item]]) -> None:
        for start in range(0, len(waiting), MOST_TOGETHER):
            some = waiting[start : start + MOST_TOGETHER]
            try:
                await self._do(key, [each.item for each in some])
            except Exception as error:
                _answer(some, error)
            except BaseException:
                _answer(waiting[start:], Unavailable("this process is stopping; try again"))
                raise
            else:
                _answer(some, None)


def _seen(done: "asyncio.Future[None]") -> None:
    """Whoever waited may have gone before the error came."""
    if not done.cancelled():
        done.exception()


def _answer(some: Sequence[_Waiting[Item]], error: Exception | None) -> None:
    for each in some:
        answer(each.done, error)
