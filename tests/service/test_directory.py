"""Keys and queues kept in memory."""

import asyncio

import pytest

from postroom.domain.errors import NotAuthenticated, NotFound
from postroom.service import directory
from tests.support.clock import MovingClock
from tests.support.holding import HoldingHome
from tests.support.home import Home, PostgresHome
from tests.support.hub import Place, execute, opened, place, place_of

pytestmark = pytest.mark.anyio

INSERT = "INSERT INTO queues (org_id, id, name, created_at) VALUES ($1, $2, $2, 1)"


async def test_what_was_looked_up_is_not_read_again(home: Home) -> None:
    """Until it is told to forget: then what others wrote is seen."""
    async with opened(home, MovingClock()) as hub, opened(home, MovingClock()) as command:
        here = await place(hub)
        key, secret = await hub.api_keys.create(here.org_id, "one")
        await hub.api_keys.authenticate(secret)
        await hub.queues.get(here.org_id, here.queue_id)
        await command.api_keys.update(here.org_id, key.id, status="disabled")
        await command.queues.update(here.org_id, here.queue_id, "renamed")
        await hub.api_keys.authenticate(secret)
        hub.directory.forget()
        with pytest.raises(NotAuthenticated):
            await hub.api_keys.authenticate(secret)
        assert (await hub.queues.get(here.org_id, here.queue_id)).name == "renamed"


async def test_a_change_elsewhere_shows(home: Home) -> None:
    """A process can tell that keys or queues were changed by others; it does not look for its own changes."""
    async with opened(home, MovingClock()) as hub, opened(home, MovingClock()) as other:
        here = await place(hub)
        there = await place_of(other, here.org_id, here.queue_id)
        before = await hub.revision()
        await hub.queues.update(here.org_id, here.queue_id, "own")
        assert await hub.revision() == before
        await other.queues.update(here.org_id, here.queue_id, "another's")
        after = await hub.revision()
        assert after != before
        await there.hub.api_keys.create(here.org_id, "key")
        assert await hub.revision() != after


async def test_a_change_shows_though_a_series_comes_to_another_process(home: Home) -> None:
    """Whoever takes over the series of a process that has left misses nothing that others do meanwhile."""
    async with opened(home, MovingClock()) as gone:
        here = await place(gone)
    async with opened(home, MovingClock()) as hub, opened(home, MovingClock()) as other:
        before = await hub.revision()
        await hub.queues.update(here.org_id, here.queue_id, "own")
        await other.queues.update(here.org_id, here.queue_id, "another's")
        assert await hub.revision() != before


async def test_an_answer_of_before_is_not_kept(postgresql_home: PostgresHome) -> None:
    """What was looked up before a change, and comes after the order to forget, holds for one request only."""
    slow = HoldingHome(postgresql_home.server, postgresql_home.name)
    async with opened(postgresql_home, MovingClock()) as command, opened(slow, MovingClock()) as hub:
        here = await place(command)
        key, secret = await command.api_keys.create(here.org_id, "one")
        answers = [slow.database.hold(query) for query in ("find_api_key_by_digest", "find_queue")]
        asking = [
            asyncio.create_task(hub.api_keys.authenticate(secret)),
            asyncio.create_task(hub.queues.get(here.org_id, here.queue_id)),
        ]
        for answer in answers:
            await answer.given()
        await command.api_keys.update(here.org_id, key.id, status="disabled")
        await command.queues.update(here.org_id, here.queue_id, "renamed")
        hub.directory.forget()
        for answer in answers:
            answer.let_go()
        await asyncio.gather(*asking)
        with pytest.raises(NotAuthenticated):
            await hub.api_keys.authenticate(secret)
        assert (await hub.queues.get(here.org_id, here.queue_id)).name == "renamed"


async def test_absence_is_not_remembered(home: Home) -> None:
    """What somebody else makes is there at once."""
    async with opened(home, MovingClock()) as hub, opened(home, MovingClock()) as command:
        here = await place(hub)
        with pytest.raises(NotFound):
            await hub.queues.get(here.org_id, "-" * 21)
        made = await command.queues.create(here.org_id, "new")
        assert await hub.queues.get(here.org_id, made.id) == made


async def test_memory_is_bounded(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """More queues than are kept: all are found, also those that were dropped."""
    monkeypatch.setattr(directory, "MOST_KEPT", 50)
    queue_ids = [f"q{number:020}" for number in range(60)]
    async with opened(home, MovingClock()) as hub:
        here = await place(hub)
        for queue_id in queue_ids:
            execute(home, INSERT, here.org_id, queue_id)
        for queue_id in [*queue_ids, queue_ids[0], queue_ids[-1]]:
            assert (await hub.queues.get(here.org_id, queue_id)).id == queue_id
        await Place(hub, here.org_id, queue_ids[5]).send()
