"""The JSON that comes in and goes out."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType, field

from postroom.domain.api_key import Encoding

Raw = dict[str, Any]
Status = Literal["enabled", "disabled"]


class Link(msgspec.Struct, frozen=True):
    """Where something is."""

    href: str


Links = dict[str, Link]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Every answer has links: `self`, then one for each thing it speaks of, by its name."""

    links: Links = field(name="_links")


class Named(msgspec.Struct, frozen=True):
    """A thing with its name; only messages may have none."""

    id: str
    name: str | None


# What comes in.


class ApiClientBody(msgspec.Struct, frozen=True):
    """An organization to make, or the new name of one."""

    name: str


class ApiKeyBody(msgspec.Struct, frozen=True):
    """A key to make; without scopes: write queues, listeners, messages; read events, schemas, stats."""

    name: str
    status: Status = "enabled"
    scopes: list[Any] | None = None
    encoding: Encoding | None = None


class ApiKeyChange(msgspec.Struct, frozen=True):
    """What is to change of a key; the scopes replace all that it had."""

    name: str | UnsetType = UNSET
    status: Status | UnsetType = UNSET
    scopes: list[Any] | UnsetType = UNSET
    encoding: Encoding | UnsetType | None = UNSET


class QueueBody(msgspec.Struct, frozen=True):
    """A queue to make; a schema is a map of property names to rules."""

    name: str
    schema: Raw | None = None


class QueueChange(msgspec.Struct, frozen=True):
    """What is to change of a queue; a schema of null lets every message in."""

    name: str | UnsetType = UNSET
    schema: Raw | UnsetType | None = UNSET


class ListenerBody(msgspec.Struct, frozen=True):
    """A listener to make."""

    name: str
    notify_url: str
    liveness_url: str


class ListenerChange(msgspec.Struct, frozen=True):
    """What is to change of a listener."""

    name: str | UnsetType = UNSET
    notify_url: str | UnsetType = UNSET
    liveness_url: str | UnsetType = UNSET
    status: Status | UnsetType = UNSET


class MessageBody(msgspec.Struct, frozen=True):
    """A message to send; `data` is what the listeners are sent."""

    data: str
    name: str | None = None


class MessageChange(msgspec.Struct, frozen=True):
    """The new name of a message."""

    name: str | None


# What goes out.


class LinksAnswer(Answer, frozen=True):
    """Nothing but links: it is deleted."""


class ApiClientAnswer(Answer, frozen=True):
    """An organization."""

    api_client: Named


class ApiKey(msgspec.Struct, frozen=True):
    """An API key; `key` is only the secret's first characters. Times are ms since the epoch."""

    id: str
    name: str
    created_at: int
    updated_at: int
    last_used_at: int | None
    key: str
    status: Status
    scopes: list[Raw]
    encoding: Encoding | None


class ApiKeysAnswer(Answer, frozen=True):
    """All keys of the organization."""

    api_keys: list[ApiKey]


class ApiKeyAnswer(Answer, frozen=True):
    """One key."""

    api_key: ApiKey


class SecretAnswer(Answer, frozen=True):
    """The secret of a new key, shown this once."""

    api_key: str


class Queue(msgspec.Struct, frozen=True):
    """A queue with its schema, if it has one."""

    id: str
    name: str
    schema: Raw | None


class QueuesAnswer(Answer, frozen=True):
    """All queues of the organization."""

    queues: list[Named]


class QueueAnswer(Answer, frozen=True):
    """One queue; the links name its listeners."""

    queue: Queue


class SchemaAnswer(Answer, frozen=True):
    """A version of a queue's schema."""

    schema: Raw


class Liveness(msgspec.Struct, frozen=True):
    """What the probes of the liveness URL found."""

    state: str
    success_count: int
    failure_count: int


class ListenerMessages(msgspec.Struct, frozen=True):
    """What became of a listener's deliveries; `missed` are the newest messages it never took, at most 100."""

    accepted_count: int
    acknowledged_count: int
    pending_count: int
    discarded_count: int
    missed_count: int
    missed: list[str]


class Listener(msgspec.Struct, frozen=True):
    """A listener."""

    id: str
    name: str
    status: Status
    liveness: Liveness
    messages: ListenerMessages
    notify_url: str
    liveness_url: str


class NewListener(msgspec.Struct, frozen=True):
    """A new listener with the secret that signs what it is sent, shown this once."""

    id: str
    name: str
    secret: str


class ListenersAnswer(Answer, frozen=True):
    """Listeners."""

    listeners: list[Listener]


class ListenerAnswer(Answer, frozen=True):
    """One listener."""

    listener: Listener


class NewListenerAnswer(Answer, frozen=True):
    """A new listener."""

    listener: NewListener


class NamedListenerAnswer(Answer, frozen=True):
    """A changed listener."""

    listener: Named


class MessagesAnswer(Answer, frozen=True):
    """Messages, newest first; the link `next` is there when there are more."""

    messages: list[Named]


class MessageAnswer(Answer, frozen=True):
    """One message."""

    message: Named


class Attempt(msgspec.Struct, frozen=True):
    """A request made for a message; times in ms, `at` since the epoch; `answer` has at most 20,000 bytes."""

    listener: Named
    number: int
    at: int
    duration: int
    status: int | None
    error: str | None
    answer: str


class AttemptsAnswer(Answer, frozen=True):
    """All requests made for a message, in the order made."""

    attempts: list[Attempt]


class Client(msgspec.Struct, frozen=True):
    """The organization that an event belongs to."""

    id: str


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """A usage event with what it is about; `stored_at` is ms since the epoch."""

    id: str
    type: str
    stored_at: int
    client: Client
    api_key: Named | None = None
    queue: Named | None = None
    listener: Named | None = None
    message: Named | None = None


class EventsAnswer(Answer, frozen=True):
    """Events, oldest first; the link `next` is there when there are more."""

    events: list[Event]


class Counters(msgspec.Struct, frozen=True):
    """The twelve counters."""

    api_key_added: int
    api_key_updated: int
    api_key_deleted: int
    queue_added: int
    queue_updated: int
    queue_deleted: int
    listener_added: int
    listener_updated: int
    listener_deleted: int
    message_added: int
    message_published_ok: int
    message_published_not_ok: int


class Windows(msgspec.Struct, frozen=True):
    """The counters of each window that ends now."""

    last_24_hours: Counters
    last_1_hours: Counters
    today_so_far: Counters


class StatsAnswer(Answer, frozen=True):
    """What happened lately."""

    aggregated_api_usage_events: Windows


class HealthAnswer(msgspec.Struct, frozen=True):
    """This process answers; as `ready`, it also writes its database and delivers."""

    status: Literal["ok"]
    version: str


# What may stand behind the question mark.


class Query(msgspec.Struct, frozen=True):
    """Every operation can answer indented."""

    pretty: bool = False


class PageQuery(Query, frozen=True):
    """At most `limit` of a list, 1 to 1000, from after the item with this id."""

    limit: int = 1000
    startAfterId: str | None = None  # noqa: N815 - the documented name


class EventsQuery(Query, frozen=True):
    """Events of one sort after a time (ms since the epoch), and after an id in that millisecond."""

    events: Literal["all", "api_keys", "listeners", "messages", "queues"] = "all"
    limit: int = 100
    startAfter: int | None = None  # noqa: N815 - the documented name
    startAfterId: str | None = None  # noqa: N815 - the documented name
