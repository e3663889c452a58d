"""What the process that reads an export and the one that takes it in tell each other.

All in frames: 4 bytes of length, and so many bytes of MessagePack. A Job comes on standard input, and the
answer on standard output is Opened or Refusal. Then comes a Start, and the answer is batches, of which the
last one is empty.
"""

from collections.abc import Callable
from typing import BinaryIO, NamedTuple

import msgspec

from postroom.domain.activity import Damaged
from postroom.domain.facts import Keyed

_LENGTH = 4  # bytes


class Job(msgspec.Struct, frozen=True, array_like=True):
    """What to read: the export of a platform, so many records at a time."""

    platform: str
    path: bytes  # as the file system has it, which need not be UTF-8
    source: str
    together: int


class Identity(NamedTuple):
    """The platform, the source under which its activity is kept, and a hash that tells exports apart.

    What is the same export is read in the same order by the same version, in whatever folder it is now.
    """

    platform: str
    source: str
    fingerprint: str


class Opened(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """It is an export, of so many bytes to read."""

    identity: Identity
    total: int


class Refusal(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """It is none; a sentence that says why."""

    detail: str


class Counted(msgspec.Struct, array_like=True):
    """What the records that were read by now came to, and how many bytes were read for it.

    All but `skipped`, by rule, and `damaged` is of messages.
    """

    skipped: dict[str, int] = {}
    damaged: int = 0
    files: int = 0
    file_bytes: int = 0
    by_bots: int = 0
    by_platform: int = 0
    first_day: int | None = None
    last_day: int | None = None
    read: int = 0


class Start(msgspec.Struct, frozen=True, array_like=True):
    """The organization's secret, and how many activities and deletions were taken in before: not again."""

    secret: bytes
    activities: int
    deletions: int


class Batch(NamedTuple):
    """Records that are taken in together; what of the export is damaged; what is counted by now."""

    keyed: Keyed
    damaged: list[Damaged]
    counted: Counted


decode_job = msgspec.msgpack.Decoder(Job).decode
decode_first: Callable[[bytes], Opened | Refusal] = msgspec.msgpack.Decoder(Opened | Refusal).decode
decode_start = msgspec.msgpack.Decoder(Start).decode
decode_batch = msgspec.msgpack.Decoder(Batch).decode
encode = msgspec.msgpack.Encoder().encode


def write(pipe: BinaryIO, frame: bytes) -> None:
    """BrokenPipeError where nobody reads any more."""
    pipe.write(len(frame).to_bytes(_LENGTH, "big"))
    pipe.write(frame)
    pipe.flush()


def read(pipe: BinaryIO) -> bytes:
    """The next frame. EOFError where the pipe ends before its end."""
    size = int.from_bytes(_exactly(pipe, _LENGTH), "big")
    return _exactly(pipe, size)


def _exactly(pipe: BinaryIO, size: int) -> bytes:
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return data
