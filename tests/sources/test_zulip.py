"""Zulip: what is a message, from which client, where, and with which files."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from postroom.domain.activity import Activity, Client, Damaged
from postroom.sources import zulip
from postroom.sources.trouble import Refused
from tests.sources import samples
from tests.sources.exports import Files, activities, damaged, folder, lines, only, records, tarred, text

MESSAGE = samples.zulip_message(101, 7, 20)


def export(*messages: dict[str, Any], attachments: Any = (), **tables: Any) -> Files:
    """A realm with these messages."""
    realm = {
        "zerver_client": [{"id": 1, "name": "website"}],
        "zerver_userprofile": [{"id": 7, "is_bot": False}],
        "zerver_recipient": [{"id": 20, "type": 2, "type_id": 5}, {"id": 21, "type": 1, "type_id": 8}],
        **tables,
    }
    return {
        "realm.json": text(realm),
        "attachment.json": text({"zerver_attachment": list(attachments)}),
        "messages-000001.json": text({"zerver_message": messages, "zerver_usermessage": []}),
    }


def one(tmp_path: Path, files: Files) -> Activity:
    """The only activity of an export."""
    return only(records("zulip", folder(tmp_path, files)))


def test_a_message(tmp_path: Path) -> None:
    """A message has its number, its time to the millisecond, and its stream as space."""
    expected = Activity("zulip", "101", 1700000000250, "7", "stream/5", False, Client.OTHER)
    assert one(tmp_path, export(MESSAGE)) == expected


def test_the_older_name_of_the_time(tmp_path: Path) -> None:
    """Before version 2.1 the time was called pub_date."""
    message = {key: value for key, value in MESSAGE.items() if key != "date_sent"}
    assert one(tmp_path, export({**message, "pub_date": 1500000000})).at == 1500000000000


@pytest.mark.parametrize(
    ("name", "client"),
    [
        ("website", Client.OTHER),
        ("ZulipElectron", Client.DESKTOP),
        ("ZulipDesktop", Client.DESKTOP),
        ("ZulipMobile", Client.MOBILE),
        ("ZulipMobile/flutter", Client.MOBILE),
        ("ZulipFlutter", Client.MOBILE),
        ("ZulipTerminal", Client.OTHER),
        ("ZulipGitHubWebhook", Client.OTHER),
        ("populate_db", Client.UNKNOWN),
    ],
)
def test_clients(name: str, client: Client, tmp_path: Path) -> None:
    """The apps are known by name; what another chat's importer wrote has an unknown client."""
    assert one(tmp_path, export(MESSAGE, zerver_client=[{"id": 1, "name": name}])).client is client


def test_a_client_that_is_not_listed(tmp_path: Path) -> None:
    """A client whose name is not there is unknown."""
    assert one(tmp_path, export({**MESSAGE, "sending_client": 99})).client is Client.UNKNOWN


def test_a_direct_conversation_is_one_space(tmp_path: Path) -> None:
    """Messages to a person, from them, and in a group of the two are in one direct space."""
    tables = {
        "zerver_recipient": [
            {"id": 20, "type": 1, "type_id": 8},
            {"id": 21, "type": 1, "type_id": 7},
            {"id": 22, "type": 3, "type_id": 6},
        ],
        "zerver_subscription": [{"recipient": 22, "user_profile": 8}, {"recipient": 22, "user_profile": 7}],
    }
    rows = [(101, 7, 20), (102, 8, 21), (103, 8, 22)]
    files = export(*(samples.zulip_message(*row) for row in rows), **tables)
    found = activities(records("zulip", folder(tmp_path, files)))
    assert {(sent.space, sent.direct) for sent in found} == {(zulip.between(8, 7), True)}


def test_a_message_to_oneself_is_direct(tmp_path: Path) -> None:
    """The group of one is direct too."""
    tables = {
        "zerver_recipient": [{"id": 20, "type": 3, "type_id": 6}],
        "zerver_subscription": [{"recipient": 20, "user_profile": 7}],
    }
    sent = one(tmp_path, export(MESSAGE, **tables))
    assert (sent.space, sent.direct) == (zulip.between(7, 7), True)


def test_a_group_of_three(tmp_path: Path) -> None:
    """A private conversation of more than two is a group."""
    tables = {
        "zerver_recipient": [{"id": 20, "type": 3, "type_id": 6}],
        "zerver_subscription": [{"recipient": 20, "user_profile": number} for number in (7, 8, 9, 10)],
    }
    sent = one(tmp_path, export(MESSAGE, **tables))
    assert (sent.space, sent.direct) == ("group/20", False)


def test_bots(tmp_path: Path) -> None:
    """Users that are bots are, and so are those that belong to no organization."""
    tables = {
        "zerver_userprofile": [{"id": 7, "is_bot": True}],
        "zerver_userprofile_crossrealm": [{"id": 3, "email": "notification-bot@zulip.com"}],
    }
    files = export(MESSAGE, samples.zulip_message(102, 3, 20), samples.zulip_message(103, 8, 20), **tables)
    found = activities(records("zulip", folder(tmp_path, files)))
    assert [sent.by_bot for sent in found] == [True, True, False]


def test_files(tmp_path: Path) -> None:
    """Attachments count for each message that links to them, with their size and kind."""
    attachments = [
        {"id": 1, "size": 100, "file_name": "a.bin", "content_type": "video/mp4", "messages": [101, 102]},
        {"id": 2, "size": 20, "file_name": "b.mp3", "messages": [102]},
    ]
    messages = [{**samples.zulip_message(number, 7, 20), "has_attachment": True} for number in (101, 102)]
    first, second = activities(records("zulip", folder(tmp_path, export(*messages, attachments=attachments))))
    assert (first.files, first.file_bytes, first.video, first.audio) == (1, 100, True, False)
    assert (second.files, second.file_bytes, second.video, second.audio) == (2, 120, True, True)


@pytest.mark.parametrize("slash", ["/", r"\/"])
def test_files_that_are_not_listed(slash: str, tmp_path: Path) -> None:
    """A message with an attachment that is not listed has a file of unknown size for each link."""
    links = f"[a]({slash}user_uploads{slash}2/a.png) [b]({slash}user_uploads{slash}2/b.png)"
    files = dict(export({**MESSAGE, "has_attachment": True, "content": "LINKS"}))
    files["messages-000001.json"] = files["messages-000001.json"].replace(b"LINKS", links.encode())
    sent = one(tmp_path, files)
    assert (sent.files, sent.file_bytes, sent.files_of_unknown_size) == (2, 0, 2)


def test_a_message_that_stands_twice_has_one_id(tmp_path: Path) -> None:
    """A message may be in two files of an export that was interrupted."""
    files = {**export(MESSAGE)}
    files["messages-000002.json"] = files["messages-000001.json"]
    assert {sent.message_id for sent in activities(records("zulip", folder(tmp_path, files)))} == {"101"}


def test_uploads_are_not_read(tmp_path: Path) -> None:
    """An export holds every uploaded file; also one whose name is like that of its own."""
    files = {**export(MESSAGE), "uploads/2/ab/notes.json": b"{", "uploads/records.json": b"["}
    assert only(records("zulip", tarred(tmp_path / "a.tar.gz", files))).message_id == "101"


def test_missing_parts(tmp_path: Path) -> None:
    """Without attachment.json the sizes are unknown, and a message to nobody that is listed is reported."""
    files = dict(export(MESSAGE, samples.zulip_message(102, 7, 99)))
    del files["attachment.json"]
    found = records("zulip", folder(tmp_path, files))
    assert damaged(found) == [
        Damaged("attachment.json", "is missing, so the sizes of files are unknown"),
        Damaged("messages-000001.json: record 2", "has a recipient that realm.json does not list"),
    ]
    assert len(activities(found)) == 1


PAIR = [{"id": 7, "email": "ann@x"}, {"id": 8, "email": "ben@x"}]
ANSWERED: list[dict[str, Any]] = [
    {"id": 101, "sender_id": 7, "type": "stream", "stream_id": 5, "display_recipient": "general"},
    {"id": 103, "sender_id": 7, "type": "private", "display_recipient": PAIR, "recipient_id": 21},
    {
        "id": 104, "sender_id": 8, "type": "private", "recipient_id": 22,
        "display_recipient": [*PAIR, {"id": 9, "email": "robo-bot@x"}],
    },
]  # fmt: skip
"""What the API tells of messages of the sample."""


def answer(*messages: dict[str, Any]) -> dict[str, Any]:
    """An answer of the API to /messages."""
    same = {"client": "website", "content": "<p>text</p>", "sender_email": "ann@x", "subject": "t"}
    listed = [{"timestamp": 1700000000 + each["id"] - 101, **same, **each} for each in messages]
    return {"result": "success", "msg": "", "messages": listed, "found_newest": True, "anchor": 1}


@pytest.mark.parametrize(
    "data",
    [text(answer(*ANSWERED)), text(answer(*ANSWERED)["messages"]), lines(*answer(*ANSWERED)["messages"])],
)
def test_answers_of_the_api(data: bytes, tmp_path: Path) -> None:
    """Messages have the ids, spaces and clients that an export gives them, and its time in seconds."""
    files = dict(samples.zulip())
    group = {"zerver_message": [samples.zulip_message(104, 8, 22)]}
    exported = activities(
        records("zulip", folder(tmp_path / "export", {**files, "messages-000003.json": text(group)}))
    )
    expected = [
        msgspec.structs.replace(sent, at=sent.at // 1000 * 1000)
        for sent in exported
        if sent.message_id in {"101", "103", "104"}
    ]
    assert records("zulip", folder(tmp_path / "answer", {"page 1.json": data})) == expected
    assert [(sent.space, sent.direct) for sent in expected] == [
        ("stream/5", False), (zulip.between(7, 8), True), (zulip.group(22), False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("address", "by_bot"), [("robo-bot@x", True), ("notification-bot@zulip.com", True), ("ann@x-bot", False)]
)
def test_bots_in_answers_of_the_api(address: str, by_bot: bool, tmp_path: Path) -> None:
    """They are known by their address, which Zulip makes so."""
    told = answer({**ANSWERED[0], "sender_email": address})
    assert one(tmp_path, {"a.json": text(told)}).by_bot is by_bot


def test_files_in_answers_of_the_api(tmp_path: Path) -> None:
    """Links to uploads, each once, though what is rendered has a picture's twice, and its thumbnail."""
    rendered = (
        '<a href="/user_uploads/2/ab/a.png">a</a> <a href="/user_uploads/2/ab/a.png" title="a"><img '
        'src="/user_uploads/thumbnail/2/ab/a.png/840x560.webp"></a> <a href="/user_uploads/2/cd/b.mp4">b</a>'
    )
    sent = one(tmp_path, {"a.json": text(answer({**ANSWERED[0], "content": rendered}))})
    assert (sent.files, sent.files_of_unknown_size, sent.video) == (2, 2, True)


def test_damage_in_answers_of_the_api(tmp_path: Path) -> None:
    """What cannot be counted is told, and so is a file beside others that has no message."""
    bad = {**ANSWERED[0], "stream_id": None}
    nobody = [{"id": 1, "sender_id": 7}]
    files = {"a.json": text(answer(bad, ANSWERED[0])), "b.json": text(nobody), "c.json": b"\0"}
    found = records("zulip", folder(tmp_path, files))
    assert len(activities(found)) == 1
    assert damaged(found) == [
        Damaged("a.json: record 1", "has neither a stream nor recipients"),
        Damaged("b.json", "has no record with all that a message must have; left out"),
        Damaged("c.json", "is not JSON that can be read"),
    ]


def test_what_is_no_export_of_zulip(tmp_path: Path) -> None:
    """Without realm.json or without messages it is refused."""
    for number, name in enumerate(("realm.json", "messages-000001.json")):
        files = {key: data for key, data in export(MESSAGE).items() if key != name}
        with pytest.raises(Refused, match="an export of a Zulip organization"):
            records("zulip", folder(tmp_path / str(number), files))
