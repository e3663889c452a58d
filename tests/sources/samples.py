"""A small export of each platform, each with two people's messages and one message that has a file."""

from typing import Any

from tests.sources.exports import Files, lines, text

AT = 1_700_000_000_000
"""2023-11-14 22:13:20 UTC, when the first message of each sample was sent, in ms."""
ISO = "2023-11-14T22:13:20"


def slack() -> Files:
    """A channel and a direct conversation."""
    return {
        "channels.json": text([{"id": "C1", "name": "general", "members": ["U1", "U2"]}], 4),
        "dms.json": text([{"id": "D1", "created": 1, "members": ["U1", "U2"]}], 4),
        "users.json": text([{"id": "U1", "name": "ann"}], 4),
        "general/2023-11-14.json": text(
            [
                {"type": "message", "user": "U1", "text": "hello", "ts": "1700000000.000100"},
                {
                    "type": "message",
                    "subtype": "channel_join",
                    "user": "U2",
                    "text": "",
                    "ts": "1700000001.000100",
                },
                {
                    "type": "message",
                    "user": "U2",
                    "text": 'a {bracket} " and [more',
                    "ts": "1700000002.000100",
                    "files": [
                        {"id": "F1", "mimetype": "video/mp4", "size": 1000, "mode": "hosted", "name": "a.mp4"}
                    ],
                },
            ],
            4,
        ),
        "D1/2023-11-14.json": text(
            [{"type": "message", "user": "U1", "text": "psst", "ts": "1700000003.000100"}], 4
        ),
    }


def zulip() -> Files:
    """A stream, a message to a person, and a file."""
    realm: dict[str, Any] = {
        "zerver_client": [{"id": 1, "name": "website"}, {"id": 2, "name": "ZulipFlutter"}],
        "zerver_userprofile": [
            {"id": 7, "is_bot": False},
            {"id": 8, "is_bot": False},
            {"id": 9, "is_bot": True},
        ],
        "zerver_userprofile_mirrordummy": [],
        "zerver_userprofile_crossrealm": [
            {"id": 3, "email": "notification-bot@zulip.com", "recipient_id": 1}
        ],
        "zerver_recipient": [
            {"id": 20, "type": 2, "type_id": 5},
            {"id": 21, "type": 1, "type_id": 8},
            {"id": 22, "type": 3, "type_id": 6},
        ],
        "zerver_subscription": [
            {"id": 1, "recipient": 22, "user_profile": 7},
            {"id": 2, "recipient": 22, "user_profile": 8},
            {"id": 3, "recipient": 22, "user_profile": 9},
        ],
    }
    attachment = {"id": 1, "size": 1000, "file_name": "a.mp3", "path_id": "2/ab/a.mp3", "messages": [102]}
    return {
        "realm.json": text(realm, 4),
        "attachment.json": text({"zerver_attachment": [attachment]}, 4),
        "messages-000001.json": text(
            {
                "zerver_message": [
                    zulip_message(101, 7, 20),
                    {**zulip_message(102, 8, 20), "has_attachment": True, "sending_client": 2},
                ],
                "zerver_usermessage": [{"id": 1, "message": 101, "user_profile": 7}],
            },
            4,
        ),
        "messages-000002.json": text(
            {"zerver_message": [zulip_message(103, 7, 21)], "zerver_usermessage": []}
        ),
    }


def zulip_message(number: int, sender: int, recipient: int) -> dict[str, Any]:
    """A row of zerver_message."""
    return {
        "id": number,
        "sender": sender,
        "recipient": recipient,
        "date_sent": 1700000000.25 + number - 101,
        "sending_client": 1,
        "content": "text",
        "has_attachment": False,
    }


def mattermost() -> Files:
    """A post with a reply that has a file, and a direct post."""
    reply = {
        "user": "ben",
        "message": "yes",
        "create_at": AT + 1000,
        "attachments": [{"path": "20231114/teams/noteam/a.mp4"}],
    }
    post = {"team": "t", "channel": "town-square", "user": "ann", "message": "hello", "create_at": AT}
    direct = {"channel_members": ["ann", "ben"], "user": "ben", "message": "psst", "create_at": AT + 2000}
    return {
        "import.jsonl": lines(
            {"type": "version", "version": 1},
            {"type": "channel", "channel": {"team": "t", "name": "town-square", "type": "O"}},
            {"type": "post", "post": {**post, "replies": [reply], "reactions": [{"user": "ben"}]}},
            {"type": "direct_channel", "direct_channel": {"members": ["ann", "ben"]}},
            {"type": "direct_post", "direct_post": {**direct, "replies": []}},
        ),
        "data/20231114/teams/noteam/a.mp4": b"v" * 1000,
    }


def rocketchat() -> Files:
    """A channel, a direct room, and a file whose size only the uploads tell."""
    return {
        "rocketchat_message.json": lines(
            rocketchat_message("m1", "GENERAL", "u1"),
            {**rocketchat_message("m2", "GENERAL", "u2"), "t": "uj"},
            {
                **rocketchat_message("m3", "GENERAL", "u2"),
                "file": {"_id": "f1", "name": "a.pdf", "type": "x/pdf"},
            },
            rocketchat_message("m4", "r2", "u1"),
        ),
        "rocketchat_room.json": lines(
            {"_id": "GENERAL", "t": "c"}, {"_id": "r2", "t": "d", "uids": ["u1", "u2"]}
        ),
        "rocketchat_uploads.json": lines({"_id": "f1", "name": "a.pdf", "size": 1000, "type": "x/pdf"}),
        "users.json": lines({"_id": "u1", "type": "user"}, {"_id": "u9", "type": "bot"}),
    }


def rocketchat_message(number: str, room: str, user: str) -> dict[str, Any]:
    """A document of rocketchat_message."""
    return {
        "_id": number,
        "rid": room,
        "msg": "hello",
        "ts": {"$date": f"{ISO}.000Z"},
        "u": {"_id": user, "username": "ann"},
    }


def teams() -> Files:
    """A team's file, and the files of two users with the chat between them in both."""
    channel = {"ChannelIdentity": {"ChannelId": "19:c@thread.tacv2", "TeamId": "t1"}, "ChatId": None}
    chat = {"ChatId": "19:u1_u2@unq.gbl.spaces"}
    attachments = [{"Id": "f", "ContentType": "reference", "Name": "a.docx"}]
    direct = [teams_message("1700000000000", "u1", chat), teams_message("1700000001000", "u2", chat)]
    return {
        "teams/t1/messages_t1.json": text(
            [{**teams_message("1700000000500", "u1", channel), "Attachments": attachments}], 2
        ),
        "teams/teamsList.json": text([{"GroupsId": "t1", "Name": "Team"}]),
        "users/u1/messages_u1.json": text(direct),
        "users/u2/messages_u2.json": text(direct),
    }


def teams_message(number: str, user: str, more: dict[str, Any]) -> dict[str, Any]:
    """A chatMessage with capitals; its number is its time in ms."""
    return {
        "Id": number,
        "Body": {"ContentType": "html", "Content": "<p>hello</p>"},
        "CreatedDateTime": f"{ISO}.{number[-3:]}+00:00",
        "DeletedDateTime": None,
        "From": {"Application": None, "Device": None, "User": {"Id": user, "DisplayName": "Ann"}},
        "Attachments": [],
        "MessageType": "message",
        "ChannelIdentity": None,
        "ChatId": None,
        "EventDetail": None,
        **more,
    }


def webex() -> Files:
    """An answer of /messages."""
    return {
        "space.json": text(
            {
                "items": [
                    webex_message("m1", "group"),
                    {**webex_message("m2", "group"), "files": ["https://files.invalid/1"]},
                    {**webex_message("m3", "direct"), "roomId": "r2"},
                ]
            },
            2,
        )
    }


def webex_message(number: str, kind: str) -> dict[str, Any]:
    """An item of /messages."""
    return {
        "id": number,
        "roomId": "r1",
        "roomType": kind,
        "text": "hello",
        "personId": "p1",
        "personEmail": "ann@example.com",
        "created": f"{ISO}.000Z",
    }


def matrix() -> Files:
    """A room as Element exports it."""
    picture = {"msgtype": "m.image", "body": "a.png", "info": {"size": 1000, "mimetype": "image/png"}}
    return {
        "export.json": text(
            {
                "room_name": "Room",
                "messages": [
                    matrix_event("$1", "@ann:x", {"msgtype": "m.text", "body": "hello"}),
                    matrix_event("$2", "@ben:x", picture),
                    {
                        **matrix_event("$3", "@dan:x", {"membership": "join"}, "m.room.member"),
                        "state_key": "@dan:x",
                    },
                    matrix_event("$4", "@cat:x", {"msgtype": "m.text", "body": "me too"}),
                ],
            },
            2,
        )
    }


def matrix_event(
    number: str, sender: str, content: dict[str, Any], kind: str = "m.room.message"
) -> dict[str, Any]:
    """An event of the room !r:x."""
    return {
        "type": kind,
        "event_id": number,
        "sender": sender,
        "origin_server_ts": AT,
        "room_id": "!r:x",
        "content": content,
    }


def discord() -> Files:
    """A channel of a guild, and a direct one."""
    return {
        "Guild - general [1].json": text(
            discord_channel(
                "1",
                "GuildTextChat",
                discord_message("11"),
                {**discord_message("12"), "type": "GuildMemberJoin"},
                {
                    **discord_message("13"),
                    "attachments": [{"id": "5", "fileName": "a.ogg", "fileSizeBytes": 1000}],
                },
            ),
            2,
        ),
        "Direct - ben [2].json": text(discord_channel("2", "DirectTextChat", discord_message("21")), 2),
    }


def discord_channel(number: str, kind: str, *messages: dict[str, Any]) -> dict[str, Any]:
    """A file of DiscordChatExporter."""
    return {
        "guild": {"id": "0", "name": "Guild"},
        "channel": {"id": number, "type": kind, "name": "general"},
        "dateRange": {"after": None, "before": None},
        "messages": list(messages),
        "messageCount": len(messages),
    }


def discord_message(number: str) -> dict[str, Any]:
    """A message of a channel."""
    return {
        "id": number,
        "type": "Default",
        "timestamp": f"{ISO}.000+00:00",
        "content": "hello",
        "author": {"id": "u1", "name": "ann", "isBot": False, "roles": [{"id": "9"}]},
        "attachments": [],
        "reactions": [{"emoji": {"id": "", "name": "x"}, "count": 1}],
    }


def telegram() -> Files:
    """An account with a direct chat and a group."""
    voice = {"file": "voice.ogg", "file_size": 1000, "media_type": "voice_message", "mime_type": "audio/ogg"}
    return {
        "result.json": text(
            {
                "about": "Here is the data you requested.",
                "chats": {
                    "about": "This page lists all chats.",
                    "list": [
                        telegram_chat("personal_chat", 5, telegram_message(1), telegram_message(2, "user6")),
                        telegram_chat("private_group", 5, {**telegram_message(1), **voice}),
                    ],
                },
            },
            1,
        )
    }


def telegram_chat(kind: str, number: int, *messages: dict[str, Any]) -> dict[str, Any]:
    """A chat of an export."""
    return {"name": "Ann", "type": kind, "id": number, "messages": list(messages)}


def telegram_message(number: int, sender: str = "user5") -> dict[str, Any]:
    """A message of a chat."""
    return {
        "id": number,
        "type": "message",
        "date": "2023-11-14T23:13:20",
        "date_unixtime": "1700000000",
        "from": "Ann",
        "from_id": sender,
        "text": ["hello ", {"type": "bold", "text": "you"}],
        "text_entities": [],
    }


def ndjson() -> Files:
    """Activities and a deletion."""
    return {
        "activities.ndjson": lines(
            ndjson_activity("m1"),
            {**ndjson_activity("m2"), "files": 1, "file_bytes": 1000, "client": "mobile", "audio": True},
            {"deleted": True, "message_id": "m1", "at": AT + 5},
            {**ndjson_activity("m3"), "direct": True},
        )
    }


def ndjson_activity(number: str) -> dict[str, Any]:
    """An activity in our own format, with what is required."""
    return {"message_id": number, "at": AT, "person": "p1", "space": "s1", "direct": False}


SAMPLES = {
    make.__name__: make
    for make in (slack, zulip, mattermost, rocketchat, teams, webex, matrix, discord, telegram, ndjson)
}
