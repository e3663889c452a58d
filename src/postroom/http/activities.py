"""The handler of activities that somebody sends."""

import asyncio
from collections.abc import Iterator
from itertools import islice

from postroom.domain.activity import Activity, Deletion
from postroom.domain.errors import Invalid, PostroomError, Unavailable
from postroom.domain.live_source import check_source_name
from postroom.http.call import Call
from postroom.http.source_bodies import ActivitiesTaken
from postroom.http.spool import Spool, Told
from postroom.sources.ndjson import Rejected

TOGETHER = 500
"""Activities in a transaction; others wait for it."""


async def post(call: Call) -> ActivitiesTaken:
    """Take in activities, a JSON array of them or one on each line; sending them again is harmless."""
    source = check_source_name(call.query.source, "source")
    with Spool(call.site.activities_limit) as spool:
        await spool.fill(call.sent)
        return await _take(call, spool.records(source))


async def _take(call: Call, records: Iterator[Told]) -> ActivitiesTaken:
    told = ActivitiesTaken(0, 0, [])
    while batch := await asyncio.to_thread(lambda: list(islice(records, TOGETHER))):
        told = await _take_some(call, batch, told)
        if isinstance(batch[-1], PostroomError):
            raise batch[-1]
    return told


async def _take_some(call: Call, batch: list[Told], before: ActivitiesTaken) -> ActivitiesTaken:
    good = [record for record in batch if isinstance(record, (Activity, Deletion))]
    try:
        taken = await call.hub.intake.take(call.org_id, good)
    except (Invalid, Unavailable) as error:
        known = before.accepted + before.duplicates
        error.detail += f"; {known} activities were taken in, and it is harmless to send all again"
        raise
    rejected = [record for record in batch if isinstance(record, Rejected)]
    return ActivitiesTaken(
        before.accepted + taken.accepted,
        before.duplicates + taken.duplicates,
        [*before.rejected, *rejected],
    )
