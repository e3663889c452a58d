"""The process that reads an export tells all of it, in batches, to whoever started it, and to nobody else."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

import pytest

from postroom.domain.activity import Activity, Deletion, Record
from postroom.domain.facts import Keyed, Keyring
from postroom.domain.totals import traits
from postroom.sources import frames
from postroom.sources.frames import Batch, Job, Opened, Refusal, Start
from postroom.sources.registry import PLATFORMS
from tests.acceptance.house import DEADLINE
from tests.sources.exports import (
    activities,
    damaged,
    deletions,
    folder,
    gzipped,
    lines,
    records,
    skipped,
)
from tests.sources.samples import AT, SAMPLES

COMMAND: Final = sys.executable, "-P", "-m", "postroom.sources.reading"
DAY: Final = 86_400_000
SECRET: Final = b"s" * 32
MANY: Final = 20_000
"""Records that no pipe holds all of."""


@contextmanager
def reading(path: Path, platform: str = "ndjson", together: int = 2) -> Iterator["subprocess.Popen[bytes]"]:
    """The process at work."""
    pipe = subprocess.PIPE
    with subprocess.Popen(COMMAND, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            frames.write(
                input_of(process), frames.encode(Job(platform, os.fsencode(path), platform, together))
            )
            yield process
        finally:
            process.kill()


def first(process: "subprocess.Popen[bytes]") -> Opened | Refusal:
    """What it says first."""
    return frames.decode_first(frames.read(pipe_of(process)))


def begin(process: "subprocess.Popen[bytes]", activities: int = 0, deletions: int = 0) -> None:
    """Have it tell all but so many."""
    with input_of(process) as pipe:
        frames.write(pipe, frames.encode(Start(SECRET, activities, deletions)))


def batches(process: "subprocess.Popen[bytes]", activities: int = 0, deletions: int = 0) -> list[Batch]:
    """All that follow when it has begun, up to the end."""
    begin(process, activities, deletions)
    pipe, told = pipe_of(process), []
    while frame := frames.read(pipe):
        told.append(frames.decode_batch(frame))
    assert pipe.read() == b""
    assert process.wait(DEADLINE) == 0
    return told


def input_of(process: "subprocess.Popen[bytes]") -> BinaryIO:
    """Its standard input."""
    return cast(BinaryIO, process.stdin)


def pipe_of(process: "subprocess.Popen[bytes]") -> BinaryIO:
    """Its standard output."""
    return cast(BinaryIO, process.stdout)


def complaints(process: "subprocess.Popen[bytes]") -> bytes:
    """Its standard error, all of it."""
    return cast(BinaryIO, process.stderr).read()


def keyed(expected: list[Record], together: int = 2) -> list[Keyed]:
    """So many of the records at a time, with keys."""
    keyring = Keyring(SECRET)
    some = (expected[start : start + together] for start in range(0, len(expected), together))
    return [keyring.keyed([*activities(each), *deletions(each)]) for each in some]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_platform(platform: str, tmp_path: Path) -> None:
    """What it tells is what the reader tells, and what it counts is of that."""
    path = gzipped(tmp_path / "export", SAMPLES[platform]())
    expected: list[Record] = records(platform, path)
    with reading(path, platform) as process:
        opened = first(process)
        told = batches(process)
    assert isinstance(opened, Opened)
    assert opened.identity[:2] == (platform, platform)
    sent, gone = activities(expected), deletions(expected)
    assert [batch.keyed for batch in told] == keyed(expected)
    assert sum(batch.keyed.activities for batch in told) == len(sent)
    assert sum(batch.keyed.deletions for batch in told) == len(gone)
    assert [each for batch in told for each in batch.damaged] == damaged(expected)
    counted = told[-1].counted
    sent += [each.sent for each in gone if each.sent]
    assert counted.skipped == Counter(skipped(expected))
    assert counted.files == sum(each.files for each in sent)
    assert counted.file_bytes == sum(each.file_bytes for each in sent)
    assert counted.by_platform == sum(each.system for each in sent)
    assert (counted.first_day, counted.last_day) == (
        min(each.at for each in sent) // DAY,
        max(each.at for each in sent) // DAY,
    )
    assert 0 < counted.read <= opened.total  # not all files of an export tell of messages


def test_batches(tmp_path: Path) -> None:
    """Each has as many records as were asked for, of whatever sort; counts are of all up to it."""
    path = tmp_path / "a.ndjson"
    message = {"person": "p", "space": "s", "direct": False}
    path.write_bytes(
        lines(
            {**message, "message_id": "1", "at": AT + DAY, "by_bot": True},
            {"message_id": "1", "deleted": True},
            {**message, "message_id": "2", "at": AT, "by_bot": True, "system": True},
            {"message_id": 4},
            {**message, "message_id": "3", "at": AT + 2 * DAY},
        )
    )
    with reading(path) as process:
        first(process)
        told = batches(process)
    sizes = [(each.keyed.activities, each.keyed.deletions, len(each.damaged)) for each in told]
    assert sizes == [(1, 1, 0), (1, 0, 1), (1, 0, 0)]
    counted = [batch.counted for batch in told]
    assert [(each.by_bots, each.by_platform, each.damaged) for each in counted] == [
        (1, 0, 0), (1, 1, 1), (1, 1, 1),
    ]  # fmt: skip
    day = AT // DAY
    spans = [(day + 1, day + 1), (day, day + 1), (day, day + 2)]
    assert [(each.first_day, each.last_day) for each in counted] == spans


def test_every_field(tmp_path: Path) -> None:
    """Arrives as it was sent, a deletion's unknown time too."""
    path = tmp_path / "a.ndjson"
    yes = dict.fromkeys(("direct", "video", "audio", "recording", "by_bot", "system"), True)
    files = {"files": 3, "file_bytes": 1 << 42, "files_of_unknown_size": 1}
    message = {"at": AT, "person": "ﬀ", "space": "s\0", "client": "mobile", "source": "other", **yes, **files}
    path.write_bytes(lines({**message, "message_id": "🦉"}, {"message_id": "1", "deleted": True}))
    activity, deletion = records("ndjson", path)
    assert isinstance(activity, Activity)
    assert isinstance(deletion, Deletion)
    with reading(path) as process:
        first(process)
        (batch,) = batches(process)
    assert [batch.keyed] == keyed([activity, deletion])
    (facts,), (marks,) = batch.keyed.facts, batch.keyed.marks
    assert (facts.source, facts.times, facts.people, facts.spaces) == ("other", [AT], ["ﬀ"], ["s\0"])
    assert (facts.files, facts.file_bytes, facts.files_of_unknown_size) == ([3], [1 << 42], [1])
    assert facts.traits == [traits(activity)]
    assert (marks.source, marks.times, marks.sent.keys) == ("ndjson", [0], [])


@pytest.mark.parametrize(
    ("before", "left"),
    [((0, 0), [(1, 1), (1, 0), (1, 0)]), ((2, 0), [(0, 1), (0, 0), (1, 0)]), ((3, 1), [(0, 0)] * 3)],
)
def test_what_was_taken_in_before(
    tmp_path: Path, before: tuple[int, int], left: list[tuple[int, int]]
) -> None:
    """Is not told again, but is counted."""
    path = tmp_path / "a.ndjson"
    message = {"at": AT, "person": "p", "space": "s", "direct": False, "files": 1}
    sent = [{**message, "message_id": str(number)} for number in range(3)]
    path.write_bytes(lines(sent[0], {"message_id": "0", "deleted": True}, sent[1], {"damaged": 1}, sent[2]))
    with reading(path) as process:
        first(process)
        told = batches(process, *before)
    assert [(each.keyed.activities, each.keyed.deletions) for each in told] == left
    assert [(each.counted.files, each.counted.damaged) for each in told] == [(1, 0), (2, 1), (3, 1)]


def test_a_message_that_is_told_with_its_deletion(tmp_path: Path) -> None:
    """One record; its files and its day count as those of any other."""
    path = tmp_path / "a.ndjson"
    message = {"message_id": "1", "at": AT, "person": "p", "space": "s", "direct": False, "files": 2}
    path.write_bytes(lines({**message, "deleted": True}))
    with reading(path) as process:
        first(process)
        (batch,) = batches(process)
    (marks,) = batch.keyed.marks
    assert (batch.keyed.count, marks.sent.keys, marks.sent.times, marks.times) == (1, marks.keys, [AT], [0])
    assert (batch.counted.files, batch.counted.first_day) == (2, AT // DAY)


def test_who_does_not_begin(tmp_path: Path) -> None:
    """Is told nothing more, and the process ends by itself, in silence."""
    with reading(many(tmp_path / "a.ndjson")) as process:
        assert isinstance(first(process), Opened)
        input_of(process).close()
        assert (pipe_of(process).read(), complaints(process), process.wait(DEADLINE)) == (b"", b"", 0)


@pytest.mark.parametrize("name", ["nothing", "a.ndjson"])
def test_refused(name: str, tmp_path: Path) -> None:
    """A sentence, and nothing else."""
    (tmp_path / "a.ndjson").write_bytes(b"hello")
    with reading(tmp_path / name) as process:
        told = first(process)
        assert (pipe_of(process).read(), complaints(process), process.wait(DEADLINE)) == (b"", b"", 0)
    assert isinstance(told, Refusal)
    assert told.detail.endswith(".")


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    """An export may have such, and lie below such; in what is told they are escaped."""
    root = tmp_path / os.fsdecode(b"export \xff")
    good = {"message_id": "1", "at": AT, "person": "p", "space": "s", "direct": False}
    folder(root, {os.fsdecode(b"\xfe.ndjson"): lines(good, good, "bad")})
    with reading(root) as process:
        assert isinstance(first(process), Opened)
        told = batches(process)
    (found,) = [each for batch in told for each in batch.damaged]
    assert found.place == "\\udcfe.ndjson: line 3"


def many(path: Path) -> Path:
    """An export with more than a pipe holds."""
    message = {"at": AT, "person": "p", "space": "s" * 100, "direct": False}
    path.write_bytes(b"".join(lines({**message, "message_id": str(number)}) for number in range(MANY)))
    return path


def test_it_ends_when_nobody_reads(tmp_path: Path) -> None:
    """By itself and in silence, as when the process that started it was killed."""
    with reading(many(tmp_path / "a.ndjson")) as process:
        first(process)
        begin(process)
        pipe_of(process).close()
        assert process.wait(DEADLINE) == 0
        assert complaints(process) == b""


def test_it_ends_when_it_is_told_all(tmp_path: Path) -> None:
    """Not by SIGTERM, which others get too: whoever reads decides when to stop, and may need the rest."""
    with reading(many(tmp_path / "a.ndjson")) as process:
        first(process)
        process.send_signal(signal.SIGTERM)
        assert sum(batch.keyed.activities for batch in batches(process)) == MANY
        assert complaints(process) == b""


def test_a_frame_that_is_cut_off(tmp_path: Path) -> None:
    """Is none."""
    for data in (b"", b"\0\0\0", b"\0\0\0\2x"):
        (tmp_path / "frame").write_bytes(data)
        with (tmp_path / "frame").open("rb") as pipe, pytest.raises(EOFError):
            frames.read(pipe)
