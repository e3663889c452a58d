"""All services over one database."""

import random
from collections.abc import Callable

from postroom.domain.clock import HeldClock
from postroom.domain.ids import IdSource
from postroom.domain.retry import Policy
from postroom.service.api_keys import ApiKeys
from postroom.service.audit import Audit
from postroom.service.deliveries import Deliveries
from postroom.service.directory import Directory
from postroom.service.ledger import Entry, Ledger
from postroom.service.listeners import Listeners
from postroom.service.liveness import Probes
from postroom.service.messages import Messages
from postroom.service.organizations import Organizations
from postroom.service.outbox import Outbox
from postroom.service.queues import Queues
from postroom.service.stats import Statistics
from postroom.store import usage
from postroom.store.database import Database


class Hub:
    """The use cases of one process, over one database.

    `series` is the series of totals that it writes; `alone` says that no other process writes the same.
    """

    def __init__(
        self,
        database: Database,
        clock: HeldClock,
        *,
        series: int = 0,
        alone: bool = True,
        policy: Policy | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.database = database
        self.clock = clock
        self.series = series
        self.outbox = Outbox()
        self.ledger = Ledger(database, clock, IdSource(), series, alone)
        self.directory = Directory(database)
        self.api_keys = ApiKeys(self.ledger, database, self.directory, clock)
        self.organizations = Organizations(self.ledger, database, self.api_keys)
        self.queues = Queues(self.ledger, database, self.directory, self.outbox)
        self.listeners = Listeners(self.ledger, database, self.outbox)
        self.messages = Messages(self.ledger, database, self.directory, self.outbox)
        self.deliveries = Deliveries(self.ledger, database, self.outbox, clock, policy or Policy(), chance)
        self.probes = Probes(self.ledger, database, self.outbox, clock)
        self.statistics = Statistics(database, clock, self.ledger)
        self.audit = Audit(database, clock)

    async def prepare(self) -> None:
        """Take up the clock and the series of totals where the last process left them.

        Raises:
            Unavailable: the database cannot be read, or a new series not be written.
        """
        # A millisecond later, so that ids minted from now on are above all that were.
        self.clock.hold(await usage.last_time(self.database) + 1)
        if self.series not in await usage.every_series(self.database):
            await self.mark_alive()

    async def mark_alive(self) -> None:
        """Write that this process is alive, which shows that the database can be written.

        Raises:
            Unavailable: it cannot.
        """

        async def body(entry: Entry) -> None:
            await usage.mark_process(entry.tx, self.series, entry.at)

        await self.ledger.commit(body)
