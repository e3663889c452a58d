"""What holds for every live connector."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.domain.activity import Activity
from postroom.domain.live_source import Kind
from postroom.sources.live import matrix
from postroom.sources.live.registry import CONNECTORS, verified
from postroom.sources.live.request import Heard, Request
from tests.sources import samples
from tests.sources.exports import activities, folder, records
from tests.support.platforms import KINDS, SECRET, Sent, events, other, signed


def heard(kind: Kind, request: Request, rooms: matrix.Rooms | None = None) -> Heard:
    """What the connector of this kind hears, under the source that is called so."""
    if kind != "matrix":
        return CONNECTORS[kind].read(kind, request)
    found = matrix.events(request)
    if found is None:
        return Heard(rejected=1)
    return matrix.read(kind, found, {} if rooms is None else rooms, lambda name: name.encode()[:8].ljust(8))


def same_message(sent: Activity) -> tuple[Any, ...]:
    """What an export and a live source tell alike of a message."""
    return (
        sent.source,
        sent.message_id,
        sent.person,
        sent.space,
        sent.direct,
        sent.client,
        sent.system,
        sent.files,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_is_the_same_as_in_an_export(kind: Kind, tmp_path: Path) -> None:
    """Of the messages that a live source tells of, an export tells with the same ids."""
    exported = activities(records(kind, folder(tmp_path, getattr(samples, kind)())))
    live = [
        record
        for event in events(kind)
        for record in heard(kind, signed(kind, event).request()).records
        if isinstance(record, Activity)
    ]
    by_id = {sent.message_id: same_message(sent) for sent in exported}
    assert len(live) >= 2
    assert [same_message(sent) for sent in live] == [by_id[sent.message_id] for sent in live]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_message_is_ignored(kind: Kind) -> None:
    """Edits, reactions, and types that nobody knows."""
    assert [heard(kind, signed(kind, event).request()) for event in other(kind)] == [
        Heard(ignored=1) for _ in other(kind)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_platform_sends_is_known_as_its(kind: Kind) -> None:
    """With the right secret; nobody knows an empty one, and a wrong one is not right."""
    for event in events(kind):
        assert verified(kind, SECRET, signed(kind, event).request())
        assert not verified(kind, SECRET, signed(kind, event, secret="wrong").request())
        assert not verified(kind, SECRET + "x", signed(kind, event).request())
        assert not verified(kind, "", signed(kind, event, secret="").request())


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_signature(kind: Kind) -> None:
    """Neither a header nor a token: it is nobody's."""
    bare = Sent({}, b'{"type": "event_callback"}').request()
    assert not verified(kind, SECRET, bare)
    assert not verified(kind, "", bare)


@pytest.mark.parametrize("kind", ["slack", "webex"])
def test_what_was_changed_on_the_way(kind: Kind) -> None:
    """A signature is of the bytes as they came, spaces and all."""
    sent = signed(kind, events(kind)[0])
    for body in (sent.body + b" ", sent.body.replace(b"hello", b"hallo"), sent.body[:-1]):
        changed = Sent(sent.headers, body)
        assert verified(kind, SECRET, changed.request()) == (body == sent.body)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"token": 5}']
)
def test_what_is_no_event(kind: Kind, body: bytes) -> None:
    """It is rejected, or ignored, and nothing is kept of it."""
    found = heard(kind, signed(kind, body).request())
    assert found.records == ()
    assert found.ignored + found.rejected == 1
    verified(kind, SECRET, signed(kind, body).request())


@pytest.mark.parametrize("kind", KINDS)
@given(
    seed=st.integers(0, 2**32), junk=st.sampled_from([None, 5, "x", [], {}, [{}], True, -1, 1e300, "\ud800"])
)
def test_events_with_something_else_in_a_place(kind: Kind, seed: int, junk: Any) -> None:
    """Whatever stands where something else belongs: an event is kept, ignored or rejected."""
    chance = random.Random(seed)
    event = changed(chance.choice(events(kind)), junk, chance)
    found = heard(kind, signed(kind, event).request())
    told = len(found.records) + found.ignored + found.rejected
    assert told >= 1 or (kind == "matrix" and not event["events"])


def changed(value: Any, junk: Any, chance: random.Random) -> Any:
    """The value with junk in one place of it."""
    if not isinstance(value, (dict, list)) or not value or chance.random() < 0.1:
        return junk
    key = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
    copy = value.copy()
    copy[key] = changed(value[key], junk, chance)
    return copy
