"""Microsoft Teams: three outlines, the same chat in two people's files, and its own notices."""

from pathlib import Path
from typing import Any

import pytest

from postroom.domain.activity import Activity, Deletion
from postroom.sources.trouble import Refused
from tests.sources import samples
from tests.sources.exports import Files, activities, damaged, deletions, folder, lines, only, records, text
from tests.sources.samples import AT, ISO

CHAT = "19:u1_u2@unq.gbl.spaces"
GRAPH: dict[str, Any] = {
    "id": "1700000000000",
    "messageType": "message",
    "createdDateTime": f"{ISO}.0000000Z",
    "deletedDateTime": None,
    "chatId": CHAT,
    "from": {"application": None, "user": {"id": "u1", "displayName": "Ann"}},
    "body": {"contentType": "html", "content": "hello"},
    "attachments": [],
    "eventDetail": None,
}


def one(tmp_path: Path, message: Any) -> Activity:
    """The only activity of a file with one message of Graph."""
    return only(records("teams", folder(tmp_path, {"a.json": text([message])})))


def test_a_message_of_graph(tmp_path: Path) -> None:
    """A message's id is its chat and its number."""
    expected = Activity("teams", f"{CHAT}/1700000000000", AT, "u1", CHAT, True)
    assert one(tmp_path, GRAPH) == expected


@pytest.mark.parametrize(
    "data", [text([GRAPH]), text({"@odata.context": "x", "value": [GRAPH]}), lines(GRAPH)]
)
def test_the_outlines_of_graph(data: bytes, tmp_path: Path) -> None:
    """A list, an answer of the API, and a message on each line say the same."""
    assert only(records("teams", folder(tmp_path, {"a.json": data}))).person == "u1"


def test_an_export_of_teams_and_users(tmp_path: Path) -> None:
    """A direct chat is in both participants' files with the same ids; other files are not messages."""
    found = activities(records("teams", folder(tmp_path, samples.teams())))
    assert len(found) == 5
    assert {(sent.message_id, sent.direct) for sent in found} == {
        ("19:c@thread.tacv2/1700000000500", False),
        (f"{CHAT}/1700000000000", True),
        (f"{CHAT}/1700000001000", True),
    }


@pytest.mark.parametrize(
    ("where", "space", "direct"),
    [
        ({"chatId": CHAT}, CHAT, True),
        ({"chatId": "48:notes"}, "48:notes", True),
        ({"chatId": "19:x@thread.v2"}, "19:x@thread.v2", False),
        ({"chatId": "19:meeting_x@thread.v2"}, "19:meeting_x@thread.v2", False),
        ({"chatId": None, "channelIdentity": {"channelId": "19:c@thread.tacv2"}}, "19:c@thread.tacv2", False),
    ],
)
def test_spaces(where: dict[str, Any], space: str, direct: bool, tmp_path: Path) -> None:
    """A chat of two and one's notes are direct; other chats and channels are groups."""
    sent = one(tmp_path, {**GRAPH, **where})
    assert (sent.space, sent.direct) == (space, direct)


def test_a_bot(tmp_path: Path) -> None:
    """What an application sends is a bot's."""
    sent = one(tmp_path, {**GRAPH, "from": {"user": None, "application": {"id": "a1"}}})
    assert (sent.person, sent.by_bot, sent.system) == ("a1", True, False)


@pytest.mark.parametrize(
    "more",
    [
        {"messageType": "systemEventMessage"},
        {"messageType": "unknownFutureValue", "from": None},
        {"from": None},
        {"from": {"user": None, "application": None}},
    ],
)
def test_teams_own_messages(more: dict[str, Any], tmp_path: Path) -> None:
    """Notices of joins, calls and the like are of nobody."""
    sent = one(tmp_path, {**GRAPH, **more})
    assert (sent.system, sent.by_bot) == (True, False)


@pytest.mark.parametrize(("status", "recording"), [("success", True), ("initial", False), ("failure", False)])
def test_a_notice_of_a_recording(status: str, recording: bool, tmp_path: Path) -> None:
    """Teams tells of a call's recording in a notice; only a finished one is there."""
    detail = {
        "@odata.type": "#microsoft.graph.callRecordingEventMessageDetail",
        "callRecordingStatus": status,
    }
    sent = one(tmp_path, {**GRAPH, "messageType": "unknownFutureValue", "from": None, "eventDetail": detail})
    assert (sent.system, sent.recording) == (True, recording)


def test_a_notice_of_a_recording_with_capitals(tmp_path: Path) -> None:
    """The same in an export of teams and users."""
    detail = {"CallEnded": None, "CallRecording": {"CallRecordingStatus": "success"}}
    more = {"ChatId": CHAT, "MessageType": "unknownFutureValue", "From": None, "EventDetail": detail}
    message = samples.teams_message("1700000000000", "u1", more)
    assert only(records("teams", folder(tmp_path, {"a.json": text([message])}))).recording


def test_a_deleted_message(tmp_path: Path) -> None:
    """A message that was deleted was sent all the same."""
    found = records("teams", folder(tmp_path, {"a.json": text([{**GRAPH, "deletedDateTime": f"{ISO}.5Z"}])}))
    assert len(activities(found)) == 1
    assert deletions(found) == [Deletion("teams", f"{CHAT}/1700000000000", AT + 500)]


def test_files(tmp_path: Path) -> None:
    """References are files, of unknown size; cards, quotes and forwarded messages are none."""
    attachments = [
        {"contentType": "reference", "name": "a.mp4"},
        {"contentType": "reference", "name": "Meeting in General-20231114_120000-Meeting Recording.mp4"},
        {"contentType": "application/vnd.microsoft.card.audio"},
        {"contentType": "image/png", "name": "a.png"},
        {"contentType": "messageReference"},
        {"contentType": "forwardedMessageReference"},
        {"contentType": "application/vnd.microsoft.card.adaptive"},
        {"contentType": None},
    ]
    sent = one(tmp_path, {**GRAPH, "attachments": attachments})
    assert (sent.files, sent.file_bytes, sent.files_of_unknown_size) == (4, 0, 4)
    assert (sent.video, sent.audio, sent.recording) == (True, True, True)


def test_a_message_of_nowhere(tmp_path: Path) -> None:
    """A message without chat and channel is reported."""
    found = records("teams", folder(tmp_path, {"a.json": text([{**GRAPH, "chatId": None}, GRAPH])}))
    assert [record.place for record in damaged(found)] == ["a.json: record 1"]
    assert len(activities(found)) == 1


# A person's own export


def personal(owner: str, conversation: str, *messages: dict[str, Any]) -> bytes:
    """messages.json of one person, with one conversation."""
    listed = {"id": conversation, "displayName": "Ben", "MessageList": list(messages)}
    return text({"userId": owner, "exportDate": "2023-12-01T00:00", "conversations": [listed]})


def said(sender: str = "8:ann", kind: str = "RichText", **more: Any) -> dict[str, Any]:
    """A message of a MessageList."""
    return {
        "id": "1700000000000",
        "originalarrivaltime": f"{ISO}.123Z",
        "messagetype": kind,
        "content": "hello",
        "from": sender,
        "properties": None,
        **more,
    }


def own(tmp_path: Path, *messages: dict[str, Any], conversation: str = "8:ben") -> Activity:
    """The only activity of a person's own export."""
    return only(
        records("teams", folder(tmp_path, {"messages.json": personal("8:ann", conversation, *messages)}))
    )


def test_a_direct_conversation_in_both_exports(tmp_path: Path) -> None:
    """The conversation is named after the other one, but its space and its messages are the same in both."""
    ann = personal("8:ann", "8:ben", said(conversationid="8:ben"))
    ben = personal("8:ben", "8:ann", said(conversationid="8:ann"))
    found = activities(records("teams", folder(tmp_path, {"a/messages.json": ann, "b/messages.json": ben})))
    assert len({sent.message_id for sent in found}) == 1
    assert {(sent.space, sent.direct, sent.at) for sent in found} == {("8:ann/8:ben", True, AT + 123)}


def test_a_group_conversation(tmp_path: Path) -> None:
    """A thread is a group, with the id that it has for everybody."""
    sent = own(tmp_path, said(), conversation="19:x@thread.skype")
    assert (sent.space, sent.direct) == ("19:x@thread.skype", False)


@pytest.mark.parametrize(
    ("kind", "system"),
    [
        ("RichText", False),
        ("Text", False),
        ("Poll", False),
        ("EndToEndEncryption/EncryptedText", False),
        ("ThreadActivity/AddMember", True),
        ("Event/Call", True),
        ("Notice", True),
    ],
)
def test_types_of_a_person_s_own_export(kind: str, system: bool, tmp_path: Path) -> None:
    """What people write is a message; calls and joins are the service's own."""
    assert own(tmp_path, said(kind=kind)).system is system


@pytest.mark.parametrize(
    ("kind", "video", "audio", "recording"),
    [
        ("RichText/UriObject", False, False, False),
        ("RichText/Media_Video", True, False, False),
        ("RichText/Media_AudioMsg", False, True, False),
        ("RichText/Media_CallRecording", True, False, True),
    ],
)
def test_media_of_a_person_s_own_export(
    kind: str, video: bool, audio: bool, recording: bool, tmp_path: Path
) -> None:
    """A file's size is in the text."""
    content = '<URIObject uri="x"><FileSize v="1000"></FileSize><OriginalName v="a"/></URIObject>'
    sent = own(tmp_path, said(kind=kind, content=content))
    assert (sent.files, sent.file_bytes, sent.files_of_unknown_size) == (1, 1000, 0)
    assert (sent.video, sent.audio, sent.recording) == (video, audio, recording)


@pytest.mark.parametrize("at", [AT + 1000, str(AT + 1000)])
def test_a_deletion_in_a_person_s_own_export(at: Any, tmp_path: Path) -> None:
    """A message that was deleted says when."""
    data = personal("8:ann", "8:ben", said(properties={"deletetime": at}))
    found = records("teams", folder(tmp_path, {"messages.json": data}))
    assert deletions(found) == [Deletion("teams", "8:ann~18:ben/1700000000000", AT + 1000)]
    assert len(activities(found)) == 1


def test_a_bot_of_a_person_s_own_export(tmp_path: Path) -> None:
    """A sender 28:.. is a bot."""
    assert own(tmp_path, said("28:bot")).by_bot


def test_messages_before_their_conversation_s_id(tmp_path: Path) -> None:
    """A tool that sorts keys puts the messages first; each names its conversation."""
    listed = {"MessageList": [said(conversationid="8:ben")], "id": "8:ben"}
    files: Files = {"messages.json": text({"conversations": [listed], "userId": "8:ann"})}
    assert only(records("teams", folder(tmp_path, files))).space == "8:ann/8:ben"


def test_what_are_no_messages_of_teams(tmp_path: Path) -> None:
    """Files without messages are refused."""
    with pytest.raises(Refused, match="messages of Microsoft Teams"):
        records("teams", folder(tmp_path, {"teamsList.json": text([{"GroupsId": "t1"}])}))
