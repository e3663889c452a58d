"""Discord: what DiscordChatExporter writes of channels, threads and direct messages."""

from pathlib import Path
from typing import Any

import pytest

from postroom.domain.activity import Activity, Damaged
from postroom.sources.trouble import Refused
from tests.sources import samples
from tests.sources.exports import activities, damaged, folder, only, records, text
from tests.sources.samples import AT

MESSAGE = samples.discord_message("11")


def channel(*messages: Any, kind: str = "GuildTextChat", number: str = "1") -> bytes:
    """A file of DiscordChatExporter."""
    return text(samples.discord_channel(number, kind, *messages), 2)


def one(tmp_path: Path, message: Any) -> Activity:
    """The only activity of a channel with one message."""
    return only(records("discord", folder(tmp_path, {"a.json": channel(message)})))


def test_a_message(tmp_path: Path) -> None:
    """A message has its own id, its channel and its author."""
    assert one(tmp_path, MESSAGE) == Activity("discord", "11", AT, "u1", "1", False)


def test_a_time_with_an_offset(tmp_path: Path) -> None:
    """Times are written in the exporter's zone, with its offset."""
    assert one(tmp_path, {**MESSAGE, "timestamp": "2023-11-15T00:13:20.25+02:00"}).at == AT + 250


@pytest.mark.parametrize(
    ("kind", "system"), [("Default", False), ("Reply", False), ("GuildMemberJoin", True), ("20", True)]
)
def test_types(kind: str, system: bool, tmp_path: Path) -> None:
    """Only Default and Reply are messages; types that the exporter does not know are numbers."""
    assert one(tmp_path, {**MESSAGE, "type": kind}).system is system


@pytest.mark.parametrize(
    ("kind", "direct"),
    [
        ("DirectTextChat", True),
        ("DirectGroupTextChat", False),
        ("GuildPublicThread", False),
        ("GuildVoiceChat", False),
    ],
)
def test_spaces(kind: str, direct: bool, tmp_path: Path) -> None:
    """Only a chat of two is direct."""
    assert (
        only(records("discord", folder(tmp_path, {"a.json": channel(MESSAGE, kind=kind)}))).direct is direct
    )


def test_bots(tmp_path: Path) -> None:
    """Bots and webhooks are marked."""
    assert one(tmp_path, {**MESSAGE, "author": {"id": "u9", "isBot": True}}).by_bot


def test_files(tmp_path: Path) -> None:
    """Attachments have sizes; those of a forwarded message were shared before."""
    attachments = [
        {"id": "1", "fileName": "voice-message.ogg", "fileSizeBytes": 100},
        {"id": "2", "fileName": "clip.MP4", "fileSizeBytes": 20},
        {"id": "3", "fileName": "a.txt"},
    ]
    forwarded = {"attachments": [{"fileName": "b.mp4", "fileSizeBytes": 7}]}
    sent = one(
        tmp_path, {**MESSAGE, "attachments": attachments, "forwardedMessage": forwarded, "stickers": [{}]}
    )
    assert (sent.files, sent.file_bytes, sent.files_of_unknown_size) == (3, 120, 1)
    assert (sent.video, sent.audio) == (True, True)


def test_parts_of_a_channel(tmp_path: Path) -> None:
    """A channel may come in several files, and a message in two of them has one id."""
    files = {
        "a [part 1].json": channel(MESSAGE),
        "a [part 2].json": channel(MESSAGE, samples.discord_message("12")),
    }
    found = activities(records("discord", folder(tmp_path, files)))
    assert {sent.message_id for sent in found} == {"11", "12"}


def test_a_channel_that_is_described_after_its_messages(tmp_path: Path) -> None:
    """The order of keys does not matter."""
    turned = dict(reversed(samples.discord_channel("1", "DirectTextChat", MESSAGE).items()))
    assert only(records("discord", folder(tmp_path, {"a.json": text(turned)}))).direct


def test_a_file_that_is_no_channel_is_reported(tmp_path: Path) -> None:
    """Beside channels, any other JSON is reported."""
    found = records(
        "discord", folder(tmp_path, {"a.json": channel(MESSAGE), "b.json": b"{}", "c.json": b"{"})
    )
    assert damaged(found) == [
        Damaged("b.json", "is not a channel of DiscordChatExporter"),
        Damaged("c.json", "cannot be read"),
    ]


def test_what_are_no_channels_of_discord(tmp_path: Path) -> None:
    """Other JSON is refused."""
    with pytest.raises(Refused, match="channels of Discord"):
        records("discord", folder(tmp_path, {"a.json": text({"messages": []})}))
