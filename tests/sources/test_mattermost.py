"""Mattermost: ids that are made of names, replies inside posts, and sizes from the archive."""

from pathlib import Path
from typing import Any

import pytest

from postroom.domain.activity import Activity
from postroom.sources import mattermost
from postroom.sources.trouble import Refused
from tests.sources.exports import Files, activities, damaged, folder, lines, only, records, zipped
from tests.sources.samples import AT

VERSION = {"type": "version", "version": 1}
POST = {"team": "t", "channel": "town", "user": "ann", "message": "hello", "create_at": AT, "props": {}}
DIRECT = {"channel_members": ["ann", "ben"], "user": "ann", "message": "hello", "create_at": AT}


def post(**more: Any) -> dict[str, Any]:
    """A line with a post."""
    return {"type": "post", "post": {**POST, **more}}


def direct(**more: Any) -> dict[str, Any]:
    """A line with a post of a direct channel."""
    return {"type": "direct_post", "direct_post": {**DIRECT, **more}}


def export(*rest: Any) -> Files:
    """An export with these lines after the version's."""
    return {"import.jsonl": lines(VERSION, *rest)}


def one(tmp_path: Path, *rest: Any) -> Activity:
    """The only activity of an export with these lines."""
    return only(records("mattermost", folder(tmp_path, export(*rest))))


def test_a_post(tmp_path: Path) -> None:
    """A post has no id and no ids in it: all are digests of names, which do not leave the reader."""
    sent = one(tmp_path, post())
    assert (sent.at, sent.direct, sent.by_bot, sent.system) == (AT, False, False, False)
    assert sent.space == mattermost.channel("t", "town")
    assert sent.message_id == mattermost.message_id(sent.space, "ann", AT, "hello")
    assert all(len(made) == 32 for made in (sent.message_id, sent.space, sent.person))


def test_ids_are_the_same_in_every_run(tmp_path: Path) -> None:
    """A second export gives a post the same id."""
    again = [one(tmp_path / name, post()).message_id for name in ("a", "b")]
    assert again[0] == again[1]


@pytest.mark.parametrize(
    "other", [{"message": "bye"}, {"user": "ben"}, {"create_at": AT + 1}, {"channel": "b"}, {"team": "u"}]
)
def test_posts_that_were_imported_at_one_time(other: dict[str, Any], tmp_path: Path) -> None:
    """Posts that were stamped with the time of an import differ by sender, space or text."""
    found = activities(records("mattermost", folder(tmp_path, export(post(), post(**other)))))
    assert len({sent.message_id for sent in found}) == 2


def test_replies_are_inside_their_post(tmp_path: Path) -> None:
    """Each reply is a message in its post's space; reactions are none."""
    replies = [
        {
            "user": "ben",
            "message": "yes",
            "create_at": AT + 1,
            "reactions": [{"user": "ann", "create_at": AT}],
        },
        {"user": "cat", "message": "no", "create_at": AT + 2},
    ]
    line = post(replies=replies, reactions=[{"user": "ben", "create_at": AT, "emoji_name": "x"}])
    found = activities(records("mattermost", folder(tmp_path, export(line))))
    assert [sent.at - AT for sent in found] == [0, 1, 2]
    assert len({sent.person for sent in found}) == 3
    assert {sent.space for sent in found} == {mattermost.channel("t", "town")}


@pytest.mark.parametrize(
    ("members", "is_direct"), [(["ann", "ben"], True), (["ann", "ann"], True), (["ann", "ben", "cat"], False)]
)
def test_direct_posts(members: list[str], is_direct: bool, tmp_path: Path) -> None:
    """Two members, or one with themselves, are direct; the order of their names does not matter."""
    sent = one(tmp_path / "a", direct(channel_members=members))
    turned = one(tmp_path / "b", direct(channel_members=members[::-1]))
    assert sent.direct is is_direct
    assert (sent.space, sent.message_id) == (turned.space, turned.message_id)


@pytest.mark.parametrize("props", [{"from_webhook": "true"}, {"from_bot": "true"}, {"from_bot": True}])
def test_posts_that_are_marked_as_a_bot_s(props: dict[str, Any], tmp_path: Path) -> None:
    """Webhooks and bots mark what they post."""
    assert one(tmp_path, post(props=props)).by_bot


def test_posts_of_listed_bots(tmp_path: Path) -> None:
    """A bot that the export lists is one."""
    assert one(tmp_path, {"type": "bot", "bot": {"username": "ann", "owner": "ben"}}, post()).by_bot


def test_mattermost_s_own_posts(tmp_path: Path) -> None:
    """Types system_... are Mattermost's own."""
    assert one(tmp_path, post(type="system_join_channel")).system


def test_a_call_s_recording(tmp_path: Path) -> None:
    """What the Calls plugin posts is no message of a person, and may carry a recording."""
    attachments = [{"path": "20231114/Call_recording.mp4"}]
    sent = one(tmp_path, post(type="custom_calls_recording", attachments=attachments))
    assert (sent.system, sent.recording, sent.video) == (True, True, True)


def test_sizes_come_from_the_archive(tmp_path: Path) -> None:
    """A file's size is that of the file in data/, without unpacking it; its kind goes by its name."""
    line = post(attachments=[{"path": "20231114/a.mp4"}, {"path": "20231114/b.mp3"}, {"path": "gone.txt"}])
    files = {**export(line), "data/20231114/a.mp4": b"v" * 1000, "data/20231114/b.mp3": b"a" * 10}
    for path in (zipped(tmp_path / "a.zip", files), folder(tmp_path / "folder", files)):
        sent = only(records("mattermost", path))
        assert (sent.files, sent.file_bytes, sent.files_of_unknown_size) == (3, 1010, 1)
        assert (sent.video, sent.audio, sent.recording) == (True, True, False)


def test_a_packed_attachment_keeps_its_name(tmp_path: Path) -> None:
    """A file that somebody packed with gzip is what was shared, as it is."""
    files = {**export(post(attachments=[{"path": "a/b.tar.gz"}])), "data/a/b.tar.gz": b"\x1f\x8b" + b"x" * 8}
    assert only(records("mattermost", folder(tmp_path, files))).file_bytes == 10


def test_a_post_without_a_space(tmp_path: Path) -> None:
    """A post that does not say where it was is reported."""
    found = records("mattermost", folder(tmp_path, export(post(channel=None), post())))
    assert [record.place for record in damaged(found)] == ["import.jsonl: line 2"]
    assert len(activities(found)) == 1


def test_a_damaged_first_line(tmp_path: Path) -> None:
    """The line with the version may be damaged; the others still are Mattermost's."""
    files = {"import.jsonl": b'{"type": "version", "ver\n' + lines(post())}
    found = records("mattermost", folder(tmp_path, files))
    assert [record.place for record in damaged(found)] == ["import.jsonl: line 1"]
    assert len(activities(found)) == 1


def test_what_is_no_export_of_mattermost(tmp_path: Path) -> None:
    """Lines of something else are refused."""
    with pytest.raises(Refused, match="a bulk export of Mattermost"):
        records("mattermost", folder(tmp_path, {"a.jsonl": lines({"type": "other"})}))
