"""Keys and queues kept in memory."""

from pathlib import Path

import pytest

from postroom.domain.errors import NotAuthenticated, NotFound
from postroom.service import directory
from tests.support.clock import MovingClock
from tests.support.hub import Place, beside, opened, place

pytestmark = pytest.mark.anyio


async def test_what_was_looked_up_is_not_read_again(tmp_path: Path) -> None:
    """Until it is told to forget: then what others wrote is seen."""
    async with opened(tmp_path, MovingClock()) as hub, opened(tmp_path, MovingClock(), series=1) as command:
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


async def test_absence_is_not_remembered(tmp_path: Path) -> None:
    """What somebody else makes is there at once."""
    async with opened(tmp_path, MovingClock()) as hub, opened(tmp_path, MovingClock(), series=1) as command:
        here = await place(hub)
        with pytest.raises(NotFound):
            await hub.queues.get(here.org_id, "-" * 21)
        made = await command.queues.create(here.org_id, "new")
        assert await hub.queues.get(here.org_id, made.id) == made


async def test_memory_is_bounded(tmp_path: Path) -> None:
    """More queues than are kept: all are found, also those that were dropped."""
    many = directory.MOST_KEPT + 10
    queue_ids = [f"q{number:020}" for number in range(many)]
    async with opened(tmp_path, MovingClock()) as hub:
        here = await place(hub)
        with beside(tmp_path) as connection, connection:
            connection.executemany(
                "INSERT INTO queues VALUES (?, ?, ?, NULL, 1)",
                [(here.org_id, queue_id, queue_id) for queue_id in queue_ids],
            )
        for queue_id in [*queue_ids, queue_ids[0], queue_ids[-1]]:
            assert (await hub.queues.get(here.org_id, queue_id)).id == queue_id
        await Place(hub, here.org_id, queue_ids[5]).send()
