"""Telegram: chats whose numbers overlap, service rows, media, and old exports."""

from pathlib import Path
from typing import Any

import pytest

from postroom.domain.activity import Activity
from postroom.sources.trouble import Refused
from tests.sources import samples
from tests.sources.exports import Files, activities, damaged, folder, only, records, skipped, text
from tests.sources.samples import AT

MESSAGE = samples.telegram_message(1)


def chat(*messages: Any, kind: str = "private_supergroup", number: int = 5) -> Files:
    """An export of one chat."""
    return {"result.json": text(samples.telegram_chat(kind, number, *messages), 1)}


def one(tmp_path: Path, message: Any, kind: str = "private_supergroup") -> Activity:
    """The only activity of a chat with one message."""
    return only(records("telegram", folder(tmp_path, chat(message, kind=kind))))


def test_a_message(tmp_path: Path) -> None:
    """A message's id is its chat and its number there."""
    assert one(tmp_path, MESSAGE) == Activity("telegram", "channel5/1", AT, "user5", "channel5", False)


def test_a_whole_account(tmp_path: Path) -> None:
    """Chats, and those that were left, are read; a user, a group and a channel of one number are three."""
    kinds = ["personal_chat", "private_group", "private_channel"]
    chats = [samples.telegram_chat(kind, 5, MESSAGE) for kind in kinds]
    left = [samples.telegram_chat("public_supergroup", 6, MESSAGE)]
    account = {"about": "x", "contacts": {"list": []}, "chats": {"list": chats}, "left_chats": {"list": left}}
    found = activities(records("telegram", folder(tmp_path, {"result.json": text(account)})))
    assert [sent.message_id for sent in found] == ["user5/1", "chat5/1", "channel5/1", "channel6/1"]


@pytest.mark.parametrize(
    ("kind", "direct"),
    [
        ("personal_chat", True),
        ("bot_chat", True),
        ("saved_messages", True),
        ("private_group", False),
        ("private_supergroup", False),
        ("public_channel", False),
    ],
)
def test_spaces(kind: str, direct: bool, tmp_path: Path) -> None:
    """Chats with one other, or oneself, are direct."""
    assert one(tmp_path, MESSAGE, kind).direct is direct


def test_a_group_that_becomes_public_stays_the_same(tmp_path: Path) -> None:
    """A supergroup's id does not depend on who may see it."""
    spaces = {
        one(tmp_path / kind, MESSAGE, kind).space for kind in ("private_supergroup", "public_supergroup")
    }
    assert spaces == {"channel5"}


def test_service_rows_are_telegram_s_own(tmp_path: Path) -> None:
    """Joins, pins and calls are no messages; they name an actor."""
    row = {**MESSAGE, "type": "service", "action": "pin_message", "actor_id": "user6"}
    del row["from_id"]
    sent = one(tmp_path, row)
    assert (sent.system, sent.person) == (True, "user6")


def test_a_message_of_an_unknown_kind(tmp_path: Path) -> None:
    """A message that the exporter did not understand says nothing at all."""
    found = records("telegram", folder(tmp_path, chat({"id": 1, "type": "unsupported"})))
    assert skipped(found) == ["message of an unknown kind"]


def test_bots(tmp_path: Path) -> None:
    """In a chat with a bot, the other side is one."""
    files = chat(MESSAGE, samples.telegram_message(2, "user6"), kind="bot_chat")
    assert [sent.by_bot for sent in activities(records("telegram", folder(tmp_path, files)))] == [True, False]


def test_an_old_export(tmp_path: Path) -> None:
    """Older exports have a date without offset, which is taken for UTC, and senders that are numbers."""
    row = {"id": 1, "type": "message", "date": "2019-05-01T12:00:00", "from": "Ann", "from_id": 5, "text": ""}
    sent = one(tmp_path, row)
    assert (sent.at, sent.person) == (1556712000000, "user5")


@pytest.mark.parametrize(
    ("sender", "person"), [(5, "user5"), ((1 << 32) + 5, "chat5"), ((2 << 32) + 5, "channel5")]
)
def test_senders_of_old_exports(sender: int, person: str, tmp_path: Path) -> None:
    """The upper half of an old sender's number is its kind, so it is the same in a newer export."""
    assert one(tmp_path, {**MESSAGE, "from_id": sender}).person == person


def test_a_channel_s_own_posts(tmp_path: Path) -> None:
    """What a channel posts without naming anybody is the channel's."""
    row = {key: value for key, value in MESSAGE.items() if key != "from_id"}
    assert one(tmp_path, row, "public_channel").person == "channel5"


@pytest.mark.parametrize(
    ("media", "video", "audio"),
    [
        ({"media_type": "video_file", "mime_type": "video/mp4"}, True, False),
        ({"media_type": "video_message"}, True, False),
        ({"media_type": "voice_message", "mime_type": "audio/ogg"}, False, True),
        ({"media_type": "audio_file"}, False, True),
        ({"media_type": "animation", "mime_type": "video/mp4"}, False, False),
        ({"mime_type": "video/x-matroska"}, True, False),
        ({"mime_type": "application/pdf"}, False, False),
    ],
)
def test_media(media: dict[str, Any], video: bool, audio: bool, tmp_path: Path) -> None:
    """An animation is a silent picture, although it is kept as a video."""
    sent = one(tmp_path, {**MESSAGE, "file": "files/a", "file_size": 1000, **media})
    assert (sent.files, sent.file_bytes, sent.video, sent.audio) == (1, 1000, video, audio)


def test_files(tmp_path: Path) -> None:
    """A photo is a file; one that was not exported has a size if it says so; a sticker is none."""
    not_there = "(File not included. Change data exporting settings to download.)"
    photo = one(tmp_path / "photo", {**MESSAGE, "photo": "photos/a.jpg", "photo_file_size": 10})
    missing = one(tmp_path / "missing", {**MESSAGE, "file": not_there})
    sticker = one(
        tmp_path / "sticker", {**MESSAGE, "file": "a.webp", "media_type": "sticker", "file_size": 9}
    )
    assert (photo.files, photo.file_bytes) == (1, 10)
    assert (missing.files, missing.files_of_unknown_size) == (1, 1)
    assert (sticker.files, sticker.file_bytes) == (0, 0)


def test_escapes_that_are_not_json(tmp_path: Path) -> None:
    """Telegram Desktop writes control characters in a way that JSON does not have."""
    files = dict(chat({**MESSAGE, "text": "ABC"}, samples.telegram_message(2)))
    files["result.json"] = files["result.json"].replace(b"ABC", rb"\x0B \x1F")
    assert len(activities(records("telegram", folder(tmp_path, files)))) == 2


def test_half_an_emoji(tmp_path: Path) -> None:
    """A text that was cut inside an emoji costs nothing."""
    files = dict(chat({**MESSAGE, "text": "ABC"}, {**MESSAGE, "text": "\U0001f600 \ud83d"}))
    assert len(activities(records("telegram", folder(tmp_path, files)))) == 2


def test_a_chat_that_is_described_after_its_messages(tmp_path: Path) -> None:
    """A tool that sorts keys puts a chat's type behind its messages."""
    chats = [samples.telegram_chat("personal_chat", number, MESSAGE) for number in (5, 6)]
    account = {"chats": {"list": [dict(sorted(one.items())) for one in chats]}}
    found = activities(records("telegram", folder(tmp_path, {"result.json": text(account)})))
    assert [(sent.space, sent.direct) for sent in found] == [("user5", True), ("user6", True)]


@pytest.mark.parametrize("key", ["id", "type"])
def test_a_chat_without_an_id(key: str, tmp_path: Path) -> None:
    """A chat that does not say which it is cannot be counted."""
    nameless = {
        name: value
        for name, value in samples.telegram_chat("personal_chat", 5, MESSAGE).items()
        if name != key
    }
    account = {"chats": {"list": [samples.telegram_chat("personal_chat", 6, MESSAGE), nameless]}}
    found = records("telegram", folder(tmp_path, {"result.json": text(account)}))
    assert [record.detail for record in damaged(found)] == [
        "has a chat without type or id; the rest was left out"
    ]
    assert len(activities(found)) == 1


def test_a_message_of_nobody(tmp_path: Path) -> None:
    """Outside of channels a message must have a sender."""
    row = {key: value for key, value in MESSAGE.items() if key != "from_id"}
    found = records("telegram", folder(tmp_path, chat(row, MESSAGE)))
    assert [record.place for record in damaged(found)] == []
    found = records("telegram", folder(tmp_path / "group", chat(row, MESSAGE, kind="private_group")))
    assert [record.detail for record in damaged(found)] == ["has no from_id"]


def test_what_is_no_export_of_telegram(tmp_path: Path) -> None:
    """Other JSON is refused."""
    with pytest.raises(Refused, match="an export of Telegram Desktop"):
        records("telegram", folder(tmp_path, {"result.json": text({"type": "x", "id": 1})}))
