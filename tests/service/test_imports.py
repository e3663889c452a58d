"""An import takes each record in once, however often it is interrupted, repeated, or done by two at once."""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import msgspec
import pytest

from postroom.domain.clock import DAY
from postroom.domain.day import day_of
from postroom.domain.errors import Unavailable
from postroom.domain.imports import State
from postroom.service import exports
from postroom.service.hub import Hub
from postroom.service.imports import Imports
from postroom.sources.registry import PLATFORMS
from postroom.sources.trouble import Refused
from tests.sources.exports import folder, lines, packed
from tests.sources.samples import AT, SAMPLES
from tests.support.clock import NOON, MovingClock
from tests.support.home import Home, Row
from tests.support.hub import opened, unique
from tests.support.importing import (
    Watching,
    imported,
    imported_from,
    recounted,
    taken_from,
    together,
    totals,
    written,
)

pytestmark = pytest.mark.anyio

TOGETHER: Final = 50
RECORDS: Final = 600


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small exports have many batches."""
    monkeypatch.setattr(exports, "TOGETHER", TOGETHER)


@pytest.fixture
async def hub(home: Home) -> AsyncIterator[Hub]:
    """The services of one process."""
    async with opened(home) as hub:
        yield hub


@pytest.fixture
async def org(hub: Hub) -> str:
    """The id of an organization."""
    return (await hub.organizations.create(unique("organization"))).id


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """An export with repeated messages and deletions."""
    return written(tmp_path / "export.ndjson", RECORDS)


def kept(home: Home, what: str) -> list[Row]:
    """Columns of all imports, in the order in which they began."""
    return home.rows(f"SELECT {what} FROM imports ORDER BY started_at, id")


def expected(path: Path) -> tuple[int, int, int]:
    """New messages, new deletions and duplicates of an export that is imported once."""
    counted, taken = recounted(path), taken_from(path)
    new = len(counted.messages), len(counted.deleted)
    return *new, len(taken) - sum(new)


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_every_platform(hub: Hub, org: str, tmp_path: Path, platform: str) -> None:
    """A sample gives what its records come to; packed in whatever way, it adds nothing a second time."""
    first, *others = packed(tmp_path, SAMPLES[platform]()).values()
    assert await imported(hub, org, first, platform=platform) is not None
    counted = recounted(first, platform=platform)
    assert await totals(hub, org) == counted.cells(0, 100_000)
    for other in others:
        summary = await imported(hub, org, other, platform=platform)
        assert summary is not None
        assert (summary.messages, summary.deletions, summary.days) == (0, 0, 0)
        assert summary.duplicates == len(taken_from(first, platform))
    assert await totals(hub, org) == counted.cells(0, 100_000)


async def test_the_summary(hub: Hub, org: str, home: Home, tmp_path: Path) -> None:
    """What was new, what was not, what was left out, and what the export's messages are."""
    message = {"at": AT, "person": "p", "space": "s", "direct": False}
    text = lines(
        {**message, "message_id": "1", "files": 3, "file_bytes": 700},
        {**message, "message_id": "2", "at": AT + 3 * DAY, "by_bot": True},
        {**message, "message_id": "1", "files": 3, "file_bytes": 700},
        {"message_id": "2", "deleted": True},
        {"message_id": "3", "deleted": True},
        {"message_id": "3", "deleted": True},
        {"message_id": 4},
    )
    path = tmp_path / "a.ndjson"
    path.write_bytes(text)
    watching = Watching()
    summary = await imported(hub, org, path, watching)
    assert summary is not None
    assert (summary.messages, summary.deletions, summary.duplicates) == (2, 2, 2)
    assert (summary.days, summary.files, summary.file_bytes) == (2, 6, 1400)
    assert (summary.by_bots, summary.by_platform) == (1, 0)
    assert (summary.first_day, summary.last_day) == (day_of(AT), day_of(AT) + 3)
    assert (summary.damaged, summary.skipped, summary.resumed_at) == (1, {}, 0)
    assert [each.place for each in watching.told] == ["a.ndjson: line 7"]
    slack = await imported(hub, org, folder(tmp_path / "slack", SAMPLES["slack"]()), platform="slack")
    assert slack is not None
    assert (slack.messages, slack.by_bots, slack.by_platform) == (4, 0, 1)
    days = "source, platform, first_day, last_day"
    assert kept(home, days) == [
        ("ndjson", "ndjson", day_of(AT), day_of(AT) + 3),
        ("slack", "slack", day_of(AT), day_of(AT)),
    ]


async def test_days_are_folded(home: Home, tmp_path: Path) -> None:
    """When it ends, all days that are over are folded, and today is left; how far that is, is told."""
    path = written(tmp_path / "export.ndjson", RECORDS)
    clock = MovingClock(AT + 20 * DAY)
    async with opened(home, clock) as hub:
        org = (await hub.organizations.create("acme")).id
        watching = Watching()
        await imported(hub, org, path, watching)
        dirty = home.rows("SELECT min(day) FROM dirty_days")
        assert dirty == [(day_of(clock.now),)]
        steps = [step for step, _ in watching.steps]
        assert steps == list(range(len(steps)))
        assert {of for _, of in watching.steps} == {steps[-1]}
        assert watching.records == sorted(watching.records)
        assert watching.records[-1] == len(taken_from(path))


async def test_answers_about_days_change_with_it(hub: Hub, org: str, export: Path) -> None:
    """Whether days are complete depends on imports: the stamp changes when one begins or ends."""
    await imported(hub, org, export)
    seen = [await hub.folding.stamp(org, 100_000)]
    await imported(hub, org, export, Watching(lambda _: True))
    seen.append(await hub.folding.stamp(org, 100_000))
    await hub.folding.fold(org, 0, 100_000)
    seen.append(await hub.folding.stamp(org, 100_000))
    assert len(set(seen)) == 3


@pytest.mark.parametrize("at", [1, TOGETHER * 3, RECORDS - 1, RECORDS])
async def test_it_goes_on(hub: Hub, org: str, home: Home, export: Path, at: int) -> None:
    """A stopped one goes on where it was, and comes to what an undisturbed one comes to."""
    watching = Watching(lambda records: records >= at)
    assert await imported(hub, org, export, watching) is None
    ((finished_at, first_day, records, state),) = kept(home, "finished_at, first_day, records, state")
    assert (finished_at, first_day, records) == (None, None, watching.records[-1])
    assert msgspec.json.decode(state, type=State).records == records
    summary = await imported(hub, org, export)
    assert summary is not None
    assert summary.resumed_at == watching.records[-1]
    assert together([summary]) == expected(export)
    assert await totals(hub, org) == recounted(export).cells(0, 100_000)
    assert kept(home, "finished_at IS NULL, records") == [(False, RECORDS)]


async def test_interrupted_again_and_again(hub: Hub, org: str, home: Home, export: Path) -> None:
    """Each time a batch further."""
    taken: list[int] = []
    summary = None
    while summary is None:
        before = taken[-1] if taken else 0
        watching = Watching(lambda records, before=before: records > before)  # type: ignore[misc]
        summary = await imported(hub, org, export, watching)
        taken.append(watching.records[-1])
        assert len(taken) <= RECORDS // TOGETHER + 1
    assert len(taken) > RECORDS // TOGETHER - 1
    assert together([summary]) == expected(export)
    assert await totals(hub, org) == recounted(export).cells(0, 100_000)


async def test_a_finished_one_adds_nothing(hub: Hub, org: str, home: Home, export: Path) -> None:
    """All of it are duplicates, as the explanation of a day tells too."""
    await imported(hub, org, export)
    before = await totals(hub, org)
    summary = await imported(hub, org, export)
    assert together([summary]) == (0, 0, len(taken_from(export)))
    assert await totals(hub, org) == before
    assert [finished for (finished,) in kept(home, "finished_at IS NULL")] == [False, False]


async def test_what_is_the_same_export(hub: Hub, org: str, home: Home, tmp_path: Path, export: Path) -> None:
    """One that was moved goes on; one that was changed, or is kept as another source, begins anew."""
    await imported(hub, org, export, Watching(lambda records: records >= 100))
    (tmp_path / "elsewhere").mkdir()
    moved = export.rename(tmp_path / "elsewhere" / export.name)
    await imported(hub, org, moved, Watching(lambda records: records >= 200))
    assert len(kept(home, "id")) == 1
    os.utime(moved, ns=(1, 1))
    await imported(hub, org, moved, Watching(lambda _: True))
    assert len(kept(home, "id")) == 2
    with exports.opened("ndjson", moved, "other") as one, exports.opened("ndjson", moved, "ndjson") as two:
        assert one.identity.fingerprint != two.identity.fingerprint
    below = folder(tmp_path / "folder", {"a.ndjson": b'{"message_id": "1", "deleted": true}\n'})
    with exports.opened("ndjson", below, "ndjson") as export_of_folder:
        before = export_of_folder.identity
    (below / "a.ndjson").write_bytes(b'{"message_id": "2", "deleted": true}\n')
    with exports.opened("ndjson", below, "ndjson") as export_of_folder:
        assert export_of_folder.identity != before


class Killed(Exception):
    """As if the process had been killed at this point."""


def killed(_records: int) -> bool:
    """Ends an import without its knowing."""
    raise Killed


async def test_two_at_once(home: Home, hub: Hub, org: str, export: Path) -> None:
    """Of each record one of them takes the first, whoever it is; both are finished."""
    async with opened(home) as other:
        both = await asyncio.gather(imported(hub, org, export), imported(other, org, export))
    messages, deletions, _ = together(both)
    assert (messages, deletions) == expected(export)[:2]
    assert await totals(hub, org) == recounted(export).cells(0, 100_000)
    assert {finished for (finished,) in kept(home, "finished_at IS NULL")} == {False}


@pytest.mark.parametrize("survivor", ["first", "second", "none"])
async def test_another_takes_one_over(home: Home, hub: Hub, org: str, export: Path, survivor: str) -> None:
    """A second one goes on from where the first is, which runs on: whoever dies, nothing is left out."""
    begun, claimed = asyncio.Event(), asyncio.Event()

    def in_first(records: int) -> bool:
        begun.set()
        return killed(records) if survivor != "first" and claimed.is_set() else False

    def in_second(records: int) -> bool:
        claimed.set()
        return killed(records) if survivor != "second" else False

    async def second() -> object:
        await begun.wait()
        return await imported(other, org, export, Watching(in_second))

    async with opened(home) as other:
        first = imported(hub, org, export, Watching(in_first))
        ended = await asyncio.gather(first, second(), return_exceptions=True)
    assert sum(isinstance(each, Killed) for each in ended) == (2 if survivor == "none" else 1)
    assert {finished for (finished,) in kept(home, "finished_at IS NULL")} == {survivor == "none"}
    await imported(hub, org, export)
    assert await totals(hub, org) == recounted(export).cells(0, 100_000)
    assert {finished for (finished,) in kept(home, "finished_at IS NULL")} == {False}


@pytest.mark.parametrize("seed", range(6))
async def test_any_interleaving(home: Home, hub: Hub, org: str, tmp_path: Path, seed: int) -> None:
    """Imports of overlapping exports, several at once, killed at random and run again: each message once."""
    chance = random.Random(seed)
    paths = [written(tmp_path / f"{number}.ndjson", 300, number) for number in range(2)]

    def some_time(_records: int) -> bool:
        return killed(0) if chance.random() < 0.25 else chance.random() < 0.1

    async with AsyncExitStack() as stack:
        hubs = [hub, *[await stack.enter_async_context(opened(home)) for _ in range(2)]]
        for _ in range(4):
            runs = [imported(each, org, chance.choice(paths), Watching(some_time)) for each in hubs]
            for ended in await asyncio.gather(*runs, return_exceptions=True):
                assert not isinstance(ended, BaseException) or isinstance(ended, Killed)
        for path in paths:
            assert await imported(hub, org, path) is not None
    answered = await totals(hub, org)
    assert answered == recounted(*paths).cells(0, 100_000)
    assert {finished for (finished,) in kept(home, "finished_at IS NULL")} == {False}


async def test_another_organization_s_is_another(hub: Hub, org: str, export: Path) -> None:
    """The same export in two organizations is counted in both."""
    other = (await hub.organizations.create(unique("organization"))).id
    await imported(hub, org, export, Watching(lambda records: records >= 100))
    for each in (other, org):
        assert await imported(hub, each, export) is not None
        assert await totals(hub, each) == recounted(export).cells(0, 100_000)


async def test_an_export_that_is_not_over(home: Home, tmp_path: Path) -> None:
    """Days that are not over yet are counted, and folded when they are."""
    path = tmp_path / "a.ndjson"
    path.write_bytes(
        lines({"message_id": "1", "at": NOON + 9 * DAY, "person": "p", "space": "s", "direct": True})
    )
    clock = MovingClock(NOON)
    async with opened(home, clock) as hub:
        org = (await hub.organizations.create("acme")).id
        watching = Watching()
        summary = await imported(hub, org, path, watching)
        assert summary is not None
        assert (summary.messages, watching.steps) == (1, [(0, 0)])
        clock.pass_(hours=24 * 10)
        assert await totals(hub, org) == recounted(path).cells(0, 100_000)


async def test_nothing_in_it(hub: Hub, org: str, home: Home, tmp_path: Path) -> None:
    """An export without a message is imported too; it says nothing of any day."""
    path = tmp_path / "a.ndjson"
    path.write_bytes(lines({"message_id": "1", "deleted": True}))
    summary = await imported(hub, org, path)
    assert summary is not None
    assert (summary.deletions, summary.first_day, summary.last_day) == (1, None, None)
    assert kept(home, "finished_at IS NULL, first_day") == [(False, None)]


DYING: Final = """
import os, signal
from postroom.sources import frames, reading

def write(pipe, frame, write=frames.write, written=[]):
    write(pipe, frame)
    written.append(frame)
    if len(written) == 4:
        os.kill(os.getpid(), signal.SIGKILL)

frames.write = write
reading.main()
"""
"""A reader that is killed when it has told of three batches."""


async def test_the_process_that_reads_is_killed(hub: Hub, org: str, home: Home, export: Path) -> None:
    """It is told, what it had read is taken in, and the same import goes on from there."""
    dying = sys.executable, "-P", "-c", DYING
    with (
        exports.opened("ndjson", export, "ndjson", dying) as opened_export,
        pytest.raises(Unavailable, match="the process that reads the export has ended by signal 9"),
    ):
        await imported_from(hub, org, opened_export, Watching())
    assert kept(home, "finished_at, records") == [(None, 3 * TOGETHER)]
    summary = await imported(hub, org, export)
    assert summary is not None
    assert summary.resumed_at == 3 * TOGETHER
    assert together([summary]) == expected(export)
    assert await totals(hub, org) == recounted(export).cells(0, 100_000)


def test_a_process_that_cannot_read(export: Path) -> None:
    """It is told before anything is asked of a database."""
    ending = sys.executable, "-c", "raise SystemExit(3)"
    with pytest.raises(Unavailable, match="has ended with 3"), exports.opened("ndjson", export, "a", ending):
        pass


def test_a_process_that_has_ended_before_it_is_told_what_to_read(export: Path) -> None:
    """Whether it ends just before or just after is chance, so it is tried often."""
    for _ in range(200):
        with (
            pytest.raises(Unavailable, match="has ended with"),
            exports.opened("ndjson", export, "a", ("false",)),
        ):
            pass


def test_what_is_done_while_it_is_opened(tmp_path: Path) -> None:
    """Is done before it is known whether it is an export."""
    done: list[bool] = []
    told = exports.opened("ndjson", tmp_path / "nothing", "a", meanwhile=lambda: done.append(True))
    with pytest.raises(Refused), told:
        pass
    assert done == [True]


def test_what_is_no_export(tmp_path: Path) -> None:
    """Refused before anything is asked of a database."""
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"hello")
    for wrong in (path, tmp_path / "nothing"):
        with pytest.raises(Refused), exports.opened("ndjson", wrong, "ndjson"):
            pass


async def test_half_of_the_time(hub: Hub, org: str, export: Path) -> None:
    """Whatever is beside can write between two batches, and is asked for after each."""
    asked: list[bool] = []

    def beside() -> bool:
        asked.append(True)
        return True

    imports = Imports(hub.database, hub.intake, hub.folding, hub.clock)
    with exports.opened("ndjson", export, "ndjson") as opened_export:
        summary = await imports.run(org, opened_export, Watching(), beside)
    assert together([summary]) == expected(export)
    assert len(asked) >= RECORDS // TOGETHER
