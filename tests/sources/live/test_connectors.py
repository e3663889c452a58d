"""What each platform has of its own."""

import hashlib
import hmac
from typing import Any

import pytest

from postroom.domain.activity import Activity, Client, Deletion
from postroom.sources import mattermost as mattermost_export
from postroom.sources import zulip as zulip_export
from postroom.sources.live import mattermost, rocketchat, slack, webex, zulip
from postroom.sources.live.request import Heard
from tests.sources.samples import AT
from tests.support.platforms import (
    SECRET,
    Sent,
    mattermost_post,
    rocketchat_event,
    rocketchat_upload,
    signed,
    slack_event,
    webex_event,
    zulip_call,
)

TS = "1700000000.000100"
MINUTE = 60_000


def only(heard: Heard) -> Activity:
    """The only thing heard, a message."""
    (record,) = heard.records
    assert isinstance(record, Activity)
    return record


def in_slack(event: Any) -> Heard:
    """What Slack's connector hears."""
    return slack.read("slack", signed("slack", event).request())


# --- Slack ---


@pytest.mark.parametrize(("late", "good"), [(0, True), (5, True), (-5, True), (5.02, False), (-5.02, False)])
def test_slacks_five_minutes(late: float, good: bool) -> None:
    """A request holds for five minutes, by the hub's clock; so does one from a clock that goes ahead."""
    request = signed("slack", slack_event(TS)).request(AT + round(late * MINUTE))
    assert slack.verified(SECRET, request) is good


def test_slacks_timestamp_is_signed() -> None:
    """An old request with a new timestamp is nobody's; nor is a timestamp that is none."""
    sent = signed("slack", slack_event(TS))
    for timestamp in (str(AT // 1000 + 1), "", "now", "1700000000.5", "9" * 400):
        changed = Sent(sent.headers | {"X-Slack-Request-Timestamp": timestamp}, sent.body)
        assert not slack.verified(SECRET, changed.request())


def test_slacks_challenge() -> None:
    """It is to be told back."""
    asked = {"type": "url_verification", "token": "old", "challenge": "3eZbrw"}
    assert in_slack(asked) == Heard(challenge="3eZbrw")


@pytest.mark.parametrize(
    "event",
    [
        {"type": "app_rate_limited", "minute_rate_limited": 1700000000},
        {"type": "event_callback", "event": {"type": "reaction_added", "user": {"odd": 1}, "item": {}}},
        {"type": "event_callback", "event": {"type": "channel_created", "channel": {"id": "C9"}}},
        slack_event(TS, subtype="message_changed", message={"ts": TS, "subtype": None}),
        slack_event(TS, subtype="message_replied"),
    ],
)
def test_what_slack_tells_besides(event: Any) -> None:
    """Other types of events, edits and notices are ignored."""
    assert in_slack(event) == Heard(ignored=1)


@pytest.mark.parametrize(
    ("channel", "kind", "direct"),
    [
        ("C1", "channel", False),
        ("G1", "group", False),
        ("G1", "mpim", False),
        ("D1", "im", True),
        ("D1", "app_home", True),
        ("D1", None, True),
        ("C1", None, False),
    ],
)
def test_slacks_spaces(channel: str, kind: str | None, direct: bool) -> None:
    """Between two people, or in a group."""
    sent = only(in_slack(slack_event(TS, channel=channel, channel_type=kind)))
    assert (sent.space, sent.direct) == (channel, direct)


def test_slacks_bots() -> None:
    """As in an export."""
    assert only(in_slack(slack_event(TS, bot_id="B1"))).by_bot
    assert not only(in_slack(slack_event(TS, bot_id=None))).by_bot


def test_a_message_deleted_in_slack() -> None:
    """The deletion, with the message where Slack sends that along."""
    before = {"type": "message", "user": "U1", "ts": TS}
    gone = slack_event("1700000009.000000", subtype="message_deleted", deleted_ts=TS, previous_message=before)
    sent = only(in_slack(slack_event(TS)))
    assert in_slack(gone) == Heard((Deletion("slack", f"C1/{TS}", AT + 9000, sent),))


def test_a_message_with_replies_deleted_in_slack() -> None:
    """A tombstone takes its place."""
    tombstone = {"type": "message", "subtype": "tombstone", "user": "USLACKBOT", "ts": TS}
    gone = slack_event("1700000009.000000", subtype="message_changed", message=tombstone)
    assert in_slack(gone) == Heard((Deletion("slack", f"C1/{TS}", AT + 9000),))


def test_a_slack_message_without_a_sender() -> None:
    """It cannot be counted."""
    assert in_slack(slack_event(TS, user="")) == Heard(rejected=1)


# --- Webex ---


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("header", ["X-Spark-Signature", "X-Webex-Signature"])
@pytest.mark.parametrize("prefix", ["", "sha256="])
def test_webex_signatures(algorithm: str, header: str, prefix: str) -> None:
    """SHA-1, or what is longer and as hard to make without the secret."""
    body = signed("webex", webex_event("m1")).body
    digest = hmac.new(SECRET.encode(), body, getattr(hashlib, algorithm)).hexdigest()
    assert webex.verified(SECRET, Sent({header: prefix + digest}, body).request())
    assert webex.verified(SECRET, Sent({header: prefix + digest.upper()}, body).request())
    assert not webex.verified(SECRET, Sent({header: prefix + digest}, body + b" ").request())
    assert not webex.verified(SECRET, Sent({header: prefix + digest[:-2]}, body).request())


def in_webex(event: Any) -> Heard:
    """What Webex's connector hears."""
    return webex.read("webex", signed("webex", event).request())


def test_a_message_deleted_in_webex() -> None:
    """When is not known: the time in a webhook is that at which it was made."""
    assert in_webex(webex_event("m1", event="deleted")) == Heard((Deletion("webex", "m1", None),))


def test_files_in_webex() -> None:
    """They are there, and their sizes are unknown."""
    sent = only(in_webex(webex_event("m1", files=["https://files.invalid/1", "https://files.invalid/2"])))
    assert (sent.files, sent.files_of_unknown_size, sent.file_bytes) == (2, 2, 0)


@pytest.mark.parametrize(
    "event",
    [
        webex_event("m1", event="updated"),
        webex_event("m1", event="no_such_event"),
        webex_event("m1") | {"resource": "memberships"},
        {
            "resource": "telephony_calls",
            "event": "answered",
            "data": {"eventType": "answered", "callId": "c"},
        },
        {"id": 5, "resource": "rooms", "event": "created", "data": [1]},
    ],
)
def test_what_webex_tells_besides(event: Any) -> None:
    """Edits and other resources are ignored, whatever they look like."""
    assert in_webex(event) == Heard(ignored=1)


@pytest.mark.parametrize(
    "event",
    [
        webex_event("m1")["data"],
        webex_event("m1") | {"data": None},
        webex_event("m1") | {"data": {"id": 5}},
        webex_event("m1") | {"resource": 5},
    ],
)
def test_what_is_no_webhook_of_webex(event: Any) -> None:
    """What names no resource, and a message that is none, cannot be read."""
    assert in_webex(event) == Heard(rejected=1)


# --- Zulip ---


def in_zulip(call: Any) -> Heard:
    """What Zulip's connector hears."""
    return zulip.read("zulip", signed("zulip", call).request())


def people(*numbers: int) -> dict[str, Any]:
    """A private conversation of these users."""
    return {"type": "private", "display_recipient": [{"id": number} for number in numbers]}


@pytest.mark.parametrize(("members", "other"), [((7,), 7), ((7, 8), 8), ((8, 7), 8), ((8,), 8)])
def test_a_direct_conversation_in_zulip(members: tuple[int, ...], other: int) -> None:
    """Of one or two it is direct, and the same space both ways."""
    sent = only(in_zulip(zulip_call(1, 7, **people(*members))))
    assert (sent.space, sent.direct) == (zulip_export.between(7, other), True)


def test_a_private_group_in_zulip() -> None:
    """Of more it is a group, known by its recipient."""
    sent = only(in_zulip(zulip_call(1, 7, **people(7, 8, 9), recipient_id=22)))
    assert (sent.space, sent.direct) == (zulip_export.group(22), False)
    assert in_zulip(zulip_call(1, 7, **people(7, 8, 9), recipient_id=None)) == Heard(rejected=1)


@pytest.mark.parametrize(
    ("name", "client"),
    [
        ("ZulipElectron", Client.DESKTOP),
        ("ZulipFlutter", Client.MOBILE),
        ("website", Client.OTHER),
        (None, Client.UNKNOWN),
    ],
)
def test_clients_in_zulip(name: str | None, client: Client) -> None:
    """Known by name, as in an export."""
    assert only(in_zulip(zulip_call(1, 7, client=name))).client is client


def test_files_in_zulip() -> None:
    """Each link to an upload is one, with its kind and without its size."""
    text = "[a](/user_uploads/2/ab/a.mp4) and [b](/user_uploads/2/cd/b.txt)"
    sent = only(in_zulip(zulip_call(1, 7, content=text)))
    assert (sent.files, sent.files_of_unknown_size, sent.video, sent.audio) == (2, 2, True, False)


# --- Mattermost ---


def in_mattermost(post: Any, form: bool = False) -> Heard:
    """What Mattermost's connector hears."""
    return mattermost.read("mattermost", signed("mattermost", post, form=form).request())


def test_a_form_of_mattermost() -> None:
    """It tells the time in seconds, so its messages have ids of their own; who and where is the same."""
    post = mattermost_post("ann", "a & b = ü")
    by_json = only(in_mattermost(post))
    by_form = only(in_mattermost(post | {"timestamp": AT // 1000}, form=True))
    assert (by_form.at, by_form.person, by_form.space) == (AT, by_json.person, by_json.space)
    assert by_form.message_id != by_json.message_id
    assert by_form == only(in_mattermost(post | {"timestamp": AT // 1000}, form=True))


@pytest.mark.parametrize("told", [AT, str(AT)])
def test_milliseconds_of_mattermost(told: int | str) -> None:
    """As servers send them, or the same in a string: the id is that of an export."""
    sent = only(in_mattermost(mattermost_post("ann", "hello") | {"timestamp": told}))
    space = mattermost_export.channel("t", "town-square")
    assert (sent.at, sent.message_id) == (AT, mattermost_export.message_id(space, "ann", AT, "hello"))


@pytest.mark.parametrize("told", [AT // 1000, str(AT // 1000)])
def test_seconds_of_mattermost(told: int | str) -> None:
    """As its documentation shows them in JSON: the post is known by its own id, as from a form."""
    post = mattermost_post("ann", "hello")
    by_form = only(in_mattermost(post | {"timestamp": AT // 1000}, form=True))
    assert only(in_mattermost(post | {"timestamp": told})) == by_form
    assert by_form.at == AT


@pytest.mark.parametrize("told", ["", "now", "-5", "1.5", "٣", "9" * 5000, 5, 10**30, None, True])
def test_no_time_of_mattermost(told: Any) -> None:
    """What tells no time between 1990 and 2100 cannot be read."""
    assert in_mattermost(mattermost_post("ann", "hello") | {"timestamp": told}) == Heard(rejected=1)


def test_the_token_in_a_form() -> None:
    """It is checked there as well."""
    post = mattermost_post("ann", "hello", AT // 1000)
    assert mattermost.verified(SECRET, signed("mattermost", post, form=True).request())
    assert not mattermost.verified(SECRET, signed("mattermost", post, secret="wrong", form=True).request())
    crowd = Sent({"Content-Type": "application/x-www-form-urlencoded"}, b"&".join([b"token=x"] * 1000))
    assert not mattermost.verified("x", crowd.request())


def test_names_in_mattermost() -> None:
    """Team, channel and user are known by name, as in an export."""
    sent = only(in_mattermost(mattermost_post("ann", "hello")))
    space = mattermost_export.channel("t", "town-square")
    assert (sent.space, sent.person) == (space, mattermost_export.person("ann"))
    assert sent.message_id == mattermost_export.message_id(space, "ann", AT, "hello")


def test_files_in_mattermost() -> None:
    """They have ids and nothing else."""
    sent = only(in_mattermost(mattermost_post("ann", "hello", file_ids="f1,f2")))
    assert (sent.files, sent.files_of_unknown_size) == (2, 2)


# --- Rocket.Chat ---


def in_rocketchat(event: Any) -> Heard:
    """What Rocket.Chat's connector hears."""
    return rocketchat.read("rocketchat", signed("rocketchat", event).request())


def test_a_direct_room_in_rocketchat() -> None:
    """Its id is made of the two users'; or File Uploaded says what it is."""
    one, other = "a" * 17, "b" * 17
    assert only(in_rocketchat(rocketchat_event("m1", one + other, one))).direct
    assert only(in_rocketchat(rocketchat_event("m1", one + other, other))).direct
    assert not only(in_rocketchat(rocketchat_event("m1", "c" * 17, one))).direct
    upload = rocketchat_upload("m1", "r", "u1")
    upload["room"] = {"_id": "r", "t": "d", "uids": ["u1", "u2"]}
    assert only(in_rocketchat(upload)).direct


@pytest.mark.parametrize("more", [{"bot": {"i": "x"}}, {"bot": True}, {"user_id": "rocket.cat"}])
def test_bots_in_rocketchat(more: dict[str, Any]) -> None:
    """Marked so, or the one that is always there."""
    assert only(in_rocketchat(rocketchat_event("m1", "r", "u1") | more)).by_bot


def test_files_in_rocketchat() -> None:
    """File Uploaded tells all; a message without text has one, unless a bot sent it."""
    sent = only(in_rocketchat(rocketchat_upload("m1", "r", "u1")))
    assert (sent.files, sent.file_bytes, sent.files_of_unknown_size) == (1, 1000, 0)
    sent = only(in_rocketchat(rocketchat_event("m1", "r", "u1", "")))
    assert (sent.files, sent.files_of_unknown_size) == (1, 1)
    assert only(in_rocketchat(rocketchat_event("m1", "r", "u1", "", bot=True))).files == 0


@pytest.mark.parametrize(
    "event",
    [
        rocketchat_event("m1", "r", "u1", isEdited=True),
        {"channel_id": "r", "user_id": "u1", "room": {"_id": "r", "t": "c"}, "owner": {"_id": "u1"}},
    ],
)
def test_what_rocketchat_tells_besides(event: Any) -> None:
    """Edits, and events without a message, are ignored."""
    assert in_rocketchat(event) == Heard(ignored=1)
