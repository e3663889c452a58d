"""The table of operations, from which the routes and the OpenAPI document are made.

Those whose path has variables are tried in this order, so the most frequent come first.
"""

from postroom.domain.errors import NameTaken, NotAuthenticated, NotFound, Unavailable
from postroom.http import (
    activities,
    analytics,
    analytics_bodies,
    api_keys,
    bodies,
    listeners,
    live_sources,
    messages,
    organizations,
    queues,
    source_bodies,
    statistics,
    system,
)
from postroom.http.accept import CSV, JSON
from postroom.http.call import Operation
from postroom.sources.ndjson import ActivityLine, DeletionLine

_QUEUE = "/queues/{queue_id}"
_LISTENER = _QUEUE + "/listeners/{listener_id}"
_MESSAGE = _QUEUE + "/messages/{message_id}"
_KEY = "/api_keys/{key_id}"
_METRICS = "/analytics/messagingMetrics"
_SOURCE = "/sources/{source_id}"
_HOMESERVER = _SOURCE + "/events"  # to which it appends paths of Matrix's specification
_LINES = ("application/x-ndjson", "application/jsonl", "application/ndjson")
_FORM = "application/x-www-form-urlencoded"
_GET, _MAKE, _PUT, _DELETE = ("GET",), ("POST", "PUT"), ("PUT",), ("DELETE",)
_PAGE, _MISSING, _TAKEN = bodies.PageQuery, (NotFound,), (NotFound, NameTaken)
_FOREIGN = (NotFound, NotAuthenticated, Unavailable)

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        _MAKE,
        _QUEUE + "/messages",
        messages.post,
        bodies.MessageAnswer,
        "messages",
        bodies.MessageBody,
        errors=_MISSING,
    ),
    Operation(
        _GET, "/stats/messages", statistics.get_messages, bodies.StatsAnswer, "stats", also="/messages/stats"
    ),
    Operation(
        ("POST",),
        _SOURCE + "/events",
        live_sources.post_events,
        source_bodies.Acknowledgement,
        takes=(JSON, _FORM),
        errors=_FOREIGN,
    ),
    Operation(
        _PUT,
        _HOMESERVER + "/_matrix/app/v1/transactions/{transaction_id}",
        live_sources.put_transaction,
        source_bodies.Acknowledgement,
        query=source_bodies.TokenQuery,
        takes=(JSON,),
        errors=_FOREIGN,
        also=_HOMESERVER + "/transactions/{transaction_id}",
    ),
    Operation(
        ("POST",),
        _HOMESERVER + "/_matrix/app/v1/ping",
        live_sources.post_ping,
        source_bodies.Acknowledgement,
        query=source_bodies.TokenQuery,
        takes=(JSON,),
        errors=_FOREIGN,
        also=_HOMESERVER + "/_matrix/app/unstable/fi.mau.msc2659/ping",
    ),
    Operation(
        ("POST",),
        "/activities",
        activities.post,
        source_bodies.ActivitiesTaken,
        "activities",
        None,
        source_bodies.ActivitiesQuery,
        takes=(JSON, *_LINES),
        items=(ActivityLine, DeletionLine),
    ),
    Operation(_GET, "/sources", live_sources.get_all, source_bodies.SourcesAnswer, "sources"),
    Operation(
        _MAKE,
        "/sources",
        live_sources.post,
        source_bodies.NewSourceAnswer,
        "sources",
        source_bodies.SourceBody,
    ),
    Operation(_GET, _SOURCE, live_sources.get, source_bodies.SourceAnswer, "sources", errors=_MISSING),
    Operation(
        _PUT,
        _SOURCE,
        live_sources.put,
        source_bodies.SourceAnswer,
        "sources",
        source_bodies.SourceChange,
        errors=_MISSING,
    ),
    Operation(_DELETE, _SOURCE, live_sources.delete, bodies.LinksAnswer, "sources", errors=_MISSING),
    Operation(
        _GET,
        _METRICS + "/dailyTotals",
        analytics.get_daily_totals,
        analytics_bodies.DailyTotalsAnswer,
        "analytics",
        None,
        analytics_bodies.DailyTotalsQuery,
        forms=(JSON, CSV),
    ),
    Operation(
        _GET,
        _METRICS + "/summary",
        analytics.get_summary,
        analytics_bodies.SummaryAnswer,
        "analytics",
        None,
        analytics_bodies.SpanQuery,
        forms=(JSON, CSV),
    ),
    Operation(
        _GET,
        _METRICS + "/explain",
        analytics.get_explanation,
        analytics_bodies.ExplanationAnswer,
        "analytics",
        None,
        analytics_bodies.ExplainQuery,
        forms=(JSON, CSV),
    ),
    Operation(
        _GET,
        _QUEUE + "/messages",
        messages.get_of_queue,
        bodies.MessagesAnswer,
        "messages",
        None,
        _PAGE,
        _MISSING,
    ),
    Operation(_GET, _MESSAGE, messages.get, bodies.MessageAnswer, "messages", errors=_MISSING),
    Operation(
        _PUT, _MESSAGE, messages.put, bodies.MessageAnswer, "messages", bodies.MessageChange, errors=_MISSING
    ),
    Operation(_DELETE, _MESSAGE, messages.delete, bodies.LinksAnswer, "messages", errors=_MISSING),
    Operation(
        _GET,
        _MESSAGE + "/attempts",
        messages.get_attempts,
        bodies.AttemptsAnswer,
        "messages",
        errors=_MISSING,
    ),
    Operation(_GET, "/messages", messages.get_all, bodies.MessagesAnswer, "messages", None, _PAGE),
    Operation(
        _GET, "/events", statistics.get_events, bodies.EventsAnswer, "events", None, bodies.EventsQuery
    ),
    Operation(_GET, "/queues", queues.get_all, bodies.QueuesAnswer, "queues"),
    Operation(
        _MAKE, "/queues", queues.post, bodies.QueueAnswer, "queues", bodies.QueueBody, errors=(NameTaken,)
    ),
    Operation(_GET, _QUEUE, queues.get, bodies.QueueAnswer, "queues", errors=_MISSING),
    Operation(_PUT, _QUEUE, queues.put, bodies.QueueAnswer, "queues", bodies.QueueChange, errors=_TAKEN),
    Operation(_DELETE, _QUEUE, queues.delete, bodies.LinksAnswer, "queues", errors=_MISSING),
    Operation(
        _GET,
        _QUEUE + "/schemas/{schema_id}",
        queues.get_schema,
        bodies.SchemaAnswer,
        "schemas",
        errors=_MISSING,
    ),
    Operation(_GET, "/listeners", listeners.get_all, bodies.ListenersAnswer, "listeners"),
    Operation(
        _GET,
        _QUEUE + "/listeners",
        listeners.get_of_queue,
        bodies.ListenersAnswer,
        "listeners",
        errors=_MISSING,
    ),
    Operation(
        _MAKE,
        _QUEUE + "/listeners",
        listeners.post,
        bodies.NewListenerAnswer,
        "listeners",
        bodies.ListenerBody,
        errors=_TAKEN,
    ),
    Operation(_GET, _LISTENER, listeners.get, bodies.ListenerAnswer, "listeners", errors=_MISSING),
    Operation(
        _PUT,
        _LISTENER,
        listeners.put,
        bodies.NamedListenerAnswer,
        "listeners",
        bodies.ListenerChange,
        errors=_TAKEN,
    ),
    Operation(_DELETE, _LISTENER, listeners.delete, bodies.LinksAnswer, "listeners", errors=_MISSING),
    Operation(_GET, "/api_keys", api_keys.get_all, bodies.ApiKeysAnswer, "api_keys"),
    Operation(
        _MAKE,
        "/api_keys",
        api_keys.post,
        bodies.SecretAnswer,
        "api_keys",
        bodies.ApiKeyBody,
        errors=(NameTaken,),
    ),
    Operation(_GET, _KEY, api_keys.get, bodies.ApiKeyAnswer, "api_keys", errors=_MISSING),
    Operation(_PUT, _KEY, api_keys.put, bodies.ApiKeyAnswer, "api_keys", bodies.ApiKeyChange, errors=_TAKEN),
    Operation(_DELETE, _KEY, api_keys.delete, bodies.LinksAnswer, "api_keys", errors=_MISSING),
    Operation(
        _MAKE,
        "/api_clients",
        organizations.post,
        bodies.ApiClientAnswer,
        "api_clients",
        bodies.ApiClientBody,
        errors=(NameTaken,),
    ),
    Operation(
        _PUT,
        "/api_clients/{client_id}",
        organizations.put,
        bodies.ApiClientAnswer,
        "api_clients",
        bodies.ApiClientBody,
        errors=_TAKEN,
    ),
    Operation(_GET, "/health", system.get_health, bodies.HealthAnswer),
    Operation(_GET, "/ready", system.get_ready, bodies.HealthAnswer, errors=(Unavailable,)),
)
