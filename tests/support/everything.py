"""A database in which there is everything that there can be, for what must lose nothing of it."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from postroom.domain.clock import DAY
from postroom.domain.day import day_of
from postroom.domain.scope import Scope
from postroom.service.hub import Hub
from postroom.service.retention import Retention
from postroom.store.copying import TABLES
from tests.sources.samples import AT
from tests.support.clock import MovingClock
from tests.support.home import Home, Row
from tests.support.hub import Place, opened, place_of
from tests.support.importing import imported, written
from tests.support.platforms import SECRET, matrix_events, signed, transaction

NOWHERE: Final = "http://192.0.2.1/"
ASKED: Final = {"n": {"type": "number"}}
DATA: Final = ("", "a\0b", "Grüße 🚚", "\ufeff\u2028", "x" * 70_000)

# Each slot is free, and each series, so neither says who held it.
SERIES: Final = "SELECT number, revision FROM series ORDER BY number"
HELD: Final = """
    SELECT (SELECT count(*) FROM series WHERE holder IS NOT NULL), (SELECT count(*) FROM processes),
        (SELECT count(*) FROM slots WHERE holder IS NOT NULL), (SELECT count(*) FROM slots)
"""


def content(home: Home) -> dict[str, list[Row]]:
    """All rows of all tables that are copied, and of none that is not."""
    tables = {name: f"SELECT * FROM {name}" for name in TABLES} | {"series": SERIES}
    return {name: sorted(home.rows(sql), key=repr) for name, sql in tables.items()}


async def furnish(home: Home, clock: MovingClock, organizations: int = 2) -> None:
    """Fill the database; two processes have written, so there are several series."""
    async with opened(home, clock) as first, opened(home, clock) as second:
        founder, _ = await first.organizations.found("Bäckerei 🥐", "Europe/Berlin")
        for number in range(organizations):
            org = await second.organizations.create(f"branch {number}", created_by=founder.id)
            await _work(first, second, org.id, clock)
            await _activity(first, org.id, clock)
        clock.pass_(hours=26)
        await Retention(first.ledger, first.database, clock, 30 * DAY, 8 * DAY).sweep()
        for org in await first.organizations.every():
            await _remove(second, org.id)


async def _work(first: Hub, second: Hub, org_id: str, clock: MovingClock) -> None:
    """Messages in every state: delivered, failed, pending again or still, and to nobody."""
    await _keys(first, org_id)
    queue = await first.queues.create(org_id, "orders", ASKED)
    await first.queues.update(org_id, queue.id, raw_schema=None)
    here = await place_of(first, org_id, queue.id)
    there = await place_of(second, org_id, queue.id)
    await here.send()
    takes, fails, waits, off = [await here.listener() for _ in range(4)]
    await second.listeners.update(org_id, queue.id, off.id, status="disabled")
    for data in DATA:
        await here.send(data)
        clock.pass_(seconds=5)
    for _ in range(3):
        await here.try_all(fails, 500)
        clock.pass_(hours=1)
    await there.try_all(takes)
    await there.send_many(3)
    await there.try_all(waits, 503)
    await first.messages.accept(org_id, queue.id, "named", "Nr. 1 „ä“")
    await first.messages.delete(org_id, queue.id, await here.send("deleted"))
    for answered in (True, False, True):
        await second.probes.found((org_id, waits.id), answered)


async def _activity(hub: Hub, org_id: str, clock: MovingClock) -> None:
    """What a live source told, twice: some of it folded, some not yet."""
    source = await hub.live_sources.create(org_id, "matrix", secret=SECRET)
    one, two, *_ = matrix_events()
    for event in (one, one | {"sender": "@somebody:else"}):
        request = signed("matrix", transaction(event)).request(clock.now)
        await hub.hearing.hear_transaction(source.id, event["sender"], request)
    await hub.folding.days(org_id, day_of(AT), day_of(AT))
    await hub.hearing.hear_transaction(source.id, "2", signed("matrix", transaction(two)).request(clock.now))
    with TemporaryDirectory() as folder:
        await imported(hub, org_id, written(Path(folder) / "export.ndjson", 20))


async def _keys(hub: Hub, org_id: str) -> None:
    key, secret = await hub.api_keys.create(org_id, "reads", scopes=(Scope("queues", "read", ("*",)),))
    await hub.api_keys.authenticate(secret)
    await hub.api_keys.create(org_id, "off", "disabled", encoding="string")
    await hub.api_keys.update(org_id, key.id, name="reads queues")
    await hub.api_keys.keep_uses()


async def _remove(hub: Hub, org_id: str) -> None:
    """A queue and a listener, whose rows are still there."""
    for queue in await hub.queues.of(org_id):
        (takes, *_others) = await hub.listeners.of(org_id)
        await hub.listeners.delete(org_id, queue.id, takes.id)
        gone = await hub.queues.create(org_id, "closed", ASKED)
        lonely = Place(hub, org_id, gone.id)
        await lonely.listener()
        await hub.messages.accept(org_id, gone.id, '{"n": 1}')
        await hub.queues.delete(org_id, gone.id)


STATES: Final = """
    SELECT (SELECT count(*) FROM deliveries WHERE state = 0 AND attempts = 0),
        (SELECT count(*) FROM deliveries WHERE state = 0 AND attempts > 0),
        (SELECT count(*) FROM deliveries WHERE state = 1), (SELECT count(*) FROM deliveries WHERE state = 2)
"""
