"""All services over one database."""

import random
from collections.abc import Callable

from postroom.domain.clock import HeldClock
from postroom.domain.ids import IdSources
from postroom.domain.retry import Policy
from postroom.service.api_keys import ApiKeys
from postroom.service.audit import Audit
from postroom.service.deliveries import Deliveries
from postroom.service.directory import Directory
from postroom.service.folding import Folding
from postroom.service.hearing import Hearing
from postroom.service.intake import Intake
from postroom.service.ledger import Ledger
from postroom.service.listeners import Listeners
from postroom.service.live_sources import LiveSources
from postroom.service.liveness import Probes
from postroom.service.membership import Membership
from postroom.service.messages import Messages
from postroom.service.organizations import Organizations
from postroom.service.outbox import Outbox
from postroom.service.queues import Queues
from postroom.service.stats import Statistics
from postroom.service.totals import Totals
from postroom.store import processes, usage
from postroom.store.database import Database


class Hub:
    """The use cases of the process `holder`, over one database.

    The series of totals that it writes are its own for `lease` ms at a time; `flushers` commit side by side.
    """

    def __init__(
        self,
        database: Database,
        clock: HeldClock,
        holder: str,
        lease: int,
        *,
        flushers: int = 1,
        policy: Policy | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.database = database
        self.clock = clock
        self.outbox = Outbox()
        self.ledger = Ledger(database, clock, IdSources(), holder, lease, flushers)
        self.membership = Membership(database, self.ledger, clock, holder, lease)
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
        self.intake = Intake(database)
        self.live_sources = LiveSources(self.ledger, database)
        self.hearing = Hearing(database, self.intake, clock)
        self.folding = Folding(database, clock)
        self.totals = Totals(database, self.folding)

    async def prepare(self) -> None:
        """Take up the clock where the last process left it.

        Raises:
            Unavailable: the database cannot be read.
        """
        # A millisecond later, so that ids minted from now on are above all that were.
        self.clock.hold(await usage.last_time(self.database) + 1)

    async def revision(self) -> tuple[int, int]:
        """Numbers that change when another process changes what this one has in memory.

        Raises:
            Unavailable: the database cannot be read.
        """
        version = await self.database.version()
        if version is None:
            version = await processes.foreign_revision(self.database, self.ledger.holders)
        return version, self.ledger.taken
