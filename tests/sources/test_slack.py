"""Slack: what is a message, of whom, when, where, and with which files."""

import zipfile
from pathlib import Path
from typing import Any

import pytest

from postroom.domain.activity import Activity, Damaged, Deletion, Skipped
from postroom.sources import slack
from postroom.sources.trouble import Refused
from tests.sources.exports import (
    Files,
    activities,
    damaged,
    folder,
    only,
    records,
    skipped,
    text,
    zipped,
)

SENT = {"type": "message", "user": "U1", "text": "hello", "ts": "1700000000.000100"}


def export(*messages: Any) -> Files:
    """A channel whose day has these messages."""
    return {
        "channels.json": text([{"id": "C1", "name": "general"}]),
        "general/2023-11-14.json": text(messages),
    }


def one(tmp_path: Path, message: Any) -> Activity:
    """The only activity of an export with one message."""
    return only(records("slack", folder(tmp_path, export(message))))


def test_a_message(tmp_path: Path) -> None:
    """A message has its channel's id, and its time to the millisecond; the client is not known."""
    assert one(tmp_path, SENT) == Activity("slack", "C1/1700000000.000100", 1700000000000, "U1", "C1", False)


def test_the_day_is_not_that_of_the_file(tmp_path: Path) -> None:
    """A message belongs to the day of its ts in UTC, whatever its file is named after."""
    assert one(tmp_path, {**SENT, "ts": "1452838318.999999"}).at == 1452838318999


@pytest.mark.parametrize("subtype", [None, "file_share", "me_message", "thread_broadcast"])
def test_messages_of_people(subtype: str | None, tmp_path: Path) -> None:
    """These subtypes are what people send; a bot_id that is null makes nobody a bot."""
    sent = one(tmp_path, {**SENT, "subtype": subtype, "bot_id": None})
    assert (sent.person, sent.by_bot, sent.system) == ("U1", False, False)


@pytest.mark.parametrize(
    ("message", "person"),
    [
        ({"subtype": "bot_message", "user": None, "bot_id": "B1"}, "B1"),
        ({"subtype": "bot_message", "user": None, "username": "github"}, ""),
        ({"bot_id": "B1"}, "U1"),
        ({"user": "USLACKBOT"}, "USLACKBOT"),
        ({"subtype": "slackbot_response", "user": "USLACKBOT"}, "USLACKBOT"),
    ],
)
def test_messages_of_bots(message: dict[str, Any], person: str, tmp_path: Path) -> None:
    """bot_message, a bot_id and Slackbot, also where it answers, are bots; some of them have no id at all."""
    sent = one(tmp_path, {**SENT, **message})
    assert (sent.person, sent.by_bot, sent.system) == (person, True, False)


@pytest.mark.parametrize(
    "subtype", ["channel_join", "channel_topic", "bot_add", "huddle_thread", "pinned_item"]
)
def test_slack_s_own_messages(subtype: str, tmp_path: Path) -> None:
    """Joins, topics and the like are Slack's own messages, of nobody."""
    assert one(tmp_path, {**SENT, "subtype": subtype}).system


@pytest.mark.parametrize(
    ("subtype", "rule"),
    [
        ("message_changed", "edit"),
        ("message_replied", "notice of a reply"),
        ("reply_broadcast", "notice of a reply"),
        ("file_comment", "comment on a file"),
    ],
)
def test_what_repeats_a_message_is_skipped(subtype: str, rule: str, tmp_path: Path) -> None:
    """Edits, notices of replies, and a comment that repeats its file, are no messages."""
    message = {**SENT, "subtype": subtype, "file": {"size": 478}}
    assert records("slack", folder(tmp_path, export(message))) == [Skipped(rule, 1700000000000)]


def test_a_tombstone_is_a_deletion(tmp_path: Path) -> None:
    """What remains of a deleted message that has replies marks it as deleted."""
    message = {**SENT, "subtype": "tombstone", "user": "USLACKBOT"}
    assert records("slack", folder(tmp_path, export(message))) == [Deletion("slack", "C1/1700000000.000100")]


@pytest.mark.parametrize("key", ["previous_message", "original"])
def test_a_logged_deletion_still_has_its_message(key: str, tmp_path: Path) -> None:
    """Where edits and deletions are logged, the deleted message was sent, and then deleted."""
    log = {"type": "message", "subtype": "message_deleted", "ts": "1700000009.000100", "hidden": True}
    found = records("slack", folder(tmp_path, export({**log, "deleted_ts": SENT["ts"], key: SENT})))
    (sent,) = activities(records("slack", folder(tmp_path / "sent", export(SENT))))
    assert found == [Deletion("slack", "C1/1700000000.000100", 1700000009000, sent)]


@pytest.mark.parametrize(
    "more", [{"deleted_ts": SENT["ts"]}, {"deleted_ts": SENT["ts"], "previous_message": None}]
)
def test_a_logged_deletion_without_its_message(more: dict[str, Any], tmp_path: Path) -> None:
    """A deletion whose message is not logged is a deletion all the same."""
    log = {"type": "message", "subtype": "message_deleted", "ts": "1700000009.000100", **more}
    found = records("slack", folder(tmp_path, export(log)))
    assert found == [Deletion("slack", "C1/1700000000.000100", 1700000009000)]


def test_a_deletion_of_nothing_is_skipped(tmp_path: Path) -> None:
    """A deletion that does not say of what marks nothing."""
    log = {"type": "message", "subtype": "message_deleted", "ts": "1700000009.000100"}
    assert skipped(records("slack", folder(tmp_path, export(log)))) == ["deletion of an unknown message"]


def test_a_broadcast_reply_stands_twice_with_one_id(tmp_path: Path) -> None:
    """A reply that was also sent to the channel is one message."""
    found = activities(
        records("slack", folder(tmp_path, export(SENT, {**SENT, "subtype": "thread_broadcast"})))
    )
    assert [sent.message_id for sent in found] == ["C1/1700000000.000100"] * 2


def test_kinds_of_spaces(tmp_path: Path) -> None:
    """Only dms.json has direct spaces; their folders have the conversation's id as name."""
    files: Files = {
        "channels.json": text([{"id": "C1", "name": "general"}]),
        "groups.json": text([{"id": "G1", "name": "secret"}]),
        "mpims.json": text([{"id": "G2", "name": "mpdm-ann--ben--cat-1"}]),
        "dms.json": text([{"id": "D1", "members": ["U1", "U2"]}]),
        "file_conversations.json": text([{"id": "C2", "name": "FC:F1:Canvas"}]),
        **{
            f"{name}/2023-11-14.json": text([SENT])
            for name in ("general", "secret", "mpdm-ann--ben--cat-1", "D1", "FC:F1:Canvas")
        },
    }
    found = activities(records("slack", folder(tmp_path, files)))
    assert {sent.space: sent.direct for sent in found} == {
        "C1": False,
        "G1": False,
        "G2": False,
        "D1": True,
        "C2": False,
    }


def test_files(tmp_path: Path) -> None:
    """Sizes count where they are known; deleted, hidden and foreign files were shared as well."""
    files = [
        {"size": 100, "mimetype": "image/png", "mode": "hosted"},
        {"size": 20, "mimetype": "audio/mp4", "mode": "hosted"},
        {"id": "F", "mode": "tombstone"},
        {"id": "F", "mode": "hidden_by_limit", "size": 0},
        {"id": "F", "mode": "external", "size": 0, "mimetype": "application/vnd.google-apps.document"},
        {"id": "F", "file_access": "access_denied"},
    ]
    sent = one(tmp_path, {**SENT, "files": files})
    assert (sent.files, sent.file_bytes, sent.files_of_unknown_size) == (6, 120, 4)
    assert (sent.video, sent.audio, sent.recording) == (False, True, False)


def test_the_older_form_of_a_file(tmp_path: Path) -> None:
    """Older exports have one file in `file`, and may name the sender only there."""
    message = {
        "type": "message",
        "subtype": "file_share",
        "ts": SENT["ts"],
        "file": {"size": 7, "user": "U2"},
    }
    sent = one(tmp_path, message)
    assert (sent.files, sent.file_bytes, sent.person) == (1, 7, "U2")


@pytest.mark.parametrize(
    ("file", "video", "audio"),
    [
        ({"subtype": "slack_video", "mimetype": "video/quicktime"}, True, False),
        ({"subtype": "slack_audio", "mimetype": "video/webm"}, False, True),
        ({"media_display_type": "audio", "mimetype": "video/mp4"}, False, True),
        ({"mimetype": "video/mp4"}, True, False),
        ({"name": "a.MP3"}, False, True),
    ],
)
def test_clips(file: dict[str, Any], video: bool, audio: bool, tmp_path: Path) -> None:
    """A voice clip is audio although its type is a video container."""
    sent = one(tmp_path, {**SENT, "files": [file]})
    assert (sent.video, sent.audio) == (video, audio)


def test_a_meeting_s_recording(tmp_path: Path) -> None:
    """A file is a recording when it is named like that of a meeting."""
    file = {"name": "GMT20231114-120000_Recording_1920x1080.mp4", "mimetype": "video/mp4", "size": 5}
    sent = one(tmp_path, {**SENT, "files": [file]})
    assert (sent.recording, sent.video) == (True, True)


def test_names_in_a_zip_of_slack(tmp_path: Path) -> None:
    """Slack's zip has names in UTF-8 but does not say so; its folders are found all the same."""
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as pack:
        pack.writestr("channels.json", '[{"id": "C1", "name": "caf\\u00e9"}]')
        info = zipfile.ZipInfo("café/2023-11-14.json".encode().decode("cp437"))
        pack.writestr(info, text([SENT]))
    data = path.read_bytes()
    named = "café/2023-11-14.json".encode()
    spelled = info.filename.encode()
    path.write_bytes(unflagged(data, spelled, named))
    assert only(records("slack", path)).space == "C1"


def unflagged(data: bytes, spelled: bytes, named: bytes) -> bytes:
    """A zip whose one member with the UTF-8 mark has `named` in its bytes, and no mark."""
    parts = data.split(spelled)
    assert len(parts) == 3
    short = len(spelled) - len(named)
    local, central, end = (bytearray(part) for part in parts)
    for head, flag, size in ((local, -24, -4), (central, -38, -18)):
        head[flag : flag + 2] = b"\0\0"
        head[size : size + 2] = len(named).to_bytes(2, "little")
    at = end.rindex(b"PK\x05\x06")
    for place in (12, 16):
        was = int.from_bytes(end[at + place : at + place + 4], "little")
        end[at + place : at + place + 4] = (was - short).to_bytes(4, "little")
    return named.join([bytes(local), bytes(central), bytes(end)])


def test_names_of_a_folder_from_a_mac(tmp_path: Path) -> None:
    """A folder's name may spell an accent in two characters."""
    files = {
        "channels.json": text([{"id": "C1", "name": "caf\u00e9"}]),
        "cafe\u0301/2023-11-14.json": text([SENT]),
    }
    assert only(records("slack", folder(tmp_path, files))).space == "C1"


def test_a_folder_that_is_no_channel_is_reported(tmp_path: Path) -> None:
    """Messages in a folder of no known channel have no id; they are left out, and that is said once."""
    files = {**export(SENT), "other/2023-11-14.json": text([SENT]), "other/2023-11-15.json": text([SENT])}
    found = records("slack", folder(tmp_path, files))
    assert damaged(found) == [
        Damaged("other", "is in no list of channels, so its messages have no ids; left out")
    ]
    assert len(activities(found)) == 1


def test_canvases_and_logs_are_not_read(tmp_path: Path) -> None:
    """Only files that are named after a day hold messages."""
    files = {
        **export(SENT),
        "general/canvas_in_the_conversation.json": text([{"id": "F1"}]),
        "integration_logs.json": text([{"user_id": "U1"}]),
        "canvases.json": text([]),
    }
    assert only(records("slack", folder(tmp_path, files))).space == "C1"


@pytest.mark.parametrize(
    ("message", "detail"),
    [
        ({"ts": "1700000000.000100"}, "has no sender"),
        ({**SENT, "ts": "yesterday"}, "has a time that is not a number of seconds"),
        ({**SENT, "ts": "99999999999.000100"}, "has a time before 1990 or after 2100"),
        ({**SENT, "ts": 1700000000.0001}, "Expected `str`, got `float` - at `$.ts`"),
        ("text", "Expected `object`, got `str`"),
    ],
)
def test_a_message_that_says_too_little(message: Any, detail: str, tmp_path: Path) -> None:
    """A message without its sender, or with an absurd time, is reported; what it says is not."""
    found = records("slack", folder(tmp_path, export(SENT, message)))
    assert damaged(found) == [Damaged("general/2023-11-14.json: record 2", detail)]
    assert len(activities(found)) == 1


def test_what_is_no_export_of_slack(tmp_path: Path) -> None:
    """A path without channels or without days is refused with a sentence that says what was expected."""
    for number, files in enumerate([{"a.json": b"[]"}, {"channels.json": b"[]"}]):
        with pytest.raises(Refused, match="a Slack export: a zip or folder"):
            records("slack", folder(tmp_path / str(number), files))


def test_an_id_cannot_be_mistaken() -> None:
    """Channel and ts are joined so that no others make the same id."""
    assert slack.message_id("C1/2", "3") != slack.message_id("C1", "2/3")


def test_an_organization_s_export_has_a_folder_for_each_workspace(tmp_path: Path) -> None:
    """Channels of the same name in two workspaces are two channels."""
    files: Files = {
        f"teams/T{number}/{name}": data
        for number in (1, 2)
        for name, data in {
            "channels.json": text([{"id": f"C{number}", "name": "general"}]),
            "general/2023-11-14.json": text([SENT]),
        }.items()
    }
    found = activities(records("slack", zipped(tmp_path / "a.zip", files)))
    assert [sent.space for sent in found] == ["C1", "C2"]
