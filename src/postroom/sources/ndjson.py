"""Postroom's own format: an activity in JSON on each line, or a JSON array of them.

`{"message_id": "m-1", "at": 1700000000000, "person": "p-7", "space": "s-3", "direct": false}`

Required: `message_id` (unique within its source), `at` (ms since the epoch, UTC, from 1990 to 2100),
`person` and `space` (ids of 1 to 1000 characters), `direct` (true between two people). Optional: `source`
(a name of up to 100 characters; else that of the whole import), `client` ("desktop", "mobile", "other",
"unknown", or their numbers 1, 2, 3, 0), `files`, `file_bytes`, `files_of_unknown_size`, `video`, `audio`,
`recording`, `by_bot`, `system`. Unknown fields are an error, and nothing is converted: "1" is no number.

`{"deleted": true, "message_id": "m-1", "at": 1700000009000}` marks a message as deleted; `at`, when it was,
and `source` may be left out. With all that is required it also tells the message, which was sent at `at`.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Literal

import msgspec

from postroom.domain.activity import (
    Activity,
    ByteCount,
    Client,
    Damaged,
    Deletion,
    FileCount,
    Id,
    Record,
    Time,
)
from postroom.domain.errors import Invalid
from postroom.domain.live_source import check_source_name
from postroom.sources.archive import Archive
from postroom.sources.json_stream import CHUNK, Fault, JsonStream, Read
from postroom.sources.records import Batch, Form, guarded, in_lines, in_list, outline

NAME = "ndjson"
EXPECTED = (
    'lines of JSON (.ndjson, .jsonl), each an activity with "message_id", "at", "person", "space" and '
    '"direct", or one JSON array of them.'
)
LONGEST_LINE = 1 << 20
MOST_NAMES = 1_000
_NAMED = {
    "unknown": Client.UNKNOWN,
    "desktop": Client.DESKTOP,
    "mobile": Client.MOBILE,
    "other": Client.OTHER,
}
_CLIENTS: dict[str | int, Client] = {}
for _client in Client:
    _CLIENTS[_client.name.lower()] = _CLIENTS[int(_client)] = _client
_DELETED = re.compile(rb'"deleted"\s*:\s*true\b')

Source = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class Rejected(msgspec.Struct, frozen=True):
    """A line, or an item of the array (counted from 1), that is no activity, and what to mend."""

    line: int
    detail: str


class ActivityLine(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An activity; `at` is ms since the epoch, UTC."""

    message_id: Id
    at: Time
    person: Id
    space: Id
    direct: bool
    source: Source | None = None
    client: Literal["unknown", "desktop", "mobile", "other", 0, 1, 2, 3] = "unknown"
    files: FileCount = 0
    file_bytes: ByteCount = 0
    files_of_unknown_size: FileCount = 0
    video: bool = False
    audio: bool = False
    recording: bool = False
    by_bot: bool = False
    system: bool = False
    deleted: bool = False


class DeletionLine(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A message was deleted, `at` ms since the epoch, UTC, where that is known."""

    message_id: Id
    deleted: bool
    at: Time | None = None
    source: Source | None = None


_LINE = msgspec.json.Decoder(ActivityLine).decode
_DELETION = msgspec.json.Decoder(DeletionLine).decode


def _one(raw: bytes) -> ActivityLine | DeletionLine:
    try:
        return _LINE(raw)
    except msgspec.ValidationError:
        if _DELETED.search(raw) is None:
            raise
        return _DELETION(raw)


_FORM = Form[ActivityLine | DeletionLine](ActivityLine, _one)


def numbered(read: Read, source: str, *, by_line: bool = False) -> Iterator[Activity | Deletion | Rejected]:
    """What text in this format says, in its order; `source` is that of lines which name none.

    With `by_line` it is known to be no array.
    """
    for number, batch in in_lines(read, _FORM, LONGEST_LINE) if by_line else _batches(read):
        for at, line in enumerate(batch, number):
            yield _told(line, at, source)


def _batches(read: Read) -> Iterator[Batch[ActivityLine | DeletionLine]]:
    first = read(CHUNK)
    rest = _rejoined(first, read)
    if first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        return _in_array(JsonStream(rest, LONGEST_LINE))
    return in_lines(rest, _FORM, LONGEST_LINE)


def _in_array(stream: JsonStream) -> Iterator[Batch[ActivityLine | DeletionLine]]:
    behind = 1
    for number, batch in in_list(stream, _FORM):
        yield number, batch
        behind = number + len(batch)
    if not stream.lost and stream.peek():
        yield behind, [Fault("stands behind the end of the list; the rest was left out")]


def _rejoined(first: bytes, read: Read) -> Read:
    ready = [first]
    return lambda size: ready.pop() if ready else read(size)


def _told(
    line: ActivityLine | DeletionLine | Fault, number: int, source: str
) -> Activity | Deletion | Rejected:
    if isinstance(line, Fault):
        return Rejected(number, line.detail)
    if line.source is not None and (complaint := _complaint_of(line.source)):
        return Rejected(number, complaint)
    if isinstance(line, DeletionLine):
        return Deletion(line.source or source, line.message_id, line.at)
    with_sizes = line.file_bytes or line.files_of_unknown_size
    told = _with_files(line, number, source) if with_sizes else _activity(line, source)
    if line.deleted and isinstance(told, Activity):
        return Deletion(told.source, told.message_id, sent=told)
    return told


@lru_cache(MOST_NAMES)
def _complaint_of(source: str) -> str:
    """Why no source can be named so; nothing where one can."""
    try:
        check_source_name(source, "source")
    except Invalid as error:
        return error.detail
    return ""


def _with_files(line: ActivityLine, number: int, source: str) -> Activity | Rejected:
    if line.files_of_unknown_size > line.files:
        return Rejected(number, "files_of_unknown_size must not be more than files")
    if line.file_bytes and line.files == line.files_of_unknown_size:
        return Rejected(number, "file_bytes must be 0 without files of known size")
    return _activity(line, source)


def _activity(line: ActivityLine, source: str) -> Activity:
    return Activity(
        line.source or source,
        line.message_id,
        line.at,
        line.person,
        line.space,
        line.direct,
        _CLIENTS[line.client],
        line.files,
        line.file_bytes,
        line.files_of_unknown_size,
        line.video,
        line.audio,
        line.recording,
        line.by_bot,
        line.system,
    )


def fits(archive: Archive) -> bool:
    """Whether some file begins with what may be an activity or a deletion."""
    return any(_fits(archive, name) for name in archive.texts)


def _fits(archive: Archive, name: str) -> bool:
    found = outline(archive, name)
    return found is not None and (found.has("message_id", "at") or found.has("message_id", "deleted"))


def read(archive: Archive, source: str = NAME) -> Iterator[Record]:
    """The activities and deletions of all files."""
    for name in archive.texts:
        yield from guarded(name, _of_file(archive, name, source))


def _of_file(archive: Archive, name: str, source: str) -> Iterator[Record]:
    with archive.open(name) as member:
        for record in numbered(member.read, source):
            if isinstance(record, Rejected):
                yield Damaged(f"{name}: line {record.line}", record.detail)
            else:
                yield record
