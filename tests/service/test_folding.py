"""Totals of days are what their facts give, whatever was done in whatever order."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final, NamedTuple, TypeVar, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postroom.domain.activity import Activity, Client, Deletion
from postroom.domain.clock import DAY, HOUR
from postroom.domain.errors import Invalid, NotFound
from postroom.domain.facts import Taken
from postroom.service import numbering
from postroom.service.folding import FOLDED_TOGETHER, Folding
from postroom.service.hub import Hub
from postroom.service.numbering import MOST_SOURCES
from postroom.store.database import Database, Transaction
from tests.support.clock import NOON, MovingClock
from tests.support.home import Home
from tests.support.hub import opened, rows, unique
from tests.support.recount import Recount, cells_of, people_of

pytestmark = pytest.mark.anyio

PROCESSES: Final = 2
T = TypeVar("T")


class Step(NamedTuple):
    """Something that a process does: take the records, fold, end and begin again, or wait for some ms."""

    what: str
    process: int
    records: list[Activity | Deletion]
    wait: int


_flags = st.booleans()
_ids = st.sampled_from([f"m-{number}" for number in range(12)])
_sources = st.sampled_from(["a", "b"])
_times = st.integers(NOON - 4 * DAY, NOON + 2 * DAY)
activities = st.builds(
    Activity,
    source=_sources,
    message_id=_ids,
    at=_times,
    person=st.sampled_from(["", "p1", "p2", "p3"]),
    space=st.sampled_from(["s1", "s2"]),
    direct=_flags,
    client=st.sampled_from(Client),
    files=st.integers(0, 3),
    file_bytes=st.integers(0, 1 << 40),
    files_of_unknown_size=st.integers(0, 3),
    video=_flags,
    audio=_flags,
    recording=_flags,
    by_bot=_flags,
    system=_flags,
)
deletions = st.builds(Deletion, source=_sources, message_id=_ids, at=st.none() | _times)
retold = st.builds(
    lambda sent, at: Deletion(sent.source, sent.message_id, at, sent), activities, st.none() | _times
)
steps = st.builds(
    Step,
    st.sampled_from(["take", "take", "take", "fold", "read", "restart", "wait"]),
    st.integers(0, PROCESSES - 1),
    st.lists(activities | deletions | retold, max_size=8),
    st.integers(0, 30 * HOUR),
)


class World:
    """Processes at work on one database, and the plain count of what they took in."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.clock = MovingClock(NOON)
        self.recount = Recount()
        self.org_id = ""
        self._stacks = [AsyncExitStack() for _ in range(PROCESSES)]
        self._hubs: list[Hub] = []

    async def __aenter__(self) -> "World":
        for stack in self._stacks:
            self._hubs.append(await stack.enter_async_context(opened(self.home, self.clock)))
        self.org_id = (await self._hubs[0].organizations.create(unique("organization"))).id
        return self

    async def __aexit__(self, *_: object) -> None:
        for stack in self._stacks:
            await stack.aclose()

    def hub(self, process: int) -> Hub:
        """The services of a process."""
        return self._hubs[process]

    async def take(self, process: int, records: list[Activity | Deletion]) -> None:
        """Let a process take the records in; it answers what is new."""
        taken = await self._hubs[process].intake.take(self.org_id, records)
        assert (taken.accepted, taken.duplicates) == self.recount.take(records)

    async def take_and_fold(self, process: int, records: list[Activity | Deletion]) -> Taken:
        """Let a process take the records in, which are not counted here, and fold."""
        hub = self._hubs[process]
        taken = await hub.intake.take(self.org_id, records)
        await hub.folding.fold_closed()
        return taken

    async def do(self, step: Step) -> None:
        """One step."""
        hub = self._hubs[step.process]
        if step.what == "take":
            await self.take(step.process, step.records)
        elif step.what == "fold":
            await hub.folding.fold_closed()
        elif step.what == "read":
            await self.check(step.process)
        elif step.what == "wait":
            self.clock.now += step.wait
        else:
            await self._stacks[step.process].aclose()
            self._hubs[step.process] = await self._stacks[step.process].enter_async_context(
                opened(self.home, self.clock)
            )

    async def check(self, process: int) -> None:
        """What a process answers about all days that are over is what counting gives."""
        folding = self._hubs[process].folding
        found = await folding.days(self.org_id, 0, folding.yesterday)
        assert cells_of(found) == self.recount.cells(0, folding.yesterday)
        assert people_of(found) == self.recount.people(0, folding.yesterday)
        told = {(day, found.sources[source]): count for (day, source), count in found.duplicates.items()}
        duplicates = self.recount.duplicates.items()
        assert told == {key: count for key, count in duplicates if key[0] <= folding.yesterday}
        assert found.stamp == await folding.stamp(self.org_id, folding.yesterday)


@given(st.lists(steps, min_size=3, max_size=25))
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
async def test_any_interleaving(home: Home, story: list[Step]) -> None:
    """Intake, duplicates, deletions before and after, folds, restarts, days that end: a recount agrees."""
    home.clear()
    async with World(home) as world:
        for step in story:
            await world.do(step)
        for process in range(PROCESSES):
            await world.check(process)


def _told(source: str, message_id: str, deleted: bool) -> Activity | Deletion:
    """The same of a message, whoever tells it."""
    if deleted:
        return Deletion(source, message_id)
    number = int(message_id[2:])
    return Activity(
        source, message_id, NOON - (1 + number % 3) * DAY, f"p{number % 4}", f"s{number % 2}", number % 2 == 0
    )


told = st.builds(_told, _sources, _ids, _flags)


@given(st.lists(st.lists(told, max_size=12), min_size=4, max_size=8))
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
async def test_all_at_once(home: Home, batches: list[list[Activity | Deletion]]) -> None:
    """Several processes that take in and fold at the same time lose nothing, and add nothing twice."""
    home.clear()
    async with World(home) as world:
        work = [world.take_and_fold(number % PROCESSES, batch) for number, batch in enumerate(batches)]
        taken = await asyncio.gather(*work)
        new, known = zip(*map(world.recount.take, batches), strict=True)
        assert (sum(each.accepted for each in taken), sum(each.duplicates for each in taken)) == (
            sum(new),
            sum(known),
        )
        for process in range(PROCESSES):
            await world.check(process)


class Between:
    """A database on which something else happens between a read and the next transaction."""

    def __init__(self, database: Database, happens: Callable[[], Awaitable[None]]) -> None:
        self._database = database
        self._happens = happens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def transaction(self, body: Callable[[Transaction], Awaitable[T]]) -> T:
        """Only then begin."""
        await self._happens()
        return await self._database.transaction(body)


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_day_that_changes_while_it_is_folded(home: Home, deleted: bool) -> None:
    """What comes between reading a day's facts and writing its totals leaves the day dirty."""
    async with World(home) as world:
        await world.take(0, [_told("a", "m-0", False)])
        between = cast(
            Database,
            Between(
                world.hub(0).database, lambda: world.take(0, [_told("a", f"m-{3 * (not deleted)}", deleted)])
            ),
        )
        await Folding(between, world.clock).fold_closed()
        await world.check(0)


async def test_who_may_not_fold_any_more_stops(home: Home) -> None:
    """After the days that are folded together, or the organization; the rest is for whoever may next."""
    async with World(home) as world:
        hub = world.hub(0)
        other = (await hub.organizations.create(unique("organization"))).id
        told = [
            Activity("a", f"m-{day}", NOON - day * DAY, "p1", "s1", False)
            for day in range(1, 2 * FOLDED_TOGETHER + 1)
        ]
        for org_id in (world.org_id, other):
            await hub.intake.take(org_id, told)
        for folded in range(4):
            left = (4 - folded) * FOLDED_TOGETHER
            assert dirty_days(home) == left
            await hub.folding.fold_closed(lambda left=left: dirty_days(home) == left)  # type: ignore[misc]
        assert dirty_days(home) == 0


def dirty_days(home: Home) -> int:
    """How many are to be folded, of all organizations."""
    ((count,),) = rows(home, "SELECT count(*) FROM (SELECT DISTINCT org_id, day FROM dirty_days) AS days")
    return int(count)


async def test_two_fold_the_same_day(home: Home) -> None:
    """Who has read the facts first, and writes last, does not overwrite what the other has seen since."""
    async with World(home) as world:

        async def overtake() -> None:
            await world.take(1, [_told("a", "m-3", False)])
            await world.hub(1).folding.fold_closed()

        await world.take(0, [_told("a", "m-0", False)])
        between = cast(Database, Between(world.hub(0).database, overtake))
        await Folding(between, world.clock).fold_closed()
        await world.check(0)
        await world.check(1)


async def test_a_deletion_that_is_not_visible_yet(home: Home) -> None:
    """A deletion and its activity in two transactions at once: the day hears of both."""
    async with World(home) as world:
        for number in range(0, 12):
            both = [[_told("a", f"m-{number}", deleted)] for deleted in (False, True)]
            work = [world.take_and_fold(process, records) for process, records in enumerate(both)]
            await asyncio.gather(*work)
            for records in both:
                world.recount.take(records)
            await world.check(0)


async def test_nothing_of_a_name_is_kept(home: Home) -> None:
    """People, spaces and messages are numbers and keyed hashes, others in each organization."""
    async with World(home) as world:
        hub = world.hub(0)
        other = await hub.organizations.create(unique("organization"))
        record = Activity("a", "message-of-theirs", NOON - DAY, "ada@example.org", "room-of-theirs", False)
        await hub.intake.take(world.org_id, [record])
        await hub.intake.take(other.id, [record])
    for name in ("message-of-theirs", "ada@example.org", "room-of-theirs"):
        assert name.encode() not in home.stored()
        assert name.encode().hex().encode() not in home.stored()
    for table in ("activities", "people", "spaces"):
        ids = [bytes(found) for (found,) in home.rows(f"SELECT id FROM {table}")]
        assert len(set(ids)) == len(ids) == 2


async def test_unknown_organizations(home: Home) -> None:
    """What belongs to nobody is refused."""
    async with World(home) as world:
        with pytest.raises(NotFound):
            await world.hub(0).intake.take("nobody", [_told("a", "m-0", False)])


async def test_too_many_sources(home: Home) -> None:
    """A field that differs in each message was taken for the name of the source."""
    async with World(home) as world:
        records: list[Activity | Deletion] = [
            Activity(f"s{n}", "m", NOON - DAY, "p", "s", False) for n in range(MOST_SOURCES + 1)
        ]
        with pytest.raises(Invalid, match="source"):
            await world.hub(0).intake.take(world.org_id, records)
        await world.take(0, records[:-1])
        await world.check(0)


async def test_more_names_than_memory_holds(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers are the same when they have to be looked up again."""
    monkeypatch.setattr(numbering, "MOST_NAMES", 5)
    monkeypatch.setattr(numbering, "MOST_BOOKS", 2)
    async with World(home) as world:
        for number in range(60):
            record = Activity(
                f"source {number % 4}", f"m-{number}", NOON - DAY, f"p{number % 7}", f"s{number % 5}", False
            )
            await world.take(number % PROCESSES, [record])
        await world.check(0)
