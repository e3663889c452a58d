"""Handlers of live sources, and of what their platforms send."""

from postroom.domain.live_source import MADE_HERE, Counts, LiveSource
from postroom.http.bodies import LinksAnswer
from postroom.http.call import Call
from postroom.http.source_bodies import (
    Acknowledgement,
    NewSource,
    NewSourceAnswer,
    Source,
    SourceAnswer,
    SourceEvents,
    SourcesAnswer,
)
from postroom.sources.live.request import Request

TRANSACTION_LIMIT = 16 * 2**20
"""Bytes; a homeserver sends at most a hundred events together, and each has at most 64 KiB."""


async def get_all(call: Call) -> SourcesAnswer:
    """List the live sources of the organization."""
    visible, counts = call.visible("sources"), await call.hub.live_sources.counts(call.org_id)
    shown = [each for each in await call.hub.live_sources.of(call.org_id) if visible([each.id])]
    return SourcesAnswer(
        sources=[_shown(call, each, counts.get(each.id, Counts())) for each in shown],
        links=call.links("/sources", ((each.id, _path(each)) for each in shown)),
    )


async def post(call: Call) -> NewSourceAnswer:
    """Make a live source; the answer has the URL for its platform, and the secret where that is made here."""
    made = await call.hub.live_sources.create(call.org_id, call.body.kind, call.body.name, call.body.secret)
    url = _url(call, made)
    new = NewSource(
        made.id,
        made.name,
        made.kind,
        made.status,
        url,
        made.secret if made.kind in MADE_HERE and call.body.secret is None else None,
        call.hub.live_sources.registration(made, url) if made.kind == "matrix" else None,
    )
    return NewSourceAnswer(source=new, links=call.links(_path(made)))


async def get(call: Call) -> SourceAnswer:
    """Show a live source with what became of its events."""
    return await _answer(call, await call.hub.live_sources.get(call.org_id, call.path["source_id"]))


async def put(call: Call) -> SourceAnswer:
    """Change a live source; what is taken in from now on is kept under its new name."""
    changed = await call.hub.live_sources.update(
        call.org_id,
        call.path["source_id"],
        name=call.body.name,
        secret=call.body.secret,
        status=call.body.status,
    )
    return await _answer(call, changed)


async def delete(call: Call) -> LinksAnswer:
    """Delete a live source; the activity that it took in stays."""
    await call.hub.live_sources.delete(call.org_id, call.path["source_id"])
    return LinksAnswer(links=call.links(f"/sources/{call.path['source_id']}"))


async def post_events(call: Call) -> Acknowledgement:
    """Take in what a platform sends; it signs that itself, and needs no API key."""
    request = Request(call.sent.headers, await call.sent.whole(), call.hub.clock())
    heard = await call.hub.hearing.hear(call.path["source_id"], request)
    return Acknowledgement(heard.challenge, True if heard.kind == "zulip" else None)


async def put_transaction(call: Call) -> Acknowledgement:
    """Take in what a Matrix homeserver sends; it shows its token, and needs no API key."""
    await post_ping(call)  # so that nobody else gets to send as much
    request = _from_homeserver(call, await call.sent.whole(TRANSACTION_LIMIT))
    await call.hub.hearing.hear_transaction(call.path["source_id"], call.path["transaction_id"], request)
    return Acknowledgement()


async def post_ping(call: Call) -> Acknowledgement:
    """Answer a Matrix homeserver that asks whether it reaches this one and has the right token."""
    await call.hub.hearing.admit(call.path["source_id"], _from_homeserver(call, b""), to_matrix=True)
    return Acknowledgement()


def _from_homeserver(call: Call, body: bytes) -> Request:
    return Request(call.sent.headers, body, call.hub.clock(), call.query.access_token)


async def _answer(call: Call, source: LiveSource) -> SourceAnswer:
    counts = (await call.hub.live_sources.counts(call.org_id)).get(source.id, Counts())
    return SourceAnswer(source=_shown(call, source, counts), links=call.links(_path(source)))


def _shown(call: Call, each: LiveSource, counts: Counts) -> Source:
    return Source(
        each.id,
        each.name,
        each.kind,
        each.status,
        _url(call, each),
        bool(each.secret),
        each.created_at,
        each.updated_at,
        SourceEvents(
            counts.accepted, counts.duplicates, counts.ignored, counts.rejected, counts.last_event_at
        ),
    )


def _path(source: LiveSource) -> str:
    return f"/sources/{source.id}"


def _url(call: Call, source: LiveSource) -> str:
    return f"{call.base}/v1{_path(source)}/events"
