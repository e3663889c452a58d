"""Finished answers, kept while they are right."""

from collections.abc import Awaitable, Callable, Hashable
from typing import NamedTuple

MOST_KEPT = 1_000
MOST_BYTES = 16 * 2**20
LARGEST = 2**20  # bytes; the few who ask for decades can wait for them


class Made(NamedTuple):
    """A body, which is right for as long as the stamp stays."""

    body: bytes
    stamp: object


class Answers:
    """A small memory of bodies by what was asked; those that were made longest ago make room for new ones."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Made] = {}
        self._size = 0

    async def body(self, asked: Hashable, stamp: object, make: Callable[[], Awaitable[Made]]) -> bytes:
        """The body that was made for the same question at the same stamp, or a new one."""
        kept = self._kept.get(asked)
        if kept is not None and kept.stamp == stamp:
            return kept.body
        made = await make()
        self._forget(asked)
        if len(made.body) <= LARGEST:
            self._keep(asked, made)
        return made.body

    def _keep(self, asked: Hashable, made: Made) -> None:
        while self._kept and (len(self._kept) >= MOST_KEPT or self._size + len(made.body) > MOST_BYTES):
            self._forget(next(iter(self._kept)))
        self._kept[asked] = made
        self._size += len(made.body)

    def _forget(self, asked: Hashable) -> None:
        old = self._kept.pop(asked, None)
        self._size -= len(old.body) if old else 0
