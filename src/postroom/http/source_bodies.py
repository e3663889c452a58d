"""The JSON of live sources and of activities that comes in and goes out."""

import msgspec
from msgspec import UNSET, UnsetType

from postroom.domain.live_source import Kind, Status
from postroom.http.bodies import Answer, Query
from postroom.sources.ndjson import Rejected


class SourceBody(msgspec.Struct, frozen=True):
    """A live source to make; `name` is what its activity is kept under, its kind if none is given."""

    kind: Kind
    name: str | None = None
    secret: str | None = None


class SourceChange(msgspec.Struct, frozen=True):
    """What is to change of a live source."""

    name: str | UnsetType = UNSET
    secret: str | UnsetType = UNSET
    status: Status | UnsetType = UNSET


class SourceEvents(msgspec.Struct, frozen=True):
    """What became of a source's events, and when the last one came, ms since the epoch."""

    accepted: int
    duplicates: int
    ignored: int
    rejected: int
    last_event_at: int | None


class Source(msgspec.Struct, frozen=True):
    """A live source; `url` is where its platform sends to, which counts once its secret is known here."""

    id: str
    name: str
    kind: Kind
    status: Status
    url: str
    has_secret: bool
    created_at: int
    updated_at: int
    events: SourceEvents


class NewSource(msgspec.Struct, frozen=True, omit_defaults=True):
    """A new live source, with what its platform is to be told: a secret made here, Matrix's registration."""

    id: str
    name: str
    kind: Kind
    status: Status
    url: str
    secret: str | None = None
    registration: str | None = None


class SourcesAnswer(Answer, frozen=True):
    """All live sources of the organization."""

    sources: list[Source]


class SourceAnswer(Answer, frozen=True):
    """One live source."""

    source: Source


class NewSourceAnswer(Answer, frozen=True):
    """A new live source."""

    source: NewSource


class Acknowledgement(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a platform wants to hear: Slack its challenge, Zulip that there is no reply, others nothing."""

    challenge: str | None = None
    response_not_required: bool | None = None


class TokenQuery(Query, frozen=True):
    """The token of a homeserver from before version 1.4, which also sends it in a header later."""

    access_token: str = ""


class ActivitiesQuery(Query, frozen=True):
    """The source of activities that name none."""

    source: str = "api"


class ActivitiesTaken(msgspec.Struct, frozen=True):
    """How many activities and deletions were new, how many known before; which lines are none, and why."""

    accepted: int
    duplicates: int
    rejected: list[Rejected]
