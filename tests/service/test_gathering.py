"""What comes in one turn of the event loop is done together, for all who wait or for none."""

import asyncio
from collections.abc import Sequence

import pytest

from postroom.domain.errors import Unavailable
from postroom.service.gathering import MOST_TOGETHER, Gathering

pytestmark = pytest.mark.anyio


class Work:
    """Remembers what it was asked to do together; fails if told so, and waits while it may not go on."""

    def __init__(self) -> None:
        self.done: list[tuple[str, list[int]]] = []
        self.error: Exception | None = None
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def do(self, key: str, items: Sequence[int]) -> None:
        """As the gathering calls it."""
        self.done.append((key, list(items)))
        await self.may_go_on.wait()
        if self.error is not None:
            raise self.error


async def test_what_comes_in_one_turn() -> None:
    """Of each key by itself, in the order in which it came; later it is done anew."""
    work = Work()
    gathering = Gathering(work.do)
    await asyncio.gather(*(gathering.submit("ab"[n % 2], n) for n in range(6)))
    await gathering.submit("a", 6)
    assert work.done == [("a", [0, 2, 4]), ("b", [1, 3, 5]), ("a", [6])]


async def test_not_too_much_at_once() -> None:
    """More than that is done one part after the other."""
    work = Work()
    gathering = Gathering(work.do)
    await asyncio.gather(*(gathering.submit("a", n) for n in range(2 * MOST_TOGETHER + 1)))
    assert [len(items) for _, items in work.done] == [MOST_TOGETHER, MOST_TOGETHER, 1]


async def test_errors_are_everybodys() -> None:
    """All who waited for it are told; the next ones are not concerned."""
    work = Work()
    gathering = Gathering(work.do)
    work.error = Unavailable("no")
    told = await asyncio.gather(*(gathering.submit("a", n) for n in range(3)), return_exceptions=True)
    assert told == [work.error] * 3
    work.error = None
    await gathering.submit("a", 4)


async def test_who_comes_while_others_are_done() -> None:
    """Does not wait for them."""
    work = Work()
    gathering = Gathering(work.do)
    work.may_go_on.clear()
    async with asyncio.TaskGroup() as tasks:
        for number in range(2):
            tasks.create_task(gathering.submit("a", number))
            while len(work.done) <= number:
                await asyncio.sleep(0)
        work.may_go_on.set()
    assert work.done == [("a", [0]), ("a", [1])]


async def test_one_who_goes_away() -> None:
    """Takes nothing from the others, neither when it was the first."""
    for gone in range(3):
        work = Work()
        gathering = Gathering(work.do)
        tasks = [asyncio.create_task(gathering.submit("a", n)) for n in range(3)]
        await asyncio.sleep(0)
        tasks[gone].cancel()
        told = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(each, asyncio.CancelledError) for each in told] == [n == gone for n in range(3)]
        assert work.done == [("a", [0, 1, 2])]


async def test_the_first_goes_away_in_the_middle() -> None:
    """It did it for all, so the others are told that it was not done."""
    work = Work()
    gathering = Gathering(work.do)
    work.may_go_on.clear()
    tasks = [asyncio.create_task(gathering.submit("a", n)) for n in range(3)]
    while not work.done:
        await asyncio.sleep(0)
    tasks[0].cancel()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(told[0], asyncio.CancelledError)
    assert all(isinstance(each, Unavailable) for each in told[1:])
