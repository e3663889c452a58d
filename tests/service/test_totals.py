"""What each past day looked like, what the days come to together, and what is behind each number."""

from functools import partial
from itertools import product
from random import Random
from typing import Any

import pytest

from postroom.domain.activity import Activity, Client, Deletion
from postroom.domain.clock import DAY, HOUR
from postroom.domain.day import Span, day_of
from postroom.domain.errors import Invalid
from postroom.domain.metrics import METRICS
from postroom.domain.totals import Sender
from postroom.service.hub import Hub
from postroom.service.totals import Asked, Peak
from postroom.store import days, imports
from postroom.store.database import Transaction
from postroom.store.imports import Begun
from tests.support.clock import NOON, MovingClock
from tests.support.home import Home
from tests.support.hub import opened, unique
from tests.support.recount import Recount

pytestmark = pytest.mark.anyio

TODAY = day_of(NOON)
WEEK = Span(TODAY - 7, TODAY - 1)
SOURCES = "slack", "zulip", "webex"
EVERY_WAY = [
    Asked(bots, deleted, source)
    for bots, deleted, source in product([False, True], [False, True], [None, *SOURCES])
]


def sent(number: int, at: int = NOON - DAY, person: str = "ada", **more: Any) -> Activity:
    """A message of somebody's in a space of two people's own, unless told otherwise."""
    given: dict[str, Any] = {"source": "slack", "space": "room", "direct": False}
    return Activity(message_id=f"m{number}", at=at, person=person, **(given | more))


def records(chance: Random) -> list[Activity | Deletion]:
    """A week of all sorts, some of it twice, some deleted later or before it came, some of today."""
    made: list[Activity | Deletion] = [
        sent(
            number,
            NOON - chance.randrange(8 * DAY),
            chance.choice(["", "ada", "ben", "cem", "dan"]),
            source=chance.choice(SOURCES),
            space=chance.choice(["a", "b", "c"]),
            direct=chance.random() < 0.3,
            client=chance.choice(list(Client)),
            files=chance.randrange(3),
            file_bytes=chance.randrange(1 << 40),
            video=chance.random() < 0.2,
            by_bot=chance.random() < 0.2,
            system=chance.random() < 0.1,
        )
        for number in range(300)
    ]
    deletions = [Deletion(chance.choice(SOURCES), f"m{chance.randrange(300)}") for _ in range(150)]
    again = chance.sample(made, 40)
    chance.shuffle(everything := [*made, *deletions, *again])
    return everything


async def begin(hub: Hub) -> str:
    """A new organization's id."""
    return (await hub.organizations.create(unique("organization"), "UTC")).id


def counted(recount: Recount, span: Span, asked: Asked) -> list[Activity]:
    """The messages that are to be counted, found one by one."""
    return [
        each
        for (_, source, part), some in recount.parts(span.first, span.last).items()
        if asked.source in {None, source}
        and part.sender is not Sender.PLATFORM
        and (asked.bots or part.sender is Sender.PERSON)
        and (asked.deleted or not part.deleted)
        for each in some
    ]


def people(messages: list[Activity]) -> int:
    return len({(each.source, each.person) for each in messages if each.person})


def spaces(messages: list[Activity]) -> int:
    return len({(each.source, each.space) for each in messages})


async def test_every_question_is_answered_as_by_a_naive_count(home: Home) -> None:
    """Daily totals, the summary and the explanation, for every choice, after a random week."""
    chance = Random(7)
    async with opened(home, MovingClock()) as hub:
        org_id, recount = await begin(hub), Recount()
        everything = records(chance)
        for start in range(0, len(everything), 100):
            recount.take(everything[start : start + 100])
            await hub.intake.take(org_id, everything[start : start + 100])
        for asked in EVERY_WAY:
            await check_daily(hub, org_id, recount, asked)
            await check_summary(hub, org_id, recount, asked)
            await check_explanations(hub, org_id, recount, asked)


async def check_daily(hub: Hub, org_id: str, recount: Recount, asked: Asked) -> None:
    """Each day, counted alone."""
    daily = await hub.totals.daily(org_id, WEEK, asked)
    for day, found in zip(WEEK, daily.figures, strict=True):
        some = counted(recount, Span(day, day), asked)
        assert (found.counts.messages, found.people, found.spaces) == (len(some), people(some), spaces(some))
        assert found.counts.mobile == sum(each.client is Client.MOBILE for each in some)
        assert found.counts.file_bytes == sum(each.file_bytes for each in some)
        assert found.counts.video == sum(each.video for each in some)
        assert found.directs == spaces([each for each in some if each.direct])
        assert found.groups == spaces([each for each in some if not each.direct])


async def check_summary(hub: Hub, org_id: str, recount: Recount, asked: Asked) -> None:
    """The whole week, people and spaces once; the peaks are of the first of the best days."""
    summary = await hub.totals.summary(org_id, WEEK, asked)
    some = counted(recount, WEEK, asked)
    assert summary.figures.counts.messages == len(some)
    assert (summary.figures.people, summary.figures.spaces) == (people(some), spaces(some))
    by_day = {day: counted(recount, Span(day, day), asked) for day in WEEK}
    active = [people(each) for each in by_day.values()]
    assert summary.people_a_day == sum(active) / 7
    assert summary.stickiness == sum(active) / 7 / people(some)
    best = max(len(each) for each in by_day.values())
    first = next(day for day, each in by_day.items() if len(each) == best)
    assert summary.messages_peak == Peak(first, best)
    assert summary.people_peak == Peak(WEEK.first + active.index(max(active)), max(active))


async def check_explanations(hub: Hub, org_id: str, recount: Recount, asked: Asked) -> None:
    """The number, and together with all that was left out of it, everything that there is."""
    day = WEEK.last
    everything = [each for some in recount.parts(day, day).values() for each in some]
    for source in SOURCES:
        own = [each for each in everything if each.source == source]
        wanted = asked.source in {None, source}
        for metric, total in (("totalMessagesSent", len(own)), ("dailyActiveUsers", people(own))):
            found = await hub.totals.explain(org_id, day, metric, asked)
            behind = [each for each in found.sources if each.source == source]
            assert len(behind) == wanted
            for each in behind:
                assert each.value + sum(each.left_out) == total
                assert each.duplicates == recount.duplicates[day, source]
    daily = await hub.totals.daily(org_id, Span(day, day), asked)
    for metric, reads in METRICS.items():
        assert (await hub.totals.explain(org_id, day, metric, asked)).value == reads(daily.figures[0])


async def test_days_without_anything_are_zero(home: Home) -> None:
    """Also for an organization that nothing was ever taken in for; there is no peak then."""
    async with opened(home, MovingClock()) as hub:
        org_id = await begin(hub)
        daily = await hub.totals.daily(org_id, WEEK, Asked())
        assert [day.counts.messages for day in daily.figures] == [0] * 7
        assert daily.complete == [False] * 7
        summary = await hub.totals.summary(org_id, WEEK, Asked())
        assert (summary.figures.people, summary.people_a_day, summary.stickiness) == (0, 0, 0)
        assert (summary.messages_peak, summary.people_peak) == (None, None)
        assert (await hub.totals.explain(org_id, WEEK.last, "video", Asked())).sources == []


async def test_an_unknown_source_is_told_the_known_ones(home: Home) -> None:
    """In order; another organization's are none of them."""
    async with opened(home, MovingClock()) as hub:
        org_id, other = await begin(hub), await begin(hub)
        with pytest.raises(Invalid, match="no activity has come"):
            await hub.totals.daily(org_id, WEEK, Asked(source="slack"))
        await hub.intake.take(org_id, [sent(1, source="zulip"), sent(2, source="slack")])
        await hub.intake.take(other, [sent(1, source="webex")])
        with pytest.raises(Invalid, match=r"'webex'; there are slack, zulip$"):
            await hub.totals.summary(org_id, WEEK, Asked(source="webex"))


async def test_of_many_sources_some_are_told(home: Home) -> None:
    """A complaint stays short."""
    async with opened(home, MovingClock()) as hub:
        org_id = await begin(hub)
        await hub.intake.take(org_id, [sent(1, source=f"source {number:02}") for number in range(23)])
        with pytest.raises(Invalid, match=r"source 00, .*, source 19 and 3 more$"):
            await hub.totals.explain(org_id, WEEK.last, "video", Asked(source="nowhere"))


async def test_an_unknown_metric_is_told_the_known_ones(home: Home) -> None:
    """All of them."""
    async with opened(home, MovingClock()) as hub:
        with pytest.raises(Invalid) as refused:
            await hub.totals.explain(await begin(hub), WEEK.last, "messages", Asked())
    assert refused.value.field == "metric"
    assert all(name in refused.value.detail for name in METRICS)


async def test_the_stamp_changes_with_what_can_be_answered(home: Home) -> None:
    """With facts of past days, from wherever they come; today's change nothing."""
    clock = MovingClock()
    async with opened(home, clock) as hub, opened(home, clock) as other:
        org_id, stranger = await begin(hub), await begin(hub)
        await hub.intake.take(org_id, [sent(0)])
        stamps = [(await hub.totals.daily(org_id, WEEK, Asked())).stamp]
        assert await hub.totals.stamp(org_id) == stamps[0]
        await other.intake.take(org_id, [sent(1, NOON), sent(2, NOON - HOUR)])
        await other.intake.take(stranger, [sent(1)])
        assert await hub.totals.stamp(org_id) == stamps[0]
        for taken in ([sent(3)], [Deletion("slack", "m3")], [sent(4, NOON - 400 * DAY)], [sent(3)]):
            await other.intake.take(org_id, taken)
            stamps.append(await hub.totals.stamp(org_id))
            assert stamps[-1] not in stamps[:-1]
        clock.pass_(days=1)
        assert (await hub.totals.daily(org_id, Span(TODAY, TODAY), Asked())).figures[0].counts.messages == 2


async def test_a_day_is_complete_where_its_source_was_told_of(home: Home) -> None:
    """Activity makes a day known where nothing else is on record; a live source, whole days."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        org_id = await begin(hub)
        await hub.intake.take(org_id, [sent(1, NOON - 3 * DAY)])
        daily = await hub.totals.daily(org_id, WEEK, Asked())
        assert daily.complete == [day == TODAY - 3 for day in WEEK]
        await hub.live_sources.create(org_id, "slack")
        assert await hub.totals.stamp(org_id) != daily.stamp
        assert (await hub.totals.daily(org_id, WEEK, Asked())).complete == [False] * 7
        clock.pass_(days=3)
        after = Span(TODAY - 1, TODAY + 2)
        assert (await hub.totals.daily(org_id, after, Asked())).complete == [False, False, True, True]
        assert not (await hub.totals.summary(org_id, after, Asked())).complete
        assert (await hub.totals.explain(org_id, TODAY + 1, "video", Asked())).complete


async def test_a_live_source_that_gets_the_name_of_another(home: Home) -> None:
    """Answers that were kept are no longer right: what that one told is no longer whole."""
    async with opened(home, MovingClock()) as hub:
        org_id = await begin(hub)
        await hub.intake.take(org_id, [sent(1, NOON - 3 * DAY)])
        made = await hub.live_sources.create(org_id, "webex")
        before = await hub.totals.daily(org_id, WEEK, Asked())
        await hub.live_sources.update(org_id, made.id, secret="another")
        assert await hub.totals.stamp(org_id) == before.stamp
        await hub.live_sources.update(org_id, made.id, name="slack")
        assert await hub.totals.stamp(org_id) != before.stamp
        assert any(before.complete)
        assert not any((await hub.totals.daily(org_id, WEEK, Asked())).complete)


async def test_a_source_that_is_known_may_have_brought_nothing(home: Home) -> None:
    """Its zeros are complete from the first whole day on."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        org_id = await begin(hub)
        await hub.live_sources.create(org_id, "webex")
        clock.pass_(days=2)
        span = Span(TODAY, TODAY + 1)
        daily = await hub.totals.daily(org_id, span, Asked(source="webex"))
        assert daily.complete == [False, True]
        assert [day.counts.messages for day in daily.figures] == [0, 0]


async def test_an_import_tells_of_its_days_when_it_is_finished(home: Home) -> None:
    """While it is not, any day may get more; then it tells from its first message's day to its last one's."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        org_id = await begin(hub)
        begun = Begun(org_id, "import", "runner")
        await hub.intake.take(org_id, [sent(1, NOON - 6 * DAY), sent(2, NOON - 4 * DAY)])

        async def begins(tx: Transaction) -> None:
            await imports.insert(tx, begun, ("slack", "slack", "export"), clock(), "{}")
            await days.note_change(tx, org_id)

        async def finishes(tx: Transaction) -> None:
            await imports.finish(tx, org_id, "export", clock(), (TODAY - 6, TODAY - 4))
            await days.note_change(tx, org_id)

        before = await hub.totals.daily(org_id, WEEK, Asked())
        assert before.complete == [day in {TODAY - 6, TODAY - 4} for day in WEEK]
        await hub.database.transaction(begins)
        under_way = await hub.totals.daily(org_id, WEEK, Asked())
        assert under_way.complete == [False] * 7
        await hub.database.transaction(finishes)
        after = await hub.totals.daily(org_id, WEEK, Asked(source="slack"))
        assert after.complete == [day in {TODAY - 6, TODAY - 5, TODAY - 4} for day in WEEK]
        assert len({before.stamp, under_way.stamp, after.stamp}) == 3


async def test_an_import_that_was_given_up(home: Home) -> None:
    """It leaves days open until a later one into the same source is through."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        org_id = await begin(hub)
        names = ("given-up", "later")

        async def begins(tx: Transaction, name: str) -> None:
            told = ("slack", "slack", name)
            await imports.insert(tx, Begun(org_id, name, "runner"), told, clock(), "{}")

        for name in names:
            await hub.database.transaction(partial(begins, name=name))
            clock.pass_(minutes=1)
        assert (await hub.totals.daily(org_id, WEEK, Asked())).complete == [False] * 7

        async def finishes(tx: Transaction) -> None:
            await imports.finish(tx, org_id, "later", clock(), (TODAY - 6, TODAY - 4))

        await hub.database.transaction(finishes)
        after = await hub.totals.daily(org_id, WEEK, Asked())
        assert after.complete == [day in {TODAY - 6, TODAY - 5, TODAY - 4} for day in WEEK]


async def test_an_export_of_a_day_that_was_not_over_tells_no_more_of_it(home: Home) -> None:
    """Its last message came before the import began, and others may have come after."""
    clock = MovingClock()
    async with opened(home, clock) as hub:
        org_id = await begin(hub)

        async def body(tx: Transaction) -> None:
            await imports.insert(tx, Begun(org_id, "i", "r"), ("slack", "slack", "export"), clock(), "{}")
            await imports.finish(tx, org_id, "export", clock(), (TODAY - 1, TODAY))

        await hub.database.transaction(body)
        clock.pass_(days=1)
        daily = await hub.totals.daily(org_id, Span(TODAY - 1, TODAY), Asked())
        assert daily.complete == [True, False]
