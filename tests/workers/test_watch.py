"""Noticing what other processes write."""

from collections import Counter
from functools import partial
from operator import lt

import pytest

from postroom.domain.errors import NotAuthenticated, NotFound
from postroom.domain.listener import Counts
from postroom.service.hub import Hub
from postroom.workers.watch import Watch
from tests.acceptance.house import until
from tests.acceptance.receiver import Receiver
from tests.support.holding import HoldingHome
from tests.support.home import Home, PostgresHome
from tests.support.hub import Place, opened, place
from tests.support.workers import delivering, running

pytestmark = pytest.mark.anyio

PAUSE = 0.01
LOOK, LOOK_UP = "list_revisions", "list_every_listener"


async def count(asked: Counter[str], query: str) -> int:
    """How often a query was asked."""
    return asked[query]


async def recognised(hub: Hub, secret: str) -> bool:
    """Whether requests with this key are let in."""
    try:
        await hub.api_keys.authenticate(secret)
    except NotAuthenticated:
        return False
    return True


async def test_what_a_command_writes_is_noticed(home: Home) -> None:
    """A key switched off, a listener added and messages sent, without anybody telling the server."""
    async with opened(home) as hub, Receiver() as receiver, delivering(hub) as deliver:
        here = await place(hub)
        key, secret = await hub.api_keys.create(here.org_id, "one")
        await hub.api_keys.authenticate(secret)
        async with running(Watch(hub, deliver, PAUSE).run), opened(home) as command:
            await command.api_keys.update(here.org_id, key.id, status="disabled")
            there = Place(command, here.org_id, here.queue_id)
            listener = await there.listener(receiver.url("/"))
            await there.send_many(3)
            await until(lambda: here.counts(listener), lambda counts: counts == Counts(3, 3))
            await until(lambda: recognised(hub, secret), lambda known: not known)


async def test_a_queue_that_is_gone_takes_no_messages(home: Home) -> None:
    """Also where the process still has it in mind."""
    async with opened(home) as hub, opened(home) as other, delivering(hub) as deliver:
        here = await place(hub)
        await here.send()
        async with running(Watch(hub, deliver, PAUSE).run):
            await other.queues.delete(here.org_id, here.queue_id)

            async def known() -> object:
                return await hub.directory.queue(here.org_id, here.queue_id)

            await until(known, lambda queue: queue is None)
            with pytest.raises(NotFound):
                await here.send()


async def test_a_change_by_a_process_whose_series_is_taken_over(postgresql_home: PostgresHome) -> None:
    """A command came and went between two looks, and this process goes on with its series of totals."""
    home = HoldingHome(postgresql_home.server, postgresql_home.name)
    async with opened(postgresql_home) as first, opened(home) as hub, delivering(hub) as deliver:
        asked = home.database.asked
        here = await place(first)
        key, secret = await first.api_keys.create(here.org_id, "one")
        async with opened(
            postgresql_home
        ) as sender:  # leaves behind a series in which no such change was counted yet
            await Place(sender, here.org_id, here.queue_id).send()
        watch = Watch(hub, deliver, PAUSE)
        async with running(watch.run):
            await until(partial(count, asked, LOOK), partial(lt, 1))
            assert await recognised(hub, secret)
        async with opened(postgresql_home) as command:
            await command.api_keys.update(here.org_id, key.id, status="disabled")
        await hub.queues.create(here.org_id, "mine")
        async with running(watch.run):
            await until(lambda: recognised(hub, secret), lambda known: not known, 10)


async def test_own_changes_are_nothing_to_look_for(postgresql_home: PostgresHome) -> None:
    """What this process commits itself it knows already; what another one commits it looks up."""
    home = HoldingHome(postgresql_home.server, postgresql_home.name)
    async with opened(home) as hub, opened(postgresql_home) as other, delivering(hub) as deliver:
        asked = home.database.asked
        here = await place(hub)
        looks, look_ups = partial(count, asked, LOOK), partial(count, asked, LOOK_UP)
        await until(look_ups, partial(lt, 0))
        async with running(Watch(hub, deliver, PAUSE).run):
            await until(looks, partial(lt, 2))
            await until(look_ups, partial(lt, 1))  # its first look sees to all
            before = await look_ups()
            for _ in range(3):
                await here.listener()
                await until(looks, partial(lt, 2 + await looks()))
            assert await look_ups() == before
            await Place(other, here.org_id, here.queue_id).listener()
            await until(look_ups, partial(lt, before))
