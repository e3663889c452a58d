"""Exports to import that tests write in our own format, and what an import of one should come to."""

import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from postroom.domain.activity import Activity, Damaged, Deletion
from postroom.domain.clock import DAY
from postroom.domain.imports import Summary
from postroom.service.exports import Export, opened
from postroom.service.hub import Hub
from postroom.service.imports import Imports
from tests.sources.exports import lines, records
from tests.sources.samples import AT
from tests.support.recount import Found, Key, Recount, cells_of

DAYS: Final = 40
ALL_DAYS: Final = 0, 100_000


def written(path: Path, count: int, seed: int = 1) -> Path:
    """An export with so many records: of each ten or so one comes twice, and one is deleted at some time."""
    chance = random.Random(seed)
    path.write_bytes(lines(*(_record(chance, count) for _ in range(count))))
    return path


def _record(chance: random.Random, count: int) -> dict[str, Any]:
    number = chance.randrange(count * 2)
    if number % 10 == 3:
        return {"message_id": f"m-{chance.randrange(count * 2)}", "deleted": True}
    some = random.Random(number)  # a message that comes twice is the same
    return {
        "message_id": f"m-{number}",
        "at": AT + some.randrange(DAYS * DAY),
        "person": f"p-{some.randrange(50)}",
        "space": f"s-{some.randrange(20)}",
        "direct": some.random() < 0.3,
        "by_bot": some.random() < 0.1,
        "files": 2,
        "file_bytes": some.randrange(1000),
        "client": some.choice(["desktop", "mobile", "unknown"]),
        **({"source": "other"} if some.random() < 0.1 else {}),
    }


def recounted(*paths: Path, platform: str = "ndjson") -> Recount:
    """What the exports come to, taken in once each and in this order."""
    counted = Recount()
    for path in paths:
        counted.take(taken_from(path, platform))
    return counted


def taken_from(path: Path, platform: str = "ndjson") -> list[Activity | Deletion]:
    """All that an export has to be taken in."""
    return [record for record in records(platform, path) if isinstance(record, (Activity, Deletion))]


async def totals(hub: Hub, org_id: str) -> dict[Key, Found]:
    """All days as they are answered."""
    return cells_of(await hub.folding.days(org_id, *ALL_DAYS))


class Watching:
    """Watches an import, and stops it when `until` says so of the records that are taken."""

    def __init__(self, until: Callable[[int], bool] = lambda _: False) -> None:
        self.told: list[Damaged] = []
        self.records: list[int] = []
        self.steps: list[tuple[int, int]] = []
        self._until = until
        self._stopped = False

    def damaged(self, each: Damaged) -> None:
        """Keep it."""
        self.told.append(each)

    def reached(self, records: int) -> None:
        """Keep it."""
        self.records.append(records)
        self._stopped = self._stopped or self._until(records)

    def folded(self, steps: int, of: int) -> None:
        """Keep it."""
        self.steps.append((steps, of))

    def stopped(self) -> bool:
        """Once it should."""
        return self._stopped


async def imported(
    hub: Hub, org_id: str, path: Path, watching: Watching | None = None, platform: str = "ndjson"
) -> Summary | None:
    """Import the export at a path."""
    with opened(platform, path, platform) as export:
        return await imported_from(hub, org_id, export, watching or Watching())


async def imported_from(hub: Hub, org_id: str, export: Export, watching: Watching) -> Summary | None:
    """Import what is open."""
    return await Imports(hub.database, hub.intake, hub.folding, hub.clock).run(org_id, export, watching)


def together(summaries: Iterable[Summary | None]) -> tuple[int, int, int]:
    """New messages, new deletions and duplicates of several that came to their end."""
    ended = [each for each in summaries if each is not None]
    return (
        sum(each.messages for each in ended),
        sum(each.deletions for each in ended),
        sum(each.duplicates for each in ended),
    )
