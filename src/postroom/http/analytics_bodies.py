"""What the analytics API is asked, and the JSON that it answers; names are the documented ones."""

# ruff: noqa: N815
from typing import Literal

import msgspec
from msgspec import field

from postroom.domain.api_key import Encoding
from postroom.http.bodies import Query

Mentioned = Literal["include", "exclude"]
Numbers = list[int] | str
Dates = list[str] | str
Marks = list[bool] | str


class SpanQuery(Query, frozen=True):
    """Days from a date or time to another; which activity of them; of which source."""

    from_: str | None = field(default=None, name="from")
    to: str | None = None
    bots: Mentioned = "exclude"
    deleted: Mentioned = "include"
    source: str | None = None


class DailyTotalsQuery(SpanQuery, frozen=True):
    """The same, and how lists are shown."""

    encoding: Encoding | None = None


class ExplainQuery(Query, frozen=True):
    """A day, yesterday if none is given, and a metric of it."""

    date: str | None = None
    metric: str = "totalMessagesSent"
    bots: Mentioned = "exclude"
    deleted: Mentioned = "include"
    source: str | None = None


class Sharing(msgspec.Struct, frozen=True):
    """Files, and their bytes, where the platform tells them."""

    totalFilesShared: Numbers
    fileShareSize: Numbers
    filesOfUnknownSize: Numbers


class Metrics(msgspec.Struct, frozen=True):
    """Lists with an entry for each day, or strings that hold such lists."""

    dates: Dates
    dailyActiveUsers: Numbers
    totalMessagesSent: Numbers
    deskTopMessagesSent: Numbers
    mobileMessagesSent: Numbers
    totalActiveSpaces: Numbers
    groupActiveSpaces: Numbers
    one2oneActiveSpaces: Numbers
    video: Numbers
    sharing: Sharing
    recording: Numbers
    audio: Numbers
    otherClientMessagesSent: Numbers
    unknownClientMessagesSent: Numbers
    complete: Marks


class DailyTotalsAnswer(msgspec.Struct, frozen=True):
    """What each day of a range came to."""

    startDate: str
    endDate: str
    metrics: Metrics


class Peak(msgspec.Struct, frozen=True):
    """The first day that had the most; no day where there was nothing."""

    date: str | None
    value: int


class Summary(msgspec.Struct, frozen=True):
    """What a range of days came to: people and spaces are counted once, however often they were active."""

    activeUsers: int
    averageDailyActiveUsers: float
    stickiness: float
    totalMessagesSent: int
    activeSpaces: int
    groupActiveSpaces: int
    one2oneActiveSpaces: int
    totalFilesShared: int
    fileShareSize: int
    filesOfUnknownSize: int
    peakMessages: Peak
    peakActiveUsers: Peak
    complete: bool


class SummaryAnswer(msgspec.Struct, frozen=True):
    """What a range of days came to."""

    startDate: str
    endDate: str
    summary: Summary


class LeftOut(msgspec.Struct, frozen=True):
    """By how much the number would be higher without each rule."""

    deleted: int
    bots: int
    system: int


class Behind(msgspec.Struct, frozen=True):
    """A source's part of a number; `duplicates` are messages that came again, and counted once."""

    source: str
    value: int
    leftOut: LeftOut
    duplicates: int


class ExplanationAnswer(msgspec.Struct, frozen=True):
    """A number, and what is behind it."""

    date: str
    metric: str
    value: int
    sources: list[Behind]
    complete: bool
