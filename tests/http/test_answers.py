"""Finished answers are given again while they are right, and never need more than a bounded memory."""

import pytest

from postroom.http import answers
from postroom.http.answers import Answers, Made

pytestmark = pytest.mark.anyio


class Maker:
    """Makes bodies of this many bytes, and counts them."""

    def __init__(self, size: int = 1) -> None:
        self.size = size
        self.stamp: object = "first"
        self.made = 0

    async def __call__(self) -> Made:
        self.made += 1
        return Made(b"%d" % self.made + b" " * self.size, self.stamp)


async def test_the_same_question_at_the_same_stamp() -> None:
    """Is answered with the same body; another stamp or another question is not."""
    kept, make = Answers(), Maker()
    assert await kept.body("q", "first", make) is await kept.body("q", "first", make)
    make.stamp = "second"
    assert (await kept.body("q", "second", make)).startswith(b"2")
    assert (await kept.body("other", "second", make)).startswith(b"3")
    assert (await kept.body("q", "second", make)).startswith(b"2")


async def test_an_answer_is_kept_under_the_stamp_that_it_was_made_at() -> None:
    """What changed between asking and making is in the body, and the next request gets it again."""
    kept, make = Answers(), Maker()
    make.stamp = "second"
    body = await kept.body("q", "first", make)
    assert await kept.body("q", "second", make) is body
    assert await kept.body("q", "first", make) is not body


async def test_the_oldest_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """By number and by bytes; what is given up is made again."""
    monkeypatch.setattr(answers, "MOST_KEPT", 3)
    monkeypatch.setattr(answers, "MOST_BYTES", 1000)
    kept, make = Answers(), Maker(10)
    for question in range(5):
        await kept.body(question, "first", make)
    assert list(kept._kept) == [2, 3, 4]
    make.size = 900
    await kept.body("big", "first", make)
    assert (list(kept._kept), kept._size) == ([3, 4, "big"], 11 * 2 + 901)
    await kept.body("bigger", "first", make)
    assert (list(kept._kept), kept._size) == (["bigger"], 901)


async def test_what_is_very_large_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would push out everything else, and takes the place of nothing."""
    monkeypatch.setattr(answers, "LARGEST", 100)
    kept, make = Answers(), Maker(1)
    await kept.body("q", "first", make)
    make.size, make.stamp = 1000, "second"
    await kept.body("q", "second", make)
    assert (kept._kept, kept._size) == ({}, 0)


async def test_an_answer_that_fails_is_not_kept() -> None:
    """Neither is the one before forgotten."""
    kept, make = Answers(), Maker()
    before = await kept.body("q", "first", make)

    async def broken() -> Made:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await kept.body("q", "second", broken)
    assert await kept.body("q", "first", make) is before
