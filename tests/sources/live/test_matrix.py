"""Matrix: who may push, what is a message, and which rooms are direct."""

from typing import Any

import pytest

from postroom.domain.activity import Activity, Deletion
from postroom.sources.live import matrix
from postroom.sources.live.matrix import PERSON_BYTES, Room, Rooms
from postroom.sources.live.request import Heard
from tests.sources.samples import AT, matrix_event
from tests.support.platforms import SECRET, Sent, signed, transaction

TEXT = {"msgtype": "m.text", "body": "hello"}


def hashed(name: str) -> bytes:
    """Of a person."""
    return name.encode()[:PERSON_BYTES].ljust(PERSON_BYTES)


def heard(*events: Any, rooms: Rooms | None = None) -> Heard:
    """What is heard of the events, with what was seen of rooms before."""
    found = matrix.events(signed("matrix", transaction(*events)).request())
    assert found is not None
    return matrix.read("matrix", found, {} if rooms is None else rooms, hashed)


def directs(*events: Any, rooms: Rooms | None = None) -> list[bool]:
    """Of each message, whether it was sent in a direct room."""
    records = heard(*events, rooms=rooms).records
    return [record.direct for record in records if isinstance(record, Activity)]


def joins(person: str, by: str = "@ann:x", **content: Any) -> dict[str, Any]:
    """Somebody joins, or is invited."""
    event = matrix_event(f"$join{person}", by, {"membership": "join", **content}, "m.room.member")
    return event | {"state_key": person}


def says(person: str, number: str = "$1") -> dict[str, Any]:
    """A message."""
    return matrix_event(number, person, TEXT)


PAIR = ("@ann:x", "@ben:x")
CREATED = matrix_event("$0", "@ann:x", {"creator": "@ann:x"}, "m.room.create") | {"state_key": ""}


def test_the_token() -> None:
    """In the header, or in the query as homeservers once did; a header that is wrong is not mended there."""
    good = signed("matrix", transaction())
    assert matrix.verified(SECRET, good.request())
    assert matrix.verified(SECRET, Sent({}, good.body).request(token=SECRET))
    assert not matrix.verified(SECRET, Sent({}, good.body).request(token="wrong"))
    assert not matrix.verified(SECRET, Sent({"Authorization": f"Basic {SECRET}"}, b"").request(token=SECRET))
    assert not matrix.verified(SECRET, signed("matrix", b"", secret="x").request(token=SECRET))
    assert not matrix.verified("", Sent({"Authorization": "Bearer "}, b"").request())


def test_what_is_a_message() -> None:
    """As in an export: redactions are deletions; edits, reactions and state are ignored, others rejected."""
    edit = {**TEXT, "m.relates_to": {"rel_type": "m.replace"}}
    events = [
        says("@ann:x"),
        matrix_event("$2", "@ann:x", edit),
        matrix_event("$3", "@ann:x", {"redacts": "$1"}, "m.room.redaction"),
        matrix_event("$4", "@ann:x", {}, "m.reaction"),
        joins("@ben:x"),
        {"type": "m.room.message"},
        matrix_event("$5", "@ann:x", TEXT) | {"origin_server_ts": 5},
        "no event",
    ]
    found = heard(*events)
    assert found.records == (
        Activity("matrix", "$1", AT, "@ann:x", "!r:x", False),
        Deletion("matrix", "$1", AT),
    )
    assert (found.ignored, found.rejected) == (3, 3)


@pytest.mark.parametrize("content", [None, 5, "x", [1], {"body": 1, "info": "x", "membership": {}}])
def test_types_of_events_that_nobody_knows(content: Any) -> None:
    """They are ignored, whatever they hold, and who sent them was seen."""
    custom = matrix_event("$c", "@cat:x", {}, "org.custom") | {"content": content, "unsigned": [content]}
    assert heard(custom) == Heard(ignored=1)
    assert heard({"type": "org.custom"}) == heard(custom | {"origin_server_ts": "x"}) == Heard(ignored=1)
    assert directs(CREATED, joins("@ben:x"), says("@ann:x"), custom, says("@ann:x", "$2")) == [True, False]


@pytest.mark.parametrize("kind", ["m.room.message", "m.room.redaction", "m.room.member", "m.room.create"])
def test_types_of_events_that_must_be_read(kind: str) -> None:
    """Where one of these is not what it must be, something is lost, and it is rejected."""
    event = matrix_event("$1", "@ann:x", TEXT, kind)
    assert heard(event | {"content": 5}) == heard(event | {"sender": None}) == Heard(rejected=1)
    assert heard(event | {"type": 5}) == Heard(rejected=1)


def test_a_room_that_was_there_before() -> None:
    """Nobody knows who is in it: it counts as a group."""
    assert directs(says("@ann:x"), says("@ben:x", "$2")) == [False, False]


def test_a_room_that_was_made_here() -> None:
    """It is direct as long as no more than two were seen in it, whoever has left since."""
    before = [CREATED, joins("@ann:x"), joins("@ben:x"), says("@ann:x"), says("@ben:x", "$2")]
    after = [joins("@cat:x"), joins("@cat:x", membership="leave"), says("@ann:x", "$3")]
    assert directs(*before, *after) == [True, True, False]


@pytest.mark.parametrize("first", [joins("@ann:x"), joins("@ann:x", membership="invite")])
def test_a_room_in_which_two_were_seen_to_join(first: Any) -> None:
    """It is direct, also where its creation was not seen, until somebody else is seen or speaks."""
    before = [first, joins("@ben:x"), says("@ann:x"), says("@ben:x", "$2")]
    assert directs(*before) == [True, True]
    for third in (says("@cat:x", "$3"), joins("@cat:x"), joins("@cat:x", membership="leave")):
        assert directs(*before, third, says("@ann:x", "$4"))[-1] is False


def test_a_room_in_which_somebody_was_before() -> None:
    """Who speaks, invites or leaves without having been seen to join was there before, maybe with others."""
    assert directs(joins("@ann:x"), says("@ann:x")) == [False]
    assert directs(joins("@ann:x"), says("@ben:x"), says("@ann:x", "$2")) == [False, False]
    assert directs(joins("@ben:x", by="@ann:x"), says("@ann:x")) == [False]
    left = joins("@ben:x", by="@ben:x", membership="leave")
    assert directs(joins("@ann:x"), left, says("@ann:x")) == [False]
    assert directs(says("@ann:x"), joins("@ann:x"), joins("@ben:x"), says("@ben:x", "$2")) == [False, True]


def test_a_new_name_is_no_joining() -> None:
    """Homeservers tell it as one, of everybody who is in the room."""
    named = [joins(name, by=name) | {"unsigned": {"prev_content": {"membership": "join"}}} for name in PAIR]
    assert directs(*named, says("@ann:x")) == [False]
    untold = [joins(name, by=name) | {"unsigned": {"replaces_state": "$0"}} for name in PAIR]
    assert directs(*untold, says("@ann:x")) == [False]
    asked = [joins(name, by=name) | {"unsigned": {"prev_content": {"membership": "invite"}}} for name in PAIR]
    assert directs(*asked, says("@ann:x")) == [True]


def test_an_invitation_to_a_direct_room() -> None:
    """What it says holds, also where the room's creation was not seen."""
    invited = joins("@ben:x", membership="invite", is_direct=True)
    assert directs(invited, says("@ann:x")) == [True]
    assert directs(joins("@ben:x", is_direct=False), says("@ann:x")) == [False]


def test_rooms_are_remembered() -> None:
    """What one transaction tells of a room holds for the next, and the first three people are enough."""
    rooms: Rooms = {}
    assert directs(CREATED, joins("@ben:x"), says("@ann:x"), rooms=rooms) == [True]
    assert rooms == {"!r:x": Room(hashed("@ann:x") + hashed("@ben:x") + b"\2", created=True)}
    assert directs(*(joins(f"@{name}:x") for name in "cdef"), says("@ann:x", "$2"), rooms=rooms) == [False]
    assert len(rooms["!r:x"].people) == 3 * PERSON_BYTES + 1


def test_rooms_that_were_remembered_without_who_joined() -> None:
    """What was kept before that was kept still holds."""
    people = hashed("@ann:x") + hashed("@ben:x")
    assert directs(says("@ann:x"), rooms={"!r:x": Room(people)}) == [False]
    assert directs(says("@ann:x"), rooms={"!r:x": Room(people, created=True)}) == [True]
    both = [joins("@ann:x"), joins("@ben:x"), says("@ann:x")]
    assert directs(*both, rooms={"!r:x": Room(people)}) == [True]


@pytest.mark.parametrize("body", [{}, [], {"events": {}}, {"events": None}])
def test_no_transaction(body: Any) -> None:
    """What has no list of events is none."""
    assert matrix.events(signed("matrix", body).request()) is None


def test_a_transaction_without_events() -> None:
    """Ephemeral events alone are nothing."""
    assert heard() == Heard()
