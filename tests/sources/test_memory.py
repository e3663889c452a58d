"""What a reader holds does not grow with the export: it never is far ahead of what it has told."""

import gc
import io
import itertools
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from postroom.domain.activity import Activity, Damaged, Record
from postroom.sources.archive import Archive, Member
from postroom.sources.json_stream import BATCH, CHUNK
from postroom.sources.registry import PLATFORMS
from postroom.sources.streams import Limits, Stream
from tests.sources import samples
from tests.sources.exports import Files, text
from tests.sources.samples import AT, SAMPLES

ROWS = 10_000
AHEAD = 2 * CHUNK + BATCH
"""Bytes that may have been read and not yet told: a chunk, what was left of the last, and a batch."""


class Endless(Archive):
    """An archive with one large member, which is made while it is read and is nowhere as a whole."""

    def __init__(self, files: Files, name: str, large: Callable[[], Iterator[bytes]]) -> None:
        super().__init__(Limits())
        self._small = {**files, name: b""}
        self._name = name
        self._large = large
        self.given = 0
        self._take((name, Member(name, 1 << 40, False)) for name in self._small)

    def open(self, name: str) -> Stream:
        """The member; the large one has no size of its own."""
        if name != self._name:
            return Stream(io.BytesIO(self._small[name]), self.meter)
        self.given = 0
        return Stream(Given(self, self._large()), self.meter)  # type: ignore[arg-type]


class Given:
    """Pieces as one stream, which counts what it gives."""

    def __init__(self, archive: Endless, pieces: Iterator[bytes]) -> None:
        self._archive = archive
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int) -> bytes:
        parts = [self._rest]
        length = len(self._rest)
        while length < size and (piece := next(self._pieces, b"")):
            parts.append(piece)
            length += len(piece)
        data = b"".join(parts)
        self._rest = data[size:]
        self._archive.given += min(size, len(data))
        return data[:size]

    def close(self) -> None:
        """Nothing is open."""


def rows(
    head: bytes, row: Callable[[int], Any], tail: bytes, between: bytes
) -> Callable[[], Iterator[bytes]]:
    """The pieces of a member with so many rows."""

    def pieces() -> Iterator[bytes]:
        for number in range(ROWS):
            yield (between if number else head) + text(row(number))
        yield tail

    return pieces


def slack_row(number: int) -> Any:
    """A message of Slack."""
    return {"type": "message", "user": "U1", "ts": f"{1_700_000_000 + number}.000100", "text": "x" * 100}


LARGE: dict[str, tuple[str, Callable[[], Iterator[bytes]]]] = {
    "slack": ("general/2023-11-14.json", rows(b"[", slack_row, b"]", b",\n")),
    "zulip": (
        "messages-000001.json",
        rows(
            b'{"zerver_message": [',
            lambda number: samples.zulip_message(101 + number, 7, 20),
            b'], "zerver_usermessage": []}',
            b", ",
        ),
    ),
    "mattermost": (
        "import.jsonl",
        rows(
            text({"type": "version", "version": 1}) + b"\n",
            lambda number: {
                "type": "post",
                "post": {
                    "team": "t",
                    "channel": "c",
                    "user": "ann",
                    "message": "hi",
                    "create_at": AT + number,
                },
            },
            b"\n",
            b"\n",
        ),
    ),
    "rocketchat": (
        "rocketchat_message.json",
        rows(b"", lambda number: samples.rocketchat_message(f"m{number}", "GENERAL", "u1"), b"\n", b"\n"),
    ),
    "teams": (
        "users/u1/messages_u1.json",
        rows(
            b"[", lambda number: samples.teams_message(f"17{number:011}", "u1", {"ChatId": "c"}), b"]", b","
        ),
    ),
    "webex": (
        "space.json",
        rows(b'{"items": [', lambda number: samples.webex_message(f"m{number}", "group"), b"]}", b",\n"),
    ),
    "matrix": (
        "export.json",
        rows(
            b'{"messages": [',
            lambda number: samples.matrix_event(f"${number}", "@ann:x", {"msgtype": "m.text", "body": "x"}),
            b"]}",
            b", ",
        ),
    ),
    "discord": (
        "Guild - general [1].json",
        rows(
            b'{"guild": {}, "channel": {"id": "1", "type": "GuildTextChat"}, "messages": [',
            lambda number: samples.discord_message(str(number)),
            b"]}",
            b", ",
        ),
    ),
    "telegram": (
        "result.json",
        rows(
            b'{"type": "private_group", "id": 5, "messages": [',
            samples.telegram_message,
            b"]}",
            b", ",
        ),
    ),
    "ndjson": (
        "activities.ndjson",
        rows(b"", lambda number: samples.ndjson_activity(f"m{number}"), b"\n", b"\n"),
    ),
}

PLATFORM = pytest.mark.parametrize("platform", SAMPLES)


def large(platform: str) -> Endless:
    """The platform's sample, with one member that is large."""
    name, pieces = LARGE[platform]
    return Endless(SAMPLES[platform](), name, pieces)


def found(platform: str, archive: Archive) -> Iterator[Record]:
    """The records of an archive that fits."""
    assert PLATFORMS[platform].fits(archive)
    return PLATFORMS[platform].read(archive, platform)


@PLATFORM
def test_a_reader_is_never_far_ahead(platform: str) -> None:
    """Between any two records, no more is read of a large member than a few chunks."""
    archive = large(platform)
    before, furthest, told = 0, 0, 0
    for record in found(platform, archive):
        assert not isinstance(record, Damaged)
        if archive.given < before:  # the member was opened anew
            before = 0
        furthest, before = max(furthest, archive.given - before), archive.given
        told += 1
    assert told >= ROWS
    assert 0 < furthest <= AHEAD


@PLATFORM
def test_a_reader_holds_no_records(platform: str) -> None:
    """The memory in use does not rise from the beginning of a large member to its middle."""
    archive = large(platform)
    told = (record for record in found(platform, archive) if isinstance(record, Activity))
    gc.collect()
    tracemalloc.start()
    try:
        consumed(itertools.islice(told, ROWS // 20))
        early, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        consumed(itertools.islice(told, ROWS // 2))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - early < 16 * CHUNK


def consumed(told: Iterator[Activity]) -> None:
    """Take all, and keep none."""
    for _ in told:
        pass


def test_a_reader_can_be_left(tmp_path: Path) -> None:
    """Whoever stops in the middle leaves no file open."""
    archive = large("slack")
    told = found("slack", archive)
    next(told)
    told.close()  # type: ignore[attr-defined]
    archive.close()
