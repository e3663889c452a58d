"""Who shares the next commit: those who were answered together are given time to come back together."""

import asyncio
from collections.abc import Sequence

import pytest

from postroom.service.waiting import SEVERAL, Waiting, WaitingRoom

pytestmark = pytest.mark.anyio

MANY = 1_000_000  # turns; nobody waits for so long and is right
LONG = 3_600.0  # seconds; nor for this


def enter(room: WaitingRoom, items: Sequence[int], *, patient: bool = False) -> None:
    """All of them, one after another."""
    for item in items:
        future = asyncio.get_running_loop().create_future()
        room.enter(Waiting(print, item, future, patient))


async def taken(room: WaitingRoom) -> list[int]:
    """What is to be committed next."""
    batch = [waiting.item for waiting in await room.next()]
    room.committed()
    return batch


async def settled(task: "asyncio.Task[list[int]]") -> bool:
    """Whether it is done when nothing is left to do but to wait for what takes time."""
    for _ in range(20):
        await asyncio.sleep(0)
    return task.done()


async def test_as_many_as_before_are_waited_for() -> None:
    """They come in two parts, and share one commit."""
    room = WaitingRoom(MANY, LONG)
    enter(room, range(SEVERAL))
    assert await taken(room) == [*range(SEVERAL)]
    enter(room, [0, 1, 2])
    following = asyncio.create_task(taken(room))
    assert not await settled(following)
    enter(room, range(3, SEVERAL))
    assert await following == [*range(SEVERAL)]


async def test_a_few_are_not_waited_for() -> None:
    """A commit costs a few less than the wait would."""
    room = WaitingRoom(MANY, LONG)
    enter(room, range(SEVERAL - 1))
    assert len(await taken(room)) == SEVERAL - 1
    enter(room, [1])
    assert await taken(room) == [1]


async def test_those_who_do_not_come_back_are_not_waited_for_again_and_again() -> None:
    """After a wait in vain, half as many are expected."""
    room = WaitingRoom(3)
    enter(room, range(2 * SEVERAL - 2))
    assert len(await taken(room)) == 2 * SEVERAL - 2
    enter(room, [1])
    assert await taken(room) == [1]
    room.turns = MANY
    enter(room, [2])
    assert await taken(room) == [2]


async def test_the_patient_are_not_waited_for() -> None:
    """However many there were: nobody waits for them, to come again."""
    room = WaitingRoom(3)
    enter(room, range(10 * SEVERAL), patient=True)
    assert len(await taken(room)) == 10 * SEVERAL
    room.turns = MANY
    enter(room, [1])
    assert await taken(room) == [1]


async def test_the_patient_are_taken_with_others() -> None:
    """They do not call anybody before their time, but go with whoever comes."""
    room = WaitingRoom(MANY, LONG)
    enter(room, [0])
    assert await taken(room) == [0]
    following = asyncio.create_task(taken(room))
    assert not await settled(following)
    enter(room, [1], patient=True)
    assert not await settled(following)
    enter(room, [2])
    assert await following == [1, 2]


async def test_one_of_several_takes_all() -> None:
    """The other one goes on resting, and has what comes later."""
    room = WaitingRoom(MANY, LONG)
    both = [asyncio.create_task(taken(room)) for _ in range(2)]
    assert not await settled(both[0])
    enter(room, range(5))
    done, (other,) = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    assert [await task for task in done] == [[0, 1, 2, 3, 4]]
    assert not await settled(other)
    enter(room, [5])
    assert await other == [5]


async def test_who_waits_for_others_is_alone_with_it() -> None:
    """Another one who would commit rests meanwhile, and does not take the few that are there."""
    room = WaitingRoom(MANY, LONG)
    enter(room, range(SEVERAL))
    assert len(await taken(room)) == SEVERAL
    enter(room, [0])
    both = [asyncio.create_task(taken(room)) for _ in range(2)]
    assert not await settled(both[0])
    assert not await settled(both[1])
    enter(room, range(1, SEVERAL))
    assert len(await both[0]) == SEVERAL
    room.close()
    assert await both[1] == []


async def test_nobody_is_waited_for_when_it_closes() -> None:
    """What is there is still to be committed."""
    room = WaitingRoom(MANY, LONG)
    enter(room, range(SEVERAL))
    assert len(await taken(room)) == SEVERAL
    enter(room, [1])
    following = asyncio.create_task(taken(room))
    assert not await settled(following)
    room.close()
    assert await following == [1]
    assert await taken(room) == []
