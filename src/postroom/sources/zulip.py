"""Zulip's export of an organization (.tar.gz, or unpacked): realm.json, attachment.json,
messages-000001.json.

* The time is `date_sent` (older: `pub_date`), in seconds. The client is the name of `sending_client`: the
  desktop and the mobile apps are known by name, everything else is other; what another chat's importer
  wrote has an unknown one.
* Spaces: a stream (channel) is a group. A private conversation of two is direct, whether it is kept as a
  message to a person or as a direct message group; it is the same space both ways. Of more it is a group.
* Bots are those of the user list, and those of all organizations (notification bot).
* Files are in attachment.json, with the messages that link to them. A message that has an attachment which
  is not there has links /user_uploads/ to files of unknown size.
* Calls are links to another service, so no recordings can be told from other links.
* Zulip removes deleted messages, so an export tells of no deletions. Messages are copied between an
  export's files where that was interrupted; the id decides.

What the API answers to /messages is read as well, in `messages`, a list, or one on each line. A message has
the same id and space there, and its time in whole seconds. Files are links in the text, so their sizes are
unknown; bots are known by their address (..-bot@..), which is not kept.

In memory: all users that are bots, clients, recipients, and the messages that have attachments.
"""

import re
from collections.abc import Iterator
from functools import partial

import msgspec

from postroom.domain.activity import Activity, Client, Damaged, Record, joined
from postroom.sources.archive import Archive
from postroom.sources.json_stream import JsonStream
from postroom.sources.media import NO_FILES, Counted, Files
from postroom.sources.records import (
    Converted,
    Form,
    Outline,
    from_list,
    guarded,
    outline,
    records,
    unreadable,
    without_messages,
)
from postroom.sources.times import from_seconds
from postroom.sources.trouble import Unfit

NAME = "zulip"
EXPECTED = (
    "an export of a Zulip organization: a .tar.gz or folder with realm.json and files such as "
    "messages-000001.json; or what its API answers to /messages, in JSON."
)
_MESSAGES = re.compile(r"(?:.*/)?messages-\d+\.json")
_PERSON, _STREAM = 1, 2
_CLIENTS = {
    "zulipelectron": Client.DESKTOP,
    "zulipdesktop": Client.DESKTOP,
    "zulipmobile": Client.MOBILE,
    "zulipflutter": Client.MOBILE,
    "zulipios": Client.MOBILE,
    "zulipandroid": Client.MOBILE,
    "populate_db": Client.UNKNOWN,
}
_LINKS = (b"/user_uploads/", rb"\/user_uploads\/")
_LINK = re.compile(r"/user_uploads/(?!thumbnail/)[^\s)\]>\"]*")
_LISTS = ("messages",)
_KEYS = ("id", "sender_id", "timestamp", "type")
_BOT = "-bot"


class _Client(msgspec.Struct):
    id: int
    name: str


class _User(msgspec.Struct):
    id: int
    is_bot: bool = False


class _Recipient(msgspec.Struct):
    id: int
    type: int
    type_id: int


class _Subscription(msgspec.Struct):
    recipient: int
    user_profile: int


class _Attachment(msgspec.Struct):
    messages: list[int] = []
    size: int | float | str | None = None
    content_type: str | None = None
    file_name: str | None = None


class _Message(msgspec.Struct):
    id: int
    sender: int
    recipient: int
    date_sent: int | float | None = None
    pub_date: int | float | None = None
    sending_client: int | None = None
    has_attachment: bool | None = False
    content: msgspec.Raw = msgspec.Raw(b"")


class _Member(msgspec.Struct):
    id: int


class Message(msgspec.Struct):
    """A message as the API and an outgoing webhook have it."""

    id: int
    sender_id: int
    timestamp: int | float
    type: str
    sender_email: str | None = None
    client: str | None = None
    recipient_id: int | None = None
    stream_id: int | None = None
    display_recipient: str | list[_Member] = ""
    content: str = ""


_CLIENT, _USER, _RECIPIENT = Form(_Client), Form(_User), Form(_Recipient)
_SUBSCRIPTION, _ATTACHMENT, _MESSAGE = Form(_Subscription), Form(_Attachment), Form(_Message)
_ANSWERED = Form(Message)


class _Realm:
    """What the messages refer to."""

    def __init__(self) -> None:
        self.clients: dict[int, Client] = {}
        self.bots: set[int] = set()
        self.recipients: dict[int, tuple[int, int]] = {}
        self.members: dict[int, tuple[int, ...]] = {}  # of each recipient, the first three
        self.files: dict[int, Files] = {}

    def client(self, row: _Client) -> Converted:
        self.clients[row.id] = client_of(row.name)
        return ()

    def user(self, row: _User) -> Converted:
        if row.is_bot:
            self.bots.add(row.id)
        return ()

    def common_bot(self, row: _User) -> Converted:
        self.bots.add(row.id)
        return ()

    def recipient(self, row: _Recipient) -> Converted:
        self.recipients[row.id] = row.type, row.type_id
        return ()

    def subscription(self, row: _Subscription) -> Converted:
        known = self.members.get(row.recipient, ())
        if len(known) < 3 and row.user_profile not in known:
            self.members[row.recipient] = (*known, row.user_profile)
        return ()

    def attachment(self, row: _Attachment) -> Converted:
        for message in row.messages:
            self.files.setdefault(message, Files()).add(row.size, row.content_type, row.file_name)
        return ()

    def space(self, message: _Message) -> tuple[str, bool]:
        """The space of a message, and whether it is direct."""
        found = self.recipients.get(message.recipient)
        if found is None:
            raise Unfit("has a recipient that realm.json does not list")
        kind, number = found
        if kind == _PERSON:
            return between(message.sender, number), True
        if kind == _STREAM:
            return stream(number), False
        members = self.members.get(message.recipient, ())
        if 0 < len(members) < 3:
            return between(members[0], members[-1]), True
        return group(message.recipient), False


def client_of(name: str) -> Client:
    """What a client's name says of the device."""
    return _CLIENTS.get(name.partition("/")[0].lower(), Client.OTHER)


def between(one: int, other: int) -> str:
    """The space of messages between two users, whoever sent them; of a user alone, with themselves."""
    first, second = sorted((one, other))
    return joined("direct", str(first), str(second))


def stream(number: int) -> str:
    """The space of the stream (channel) with this id."""
    return joined("stream", str(number))


def group(recipient: int) -> str:
    """The space of a private conversation of more than two, by its recipient's id."""
    return joined("group", str(recipient))


def fits(archive: Archive) -> bool:
    """Whether realm.json is there, and messages; or answers of the API."""
    return _is_export(archive) or any(_has_answers(outline(archive, name, _LISTS)) for name in archive.texts)


def _is_export(archive: Archive) -> bool:
    names = archive.texts
    return "realm.json" in names and any(_MESSAGES.fullmatch(name) for name in names)


def _has_answers(found: Outline | None) -> bool:
    return found is not None and found.has(*_KEYS)


def read(archive: Archive, source: str = NAME) -> Iterator[Record]:
    """The messages of all files."""
    return (_of_export if _is_export(archive) else _of_answers)(archive, source)


def _of_answers(archive: Archive, source: str) -> Iterator[Record]:
    for name in archive.texts:
        found = outline(archive, name, _LISTS)
        if found is None:
            yield unreadable(name)
        elif _has_answers(found):
            yield from records(archive, name, found, _ANSWERED, partial(sent, source))
        elif found.has("sender_id"):
            yield without_messages(name)


def _of_export(archive: Archive, source: str) -> Iterator[Record]:
    realm = _Realm()
    yield from guarded("realm.json", _of_realm(archive, realm))
    if archive.has("attachment.json"):
        under = Outline(False, "zerver_attachment")
        yield from records(archive, "attachment.json", under, _ATTACHMENT, realm.attachment)
    elif archive.texts:
        yield Damaged("attachment.json", "is missing, so the sizes of files are unknown")
    under = Outline(False, "zerver_message")
    for name in archive.texts:
        if _MESSAGES.fullmatch(name):
            yield from records(archive, name, under, _MESSAGE, partial(_message, source, realm))


def _of_realm(archive: Archive, realm: _Realm) -> Iterator[Record]:
    with archive.open("realm.json") as member:
        json = JsonStream(member.read)
        for table in json.properties():
            yield from _of_table(json, table, realm)


def _of_table(json: JsonStream, table: str, realm: _Realm) -> Iterator[Record]:
    name = f"realm.json: {table}"
    match table:
        case "zerver_client":
            yield from from_list(json, _CLIENT, realm.client, name)
        case "zerver_userprofile" | "zerver_userprofile_mirrordummy":
            yield from from_list(json, _USER, realm.user, name)
        case "zerver_userprofile_crossrealm":
            yield from from_list(json, _USER, realm.common_bot, name)
        case "zerver_recipient":
            yield from from_list(json, _RECIPIENT, realm.recipient, name)
        case "zerver_subscription":
            yield from from_list(json, _SUBSCRIPTION, realm.subscription, name)


def _message(source: str, realm: _Realm, message: _Message) -> Activity:
    sent = message.date_sent if message.date_sent is not None else message.pub_date
    if sent is None:
        raise Unfit("has no date_sent")
    space, direct = realm.space(message)
    return Activity(
        source,
        str(message.id),
        from_seconds(sent),
        str(message.sender),
        space,
        direct,
        realm.clients.get(message.sending_client or 0, Client.UNKNOWN),
        *_files(realm, message),
        message.sender in realm.bots,
    )


def _files(realm: _Realm, message: _Message) -> Counted:
    listed = realm.files.get(message.id)
    if listed is not None:
        return listed.counted()
    return _linked(message) if message.has_attachment else NO_FILES


def _linked(message: _Message) -> Counted:
    text = bytes(message.content)
    files = Files()
    for _ in range(max(1, sum(text.count(link) for link in _LINKS))):
        files.add()
    return files.counted()


def sent(source: str, message: Message) -> Activity:
    """A message of the API, or of a webhook."""
    space, direct = _space(message)
    return Activity(
        source,
        str(message.id),
        from_seconds(message.timestamp),
        str(message.sender_id),
        space,
        direct,
        client_of(message.client) if message.client else Client.UNKNOWN,
        *_linked_to(message.content),
        by_bot=(message.sender_email or "").partition("@")[0].endswith(_BOT),
    )


def _space(message: Message) -> tuple[str, bool]:
    if message.type == "stream" and message.stream_id is not None:
        return stream(message.stream_id), False
    if isinstance(message.display_recipient, str):
        raise Unfit("has neither a stream nor recipients")
    members = sorted({user.id for user in message.display_recipient} | {message.sender_id})
    if len(members) <= 2:
        return between(members[0], members[-1]), True
    if message.recipient_id is None:
        raise Unfit("has no recipient_id")
    return group(message.recipient_id), False


def _linked_to(content: str) -> Counted:
    """The files that a text links to; a picture's link stands twice in what is rendered."""
    files = Files()
    for link in dict.fromkeys(_LINK.findall(content)):
        files.add(name=link.rpartition("/")[2])
    return files.counted()
