"""What a day's activity comes to.

A day's facts are kept apart by source and by part: who sent them (a person, a bot, the platform itself), and
whether they were deleted later. Each answer adds up those parts that it is about.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from pyroaring import BitMap

from postroom.domain.activity import Activity

_DIRECT, _VIDEO, _AUDIO, _RECORDING, _SENDER = 2, 3, 4, 5, 6  # places of bits; the lowest two are the client


class Sender(IntEnum):
    """Who sends a message."""

    PERSON = 0
    BOT = 1
    PLATFORM = 2


def traits(activity: Activity) -> int:
    """All that is yes or no of an activity, and its client, in one number."""
    number = activity.client | activity.direct << _DIRECT
    if activity.video or activity.audio or activity.recording:
        number |= activity.video << _VIDEO | activity.audio << _AUDIO | activity.recording << _RECORDING
    if activity.system or activity.by_bot:
        number |= (Sender.PLATFORM if activity.system else Sender.BOT) << _SENDER
    return number


class Part(NamedTuple):
    """A part of a day's facts."""

    sender: Sender
    deleted: bool

    @property
    def number(self) -> int:
        """As it is kept."""
        return self.sender << 1 | self.deleted


PARTS = tuple(Part(sender, deleted) for sender in Sender for deleted in (False, True))
"""Every part, each at its number."""


class Counts(NamedTuple):
    """How many messages, by client, with video, audio and recordings, and their files; of files, bytes."""

    messages: int = 0
    desktop: int = 0
    mobile: int = 0
    other: int = 0
    video: int = 0
    audio: int = 0
    recording: int = 0
    files: int = 0
    file_bytes: int = 0
    files_of_unknown_size: int = 0

    @property
    def unknown(self) -> int:
        """Messages from clients that are not known."""
        return self.messages - self.desktop - self.mobile - self.other


class Cell(NamedTuple):
    """What one source's facts of one part come to on one day; people and spaces are serialized bitmaps."""

    day: int
    source: int
    part: Part
    counts: Counts
    people: bytes
    groups: bytes
    directs: bytes


BITMAPS = ("people", "groups", "directs")
"""The fields of a cell that are bitmaps."""


def added(counts: Iterable[Counts]) -> Counts:
    """The sums."""
    some = list(counts)
    if len(some) < 2:
        return some[0] if some else Counts()
    return Counts(*map(sum, zip(*some, strict=True)))


def packed(numbers: Iterable[int]) -> bytes:
    """The bitmap of the numbers, as it is kept."""
    return bytes(BitMap(numbers).serialize())


def united(bitmaps: Iterable[bytes]) -> BitMap:
    """What is in any of the bitmaps."""
    some = [BitMap.deserialize(each) for each in bitmaps]
    return some[0] if len(some) == 1 else BitMap.union(BitMap(), *some)
