"""What platforms send is kept once, counted where it is kept, and taken from nobody else."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from postroom.domain.activity import Activity, Deletion
from postroom.domain.errors import NotAuthenticated, NotFound, Unavailable
from postroom.domain.live_source import Counts, Kind, LiveSource
from postroom.service import hearing
from postroom.service.hub import Hub
from tests.sources import samples
from tests.sources.exports import folder, records
from tests.support.clock import NOON, MovingClock
from tests.support.home import Home
from tests.support.hub import opened, unique
from tests.support.platforms import (
    KINDS,
    SECRET,
    events,
    matrix_events,
    signed,
    slack_event,
    transaction,
)

pytestmark = pytest.mark.anyio
TS = "1700000000.000100"


async def connected(hub: Hub, kind: Kind) -> LiveSource:
    """A live source of this kind, of a new organization."""
    org_id = (await hub.organizations.create(unique("org"))).id
    return await hub.live_sources.create(org_id, kind, secret=SECRET)


async def tell(
    hub: Hub, source: LiveSource, event: Any, secret: str = SECRET, name: str | None = None
) -> None:
    """The platform tells of an event, in a transaction of this name where it is Matrix."""
    request = signed(source.kind, event, NOON, secret).request(NOON)
    if source.kind == "matrix":
        await hub.hearing.hear_transaction(source.id, name or unique("transaction"), request)
    else:
        await hub.hearing.hear(source.id, request)


async def counts(hub: Hub, source: LiveSource) -> Counts:
    """What became of the source's events."""
    return (await hub.live_sources.counts(source.org_id)).get(source.id, Counts())


@pytest.mark.parametrize("kind", KINDS)
async def test_an_export_and_events_of_the_same_messages(home: Home, tmp_path: Path, kind: Kind) -> None:
    """Are counted once, whichever comes first; what comes again is a duplicate."""
    exported = [
        record
        for record in records(kind, folder(tmp_path, getattr(samples, kind)()))
        if isinstance(record, (Activity, Deletion))
    ]
    async with opened(home, MovingClock()) as hub:
        source = await connected(hub, kind)
        for event in events(kind):
            await tell(hub, source, event)
        told = (await counts(hub, source)).accepted
        assert told >= 2
        taken = await hub.intake.take(source.org_id, exported)
        assert (taken.accepted, taken.duplicates) == (len(exported) - told, told)
        for event in events(kind):
            await tell(hub, source, event)
        after = await counts(hub, source)
        assert (after.accepted, after.duplicates, after.rejected) == (told, told, 0)
        assert home.rows("SELECT count(*) FROM activities") == [(len(exported),)]


@pytest.mark.parametrize("kind", KINDS)
async def test_nobody_else_is_heard(home: Home, kind: Kind) -> None:
    """With a wrong secret, or while there is none: nothing is stored, not even that somebody tried."""
    async with opened(home, MovingClock()) as hub:
        source = await connected(hub, kind)
        waiting = await hub.live_sources.create(source.org_id, "slack")
        with pytest.raises(NotAuthenticated):
            await tell(hub, source, events(kind)[0], secret="wrong")
        with pytest.raises(NotAuthenticated):
            await tell(hub, waiting, slack_event(TS), secret="")
        assert await hub.live_sources.counts(source.org_id) == {}
        assert home.rows("SELECT count(*) FROM activities") == [(0,)]


async def test_a_door_for_each(home: Home) -> None:
    """An unknown id is nowhere; a homeserver's transactions come in where no other platform does."""
    async with opened(home, MovingClock()) as hub:
        matrix, slack = await connected(hub, "matrix"), await connected(hub, "slack")
        event = signed("slack", slack_event(TS), NOON).request(NOON)
        for wrong in (matrix.id, "0" * 21):
            with pytest.raises(NotFound):
                await hub.hearing.hear(wrong, event)
        with pytest.raises(NotFound):
            await hub.hearing.hear_transaction(slack.id, "1", event)


async def test_what_is_kept_of_events(home: Home) -> None:
    """Kept, ignored and rejected ones are counted; a challenge is none of them."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        source = await connected(hub, "slack")
        await tell(hub, source, {"type": "url_verification", "challenge": "c"})
        assert await counts(hub, source) == Counts()
        await tell(hub, source, slack_event(TS))
        await tell(hub, source, slack_event(TS))
        await tell(hub, source, slack_event(TS, subtype="message_changed"))
        await tell(hub, source, b"no json")
        assert await counts(hub, source) == Counts(1, 1, 1, 1, NOON)


async def test_a_deletion_with_its_message(home: Home) -> None:
    """Tells of the message where that was not heard; where it was, it is no duplicate of it."""
    async with opened(home, MovingClock()) as hub:
        source = await connected(hub, "slack")
        await tell(hub, source, slack_event(TS))
        for ts in (TS, "1700000001.000200"):
            before = {"type": "message", "user": "U1", "ts": ts}
            deletion: Any = {"subtype": "message_deleted", "deleted_ts": ts, "previous_message": before}
            await tell(hub, source, slack_event("1700000009.000000", **deletion))
        assert await counts(hub, source) == Counts(3, 0, 0, 0, NOON)
        found = await hub.folding.days(source.org_id, 0, hub.folding.yesterday)
        assert (sum(cell.counts.messages for cell in found.cells), found.duplicates) == (2, {})


async def test_a_source_that_is_off(home: Home) -> None:
    """Its platform is not turned away, lest it stop for good, and nothing is kept."""
    async with opened(home, MovingClock()) as hub:
        for kind in ("slack", "matrix"):
            source = await connected(hub, kind)
            await hub.live_sources.update(source.org_id, source.id, status="disabled")
            for event in events(source.kind)[:1]:
                await tell(hub, source, event)
            assert (await counts(hub, source)).accepted == 0
            assert (await counts(hub, source)).ignored >= 1
        assert home.rows("SELECT count(*) FROM activities") == [(0,)]


async def test_many_at_once(home: Home) -> None:
    """Several processes hear events of one source at once, the same ones too: each is counted."""
    async with opened(home, MovingClock()) as one, opened(home, MovingClock()) as other:
        source = await connected(one, "slack")
        told = [slack_event(f"17000000{number % 30:02}.000100") for number in range(60)]
        hubs = (one, other)
        await asyncio.gather(*(tell(hubs[n % 2], source, event) for n, event in enumerate(told)))
        assert await counts(one, source) == Counts(30, 30, 0, 0, NOON)


async def test_a_transaction_sent_again(home: Home) -> None:
    """It is not counted once more; the same name with other events is another transaction."""
    async with opened(home, MovingClock()) as hub:
        source = await connected(hub, "matrix")
        one, two = transaction(*matrix_events()[:1]), transaction(*matrix_events()[1:2])
        for event in (one, one, two):
            await tell(hub, source, event, name="1")
        assert await counts(hub, source) == Counts(2, 0, 0, 0, NOON)
        await tell(hub, source, one, name="2")
        assert await counts(hub, source) == Counts(2, 1, 0, 0, NOON)


async def test_only_some_transactions_are_remembered(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those before, events come again as duplicates."""
    monkeypatch.setattr(hearing, "MOST_TRANSACTIONS", 1)
    async with opened(home, MovingClock()) as hub:
        source = await connected(hub, "matrix")
        for name, event in zip("121", (0, 1, 0), strict=True):
            await tell(hub, source, transaction(matrix_events()[event]), name=name)
        assert await counts(hub, source) == Counts(2, 1, 0, 0, NOON)


async def test_rooms_outlive_the_process(home: Home) -> None:
    """A room that was made here stays known, and its people as hashes only."""
    created = samples.matrix_event("$0", "@ann:x", {}, "m.room.create") | {"state_key": ""}
    texts = [samples.matrix_event(f"${n}", f"@{n}:x", {"msgtype": "m.text"}) for n in range(1, 4)]
    async with opened(home, MovingClock()) as hub:
        source = await connected(hub, "matrix")
        await tell(hub, source, transaction(created))
    async with opened(home, MovingClock()) as hub:
        for text in texts:
            await tell(hub, source, transaction(text))
        spaces = [traits >> 2 & 1 for (traits,) in home.rows("SELECT traits FROM activities")]
        assert sorted(spaces) == [0, 0, 1]
    for name in (b"ann:x", b"@1:x", b"!r:x"):
        assert name not in home.stored()
        assert name.hex().encode() not in home.stored()


async def test_who_joined_outlives_the_process(home: Home) -> None:
    """Two who were seen to join a room, whenever that was, are alone in it until a third is seen."""
    join = {"membership": "join"}
    joins = [
        samples.matrix_event(f"$j{name}", name, join, "m.room.member") | {"state_key": name}
        for name in ("@1:x", "@2:x")
    ]
    texts = [samples.matrix_event(f"${n}", f"@{n}:x", {"msgtype": "m.text"}) for n in range(1, 4)]
    async with opened(home, MovingClock()) as hub:
        source = await connected(hub, "matrix")
    for event in (*joins, *texts):
        async with opened(home, MovingClock()) as hub:
            await tell(hub, source, transaction(event))
    spaces = [traits >> 2 & 1 for (traits,) in home.rows("SELECT traits FROM activities")]
    assert sorted(spaces) == [0, 1, 1]


async def test_nothing_is_acknowledged_that_is_not_kept(home: Home, impatient: None) -> None:
    """While the database takes nothing, the platform is told so; what it sends again counts once."""
    async with opened(home, MovingClock()) as hub:
        source = await connected(hub, "slack")
        await tell(hub, source, slack_event(TS))
        with home.beside() as beside:
            beside.execute("BEGIN IMMEDIATE" if home.kind == "sqlite" else "BEGIN")
            if home.kind == "postgresql":
                beside.execute("LOCK TABLE live_counts, activities")
            with pytest.raises(Unavailable):
                await tell(hub, source, slack_event("1700000001.000100"))
        await tell(hub, source, slack_event("1700000001.000100"))
        assert await counts(hub, source) == Counts(2, 0, 0, 0, NOON)


async def test_what_is_stored_names_nobody(home: Home) -> None:
    """Neither people nor spaces nor texts of what was told are in the database."""
    async with opened(home, MovingClock()) as hub:
        for kind in KINDS:
            source = await connected(hub, kind)
            for event in events(kind):
                await tell(hub, source, event)
    for word in (b"town-square", b"ann@example.com", b"GENERAL", b"hello", b"1700000000.000100"):
        assert word not in home.stored()
