"""Chat platforms as they call a live source: what they send of the samples' messages, and how they sign."""

import hashlib
import hmac
import json
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from postroom.domain.live_source import Kind
from postroom.sources.live.request import Request
from tests.sources import samples
from tests.sources.samples import AT, ISO

KINDS: Final[tuple[Kind, ...]] = ("slack", "webex", "matrix", "zulip", "mattermost", "rocketchat")
SECRET: Final = "s3cret-of-a-platform"
JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"


class Sent(NamedTuple):
    """A request as a platform makes it."""

    headers: dict[str, str]
    body: bytes

    def request(self, at: int = AT, token: str = "") -> Request:
        """As a connector reads it, when it came at `at`, ms."""
        headers = {name.lower().encode(): value.encode() for name, value in self.headers.items()}
        return Request(headers, self.body, at, token)


def signed(kind: Kind, event: Any, at: int = AT, secret: str = SECRET, form: bool = False) -> Sent:
    """The event as its platform sends it at `at`, ms; a form where a platform can do so."""
    if kind in {"zulip", "mattermost", "rocketchat"} and isinstance(event, dict):
        event = {**event, "token": secret}
    body = (
        urlencode(event).encode()
        if form
        else event
        if isinstance(event, bytes)
        else json.dumps(event).encode()
    )
    return Sent({"Content-Type": FORM if form else JSON, **_signature(kind, body, at, secret)}, body)


def _signature(kind: Kind, body: bytes, at: int, secret: str) -> dict[str, str]:
    if kind == "slack":
        timestamp = str(at // 1000)
        signature = _hmac(secret, b"v0:" + timestamp.encode() + b":" + body, "sha256")
        return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={signature}"}
    if kind == "webex":
        return {"X-Spark-Signature": _hmac(secret, body, "sha1")}
    return {"Authorization": f"Bearer {secret}"} if kind == "matrix" else {}


def _hmac(secret: str, text: bytes, algorithm: str) -> str:
    return hmac.new(secret.encode(), text, getattr(hashlib, algorithm)).hexdigest()


def events(kind: Kind) -> list[Any]:
    """What the platform sends of the messages in the sample of its export, as far as it does."""
    made: list[Any] = _EVENTS[kind]
    return made


def other(kind: Kind) -> list[Any]:
    """What the platform sends of something else than messages, as far as it does."""
    made: list[Any] = _OTHERS.get(kind, [])
    return made


def slack_event(ts: str, user: str = "U1", channel: str = "C1", **more: Any) -> dict[str, Any]:
    """A message of the Events API."""
    message = {"type": "message", "channel": channel, "user": user, "text": "hello", "ts": ts}
    kind = "im" if channel.startswith("D") else "channel"
    event = {**message, "channel_type": kind, "event_ts": ts, **more}
    return {"token": "old", "team_id": "T1", "type": "event_callback", "event_id": f"Ev{ts}", "event": event}


def webex_event(number: str, kind: str = "group", event: str = "created", **more: Any) -> dict[str, Any]:
    """A webhook for a message; it tells no text, and its own `created` is the webhook's."""
    data = {name: value for name, value in samples.webex_message(number, kind).items() if name != "text"}
    call = {"id": "w1", "name": "hook", "resource": "messages", "event": event, "orgId": "o1"}
    return {**call, "created": "2020-01-01T00:00:00.000Z", "actorId": "p1", "data": {**data, **more}}


def zulip_call(number: int, sender: int, **more: Any) -> dict[str, Any]:
    """An outgoing webhook for a message in a stream; `more` is of the message."""
    message = {
        "id": number,
        "sender_id": sender,
        "sender_email": "ann@example.com",
        "timestamp": AT // 1000,
        "client": "website",
        "type": "stream",
        "stream_id": 5,
        "display_recipient": "general",
        "recipient_id": 20,
        "content": "hello",
        **more,
    }
    return {
        "bot_email": "b@x",
        "bot_full_name": "b",
        "data": "hello",
        "message": message,
        "trigger": "mention",
    }


def mattermost_post(user: str, text: str, at: int = AT, **more: Any) -> dict[str, Any]:
    """An outgoing webhook for a post in a channel."""
    return {
        "team_id": "t-id",
        "team_domain": "t",
        "channel_id": "c-id",
        "channel_name": "town-square",
        "timestamp": at,
        "user_id": "u-id",
        "user_name": user,
        "post_id": f"post-{at}",
        "text": text,
        "trigger_word": "",
        "file_ids": "",
        **more,
    }


def rocketchat_event(number: str, room: str, user: str, text: str = "hello", **more: Any) -> dict[str, Any]:
    """An outgoing webhook of Message Sent."""
    return {
        "bot": False,
        "channel_id": room,
        "channel_name": "general",
        "message_id": number,
        "timestamp": f"{ISO}.000Z",
        "user_id": user,
        "user_name": "ann",
        "text": text,
        "siteUrl": "https://chat.invalid",
        **more,
    }


def rocketchat_upload(number: str, room: str, user: str) -> dict[str, Any]:
    """An outgoing webhook of File Uploaded."""
    file = {"_id": "f1", "name": "a.pdf", "type": "x/pdf", "size": 1000}
    message = {**samples.rocketchat_message(number, room, user), "ts": f"{ISO}.000Z", "file": file}
    return {
        **rocketchat_event(number, room, user, ""),
        "user": {"_id": user, "type": "user"},
        "room": {"_id": room, "t": "c", "name": "general", "usersCount": 3},
        "message": message,
    }


def transaction(*sent: Any) -> dict[str, Any]:
    """What a homeserver pushes."""
    return {"events": list(sent), "de.sorunome.msc2409.ephemeral": [{"type": "m.typing"}]}


def matrix_events() -> list[dict[str, Any]]:
    """The events of the sample's room."""
    found: list[dict[str, Any]] = json.loads(samples.matrix()["export.json"])["messages"]
    return found


_VIDEO = {"id": "F1", "mimetype": "video/mp4", "size": 1000, "mode": "hosted", "name": "a.mp4"}
_PAIR = [{"id": 7, "email": "ann@example.com"}, {"id": 8, "email": "ben@example.com"}]
_EVENTS: Final[dict[Kind, list[Any]]] = {
    "slack": [
        slack_event("1700000000.000100"),
        slack_event("1700000001.000100", "U2", subtype="channel_join"),
        slack_event("1700000002.000100", "U2", subtype="file_share", files=[_VIDEO]),
        slack_event("1700000003.000100", channel="D1"),
    ],
    "webex": [
        webex_event("m1"),
        webex_event("m2", files=["https://files.invalid/1"]),
        webex_event("m3", "direct", roomId="r2"),
    ],
    "matrix": [transaction(*matrix_events()[:2]), transaction(*matrix_events()[2:])],
    "zulip": [
        zulip_call(101, 7),
        zulip_call(102, 8, client="ZulipFlutter", content="[a.mp3](/user_uploads/2/ab/a.mp3)"),
        zulip_call(103, 7, type="private", stream_id=None, display_recipient=_PAIR, recipient_id=21),
    ],
    "mattermost": [
        mattermost_post("ann", "hello"),
        mattermost_post("ben", "yes", AT + 1000, file_ids="f1"),
    ],
    "rocketchat": [
        rocketchat_event("m1", "GENERAL", "u1"),
        rocketchat_upload("m3", "GENERAL", "u2"),
    ],
}
_OTHERS: Final[dict[Kind, list[Any]]] = {
    "slack": [
        {"type": "event_callback", "event": {"type": "no_such_type", "user": {"id": "U1"}}},
        {"type": "no_such_type"},
        slack_event("1700000000.000100", subtype="message_changed"),
    ],
    "webex": [webex_event("m1", event="updated"), webex_event("m1") | {"resource": "no_such_resource"}],
    "matrix": [transaction(matrix_events()[0] | {"type": kind}) for kind in ("m.reaction", "no.such.type")],
    "rocketchat": [
        rocketchat_event("m1", "GENERAL", "u1", isEdited=True),
        {"channel_id": "GENERAL", "user_id": "u1", "timestamp": f"{ISO}.000Z", "user": {"_id": "u1"}},
    ],
}
