"""Fill an organization with activity through the product's own intake, and fold it.

Its own process: a Job in JSON on stdin, a Filled on stdout. The facts are the same in every run: a thousand
people in three hundred spaces, spread evenly over the days.
"""

import asyncio
import sys
import time
from collections.abc import Iterator

import msgspec

from postroom.domain.activity import Activity, Client
from postroom.domain.clock import DAY, HeldClock, system_clock
from postroom.service.folding import Folding
from postroom.service.intake import Intake
from postroom.store import drivers

PEOPLE = 1_000
SPACES = 300
DIRECT = 100  # of the spaces
TOGETHER = 2_000


class Job(msgspec.Struct, frozen=True):
    """So many facts, on the `days` before the day `until`."""

    address: str
    org_id: str
    facts: int
    days: int
    until: int


class Filled(msgspec.Struct, frozen=True):
    """Seconds that it took to take them in, and to fold the days."""

    taking: float
    folding: float


def facts(job: Job) -> Iterator[Activity]:
    """The facts, by time."""
    first, span = (job.until - job.days) * DAY, job.days * DAY
    for number in range(job.facts):
        chance = number * 2_654_435_761 % 2**32  # Knuth's multiplier: well mixed, and the same each time
        space = chance % SPACES
        yield Activity(
            "bench",
            f"m-{number}",
            first + number * span // job.facts,
            f"p-{chance // SPACES % PEOPLE}",
            f"s-{space}",
            space < DIRECT,
            Client(chance % 3),
            files=int(number % 20 == 0),
            file_bytes=1_000 if number % 20 == 0 else 0,
        )


async def fill(job: Job) -> Filled:
    """Take them in, and fold all days."""
    database = await drivers.open_database(job.address, connections=2)
    try:
        begin = time.perf_counter()
        intake, some = Intake(database), list[Activity]()
        for fact in facts(job):
            some.append(fact)
            if len(some) == TOGETHER:
                await intake.take(job.org_id, some)
                some.clear()
        await intake.take(job.org_id, some)
        taken = time.perf_counter()
        await Folding(database, HeldClock(system_clock)).fold(job.org_id, 0, job.until)
        return Filled(taken - begin, time.perf_counter() - taken)
    finally:
        await database.close()


def main() -> None:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(fill(job))))


if __name__ == "__main__":
    main()
