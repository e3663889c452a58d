"""Handlers of the analytics API."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from postroom.domain import day
from postroom.domain.api_key import Encoding
from postroom.domain.day import Span, iso
from postroom.domain.metrics import METRICS
from postroom.http import csv
from postroom.http.accept import CSV
from postroom.http.analytics_bodies import (
    Behind,
    ExplainQuery,
    ExplanationAnswer,
    LeftOut,
    Peak,
    SpanQuery,
    Summary,
    SummaryAnswer,
)
from postroom.http.answers import Made
from postroom.http.call import Call, Finished
from postroom.service import totals
from postroom.service.totals import Asked, Daily

_encode = msgspec.json.Encoder().encode
_DIGITS = 4


async def get_daily_totals(call: Call) -> Finished:
    """Count what happened on each past day."""
    encoding: Encoding = call.query.encoding or call.encoding

    async def make(yesterday: int) -> Made:
        span = day.span_of(call.query.from_, call.query.to, yesterday)
        daily = await call.hub.totals.daily(call.org_id, span, _asked(call.query))
        # What a hundred years take is longer than others should have to wait.
        body = await asyncio.to_thread(_daily_totals, call, span, daily, encoding)
        return Made(body, daily.stamp)

    return await _finished(call, encoding, make)


async def get_summary(call: Call) -> Finished:
    """Count people, spaces and messages of a range of past days, each once."""

    async def make(yesterday: int) -> Made:
        span = day.span_of(call.query.from_, call.query.to, yesterday)
        found = await call.hub.totals.summary(call.org_id, span, _asked(call.query))
        answer = SummaryAnswer(iso(span.first), iso(span.last), _summary(found))
        if call.form == CSV:
            days = {"startDate": answer.startDate, "endDate": answer.endDate}
            return Made(csv.record(days | msgspec.to_builtins(answer.summary)), found.stamp)
        return Made(_json(call, answer), found.stamp)

    return await _finished(call, None, make)


async def get_explanation(call: Call) -> ExplanationAnswer | Finished:
    """Show what is behind a number, by source, and what was left out of it."""
    query = call.query
    sought = day.one_of(query.date, "date", call.hub.totals.yesterday)
    found = await call.hub.totals.explain(call.org_id, sought, query.metric, _asked(query))
    behind = [
        Behind(each.source, each.value, LeftOut(*each.left_out), each.duplicates) for each in found.sources
    ]
    answer = ExplanationAnswer(iso(sought), query.metric, found.value, behind, found.complete)
    return Finished(csv.table(_by_source(answer)), CSV) if call.form == CSV else answer


async def _finished(
    call: Call, encoding: Encoding | None, make: Callable[[int], Awaitable[Made]]
) -> Finished:
    """The answer made last, while it is right, or one made anew; `make` is told which day was yesterday."""
    totals = call.hub.totals
    yesterday = totals.yesterday
    asked = call.org_id, call.query, encoding, call.form, yesterday
    stamp = await totals.stamp(call.org_id)
    return Finished(await call.site.answers.body(asked, stamp, lambda: make(yesterday)), call.form)


def _asked(query: SpanQuery | ExplainQuery) -> Asked:
    return Asked(query.bots == "include", query.deleted == "include", query.source)


def _daily_totals(call: Call, span: Span, daily: Daily, encoding: Encoding) -> bytes:
    columns = _columns(span, daily)
    if call.form == CSV:
        return csv.table(columns)
    shown = columns if encoding == "array" else {name: _text(each) for name, each in columns.items()}
    metrics = _nested({"dates": shown.pop("date"), **shown})
    return _json(call, {"startDate": iso(span.first), "endDate": iso(span.last), "metrics": metrics})


def _columns(span: Span, daily: Daily) -> dict[str, list[Any]]:
    """Every metric's values by its name, with the dates before and the marks behind them."""
    columns: dict[str, list[Any]] = {"date": [iso(each) for each in span]}
    for name, reads in METRICS.items():
        columns[name] = [reads(figures) for figures in daily.figures]
    columns["complete"] = daily.complete
    return columns


def _text(values: list[Any]) -> str:
    """A list in a string, in the documented way: dates in single quotes."""
    if values and isinstance(values[0], bool):
        return f"[{', '.join('true' if value else 'false' for value in values)}]"
    return str(values)


def _nested(columns: dict[str, Any]) -> dict[str, Any]:
    """What has a dot in its name goes into the object before the dot."""
    nested: dict[str, Any] = {}
    for name, values in columns.items():
        outer, _, inner = name.partition(".")
        if inner:
            nested.setdefault(outer, {})[inner] = values
        else:
            nested[outer] = values
    return nested


def _by_source(answer: ExplanationAnswer) -> dict[str, list[Any]]:
    """A row for each source, with the names of JSON."""
    sources = answer.sources
    return {
        "date": [answer.date for _ in sources],
        "metric": [answer.metric for _ in sources],
        "source": [each.source for each in sources],
        "value": [each.value for each in sources],
        "leftOut.deleted": [each.leftOut.deleted for each in sources],
        "leftOut.bots": [each.leftOut.bots for each in sources],
        "leftOut.system": [each.leftOut.system for each in sources],
        "duplicates": [each.duplicates for each in sources],
        "complete": [answer.complete for _ in sources],
    }


def _summary(found: totals.Summary) -> Summary:
    figures = found.figures
    return Summary(
        figures.people,
        round(found.people_a_day, _DIGITS),
        round(found.stickiness, _DIGITS),
        figures.counts.messages,
        figures.spaces,
        figures.groups,
        figures.directs,
        figures.counts.files,
        figures.counts.file_bytes,
        figures.counts.files_of_unknown_size,
        _peak(found.messages_peak),
        _peak(found.people_peak),
        found.complete,
    )


def _peak(peak: totals.Peak | None) -> Peak:
    return Peak(None, 0) if peak is None else Peak(iso(peak.day), peak.value)


def _json(call: Call, answer: object) -> bytes:
    body = _encode(answer)
    return msgspec.json.format(body, indent=2) if call.query.pretty else body
