"""Exports of the right outline whose every field may be anything: records, or Damaged, and nothing else."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postroom.domain.activity import (
    EARLIEST,
    LATEST,
    LONGEST_ID,
    MOST_BYTES,
    MOST_FILES,
    Activity,
    Client,
    Damaged,
    Deletion,
    Record,
    Skipped,
)
from postroom.sources.archive import open_archive
from postroom.sources.registry import PLATFORMS
from tests.sources.exports import folder
from tests.sources.samples import SAMPLES

NUMBERS = st.integers(-(10**25), 10**25) | st.floats(allow_nan=False, allow_infinity=False) | st.just(10**400)
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | NUMBERS
    | st.text(max_size=5)
    | st.sampled_from(["", "\ud800", "9" * 5000, "x" * 2000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
MOST = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a value of JSON, as the steps to it."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for step, inner in steps for place in places(inner, (*path, step)))]


def altered(value: Any, path: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Any:
    """The value with a change at a place, which gets its container and the last step."""
    if not path:
        return value
    inner = value
    for step in path[:-1]:
        inner = inner[step]
    change(inner, path[-1])
    return value


def documents(platform: str, name: str, data: bytes) -> list[Any] | None:
    """The JSON of a file: of the whole, or of each line; nothing for other files."""
    if name.endswith((".jsonl", ".ndjson")) or platform == "rocketchat":
        return [json.loads(line) for line in data.splitlines()]
    return [json.loads(data)] if name.endswith(".json") else None


@pytest.mark.parametrize("platform", SAMPLES)
@MOST
@given(data=st.data())
def test_any_json_in_the_right_outline(platform: str, data: st.DataObject) -> None:
    """Fields may hold anything or be missing: what a reader tells stays within its bounds."""
    files = dict(SAMPLES[platform]())
    for _ in range(data.draw(st.integers(1, 4))):
        name = data.draw(st.sampled_from(sorted(files)))
        values = documents(platform, name, files[name])
        if values is None:
            continue
        inside = [path for path in places(values) if len(path) > 1]
        if not inside:
            continue
        path = data.draw(st.sampled_from(inside))
        if data.draw(st.booleans()):
            junk = data.draw(JUNK)
            altered(values, path, lambda inner, step, junk=junk: inner.__setitem__(step, junk))  # type: ignore[misc]
        else:
            altered(values, path, lambda inner, step: inner.__delitem__(step))
        files[name] = b"\n".join(json.dumps(value).encode() for value in values)
    with tempfile.TemporaryDirectory() as place:
        check(platform, folder(Path(place), files))


def check(platform: str, path: Path) -> None:
    """All that a reader tells is of the right types and within its bounds."""
    with open_archive(path) as archive:
        if not PLATFORMS[platform].fits(archive):
            return
        told = list(PLATFORMS[platform].read(archive, platform))
        again = list(PLATFORMS[platform].read(archive, platform))
    assert told == again
    for record in told:
        check_record(record)


def check_record(record: Record) -> None:
    """A record is within its bounds."""
    match record:
        case Activity():
            check_activity(record)
        case Deletion():
            assert isinstance(record.message_id, str)
            assert record.message_id
            assert record.at is None or EARLIEST <= record.at < LATEST
        case Skipped():
            assert record.at is None or EARLIEST <= record.at < LATEST
        case Damaged():
            assert 0 < len(record.detail) < 300
            assert record.place


def check_activity(sent: Activity) -> None:
    """An activity has what it must have."""
    assert EARLIEST <= sent.at < LATEST
    assert type(sent.at) is int
    for identity in (sent.source, sent.message_id, sent.space):
        assert identity
        assert len(identity.encode()) <= 10 * LONGEST_ID
    assert sent.person or sent.by_bot or sent.system
    assert isinstance(sent.client, Client)
    assert 0 <= sent.files_of_unknown_size <= sent.files <= MOST_FILES
    assert 0 <= sent.file_bytes <= MOST_BYTES
    flags = (sent.direct, sent.video, sent.audio, sent.recording, sent.by_bot, sent.system)
    assert {type(flag) for flag in flags} == {bool}
