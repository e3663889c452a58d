-- The hub: organizations, keys, queues, listeners, messages, deliveries, attempts, usage.
--
-- Two sorts of tables. Small ones are edited one row at a time. Big ones (messages, deliveries,
-- attempts, usage_events, usage_totals, listener_counts, liveness) grow with the traffic; in each of
-- their keys org_id comes first, so that they can be distributed by it. The small ones never join
-- with a big one on anything but org_id and an id.

CREATE TABLE processes (
    series INTEGER PRIMARY KEY,  -- the series of running totals that this process writes
    seen_at INTEGER NOT NULL
) STRICT;

CREATE TABLE organizations (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    time_zone TEXT NOT NULL,
    created_by TEXT REFERENCES organizations (id),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
    org_id TEXT NOT NULL REFERENCES organizations (id),
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,  -- SHA-256 of the secret
    prefix TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('enabled', 'disabled')),
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    last_used_at INTEGER,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE queues (
    org_id TEXT NOT NULL REFERENCES organizations (id),
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    schema_id TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE schemas (
    org_id TEXT NOT NULL,
    queue_id TEXT NOT NULL,
    id TEXT NOT NULL,  -- SHA-256 of the canonical JSON
    body TEXT NOT NULL,
    PRIMARY KEY (org_id, queue_id, id),
    FOREIGN KEY (org_id, queue_id) REFERENCES queues (org_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE listeners (
    org_id TEXT NOT NULL,
    id TEXT NOT NULL,
    queue_id TEXT NOT NULL,
    name TEXT NOT NULL,
    notify_url TEXT NOT NULL,
    liveness_url TEXT NOT NULL,
    secret TEXT NOT NULL,  -- signs what is sent, so it is kept as it is
    status TEXT NOT NULL CHECK (status IN ('enabled', 'disabled')),
    slot INTEGER NOT NULL,  -- hash of the id, 0..255: who delivers
    created_at INTEGER NOT NULL,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, name),
    FOREIGN KEY (org_id, queue_id) REFERENCES queues (org_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX listeners_by_queue ON listeners (org_id, queue_id);

-- Queues and listeners that are gone while rows of theirs are still being removed, a few at a time.
CREATE TABLE removals (
    org_id TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('queue', 'listener')),
    PRIMARY KEY (org_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    org_id TEXT NOT NULL REFERENCES organizations (id),
    id TEXT NOT NULL,
    queue_id TEXT NOT NULL,
    name TEXT,
    data BLOB NOT NULL,
    PRIMARY KEY (org_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX messages_by_queue ON messages (org_id, queue_id, id);

CREATE TABLE deliveries (
    org_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    listener_id TEXT NOT NULL,
    state INTEGER NOT NULL,  -- 0 pending, 1 delivered, 2 failed, 3 discarded
    attempts INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    ended_at INTEGER,
    PRIMARY KEY (org_id, message_id, listener_id),
    FOREIGN KEY (org_id, message_id) REFERENCES messages (org_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_pending ON deliveries (org_id, listener_id, due_at, message_id) WHERE state = 0;
CREATE INDEX deliveries_failed ON deliveries (org_id, listener_id, message_id) WHERE state = 2;

CREATE TABLE attempts (
    org_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    listener_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    duration INTEGER NOT NULL,
    status INTEGER,
    error TEXT,
    answer BLOB NOT NULL,
    PRIMARY KEY (org_id, message_id, listener_id, number),
    FOREIGN KEY (org_id, message_id, listener_id)
        REFERENCES deliveries (org_id, message_id, listener_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- What became of a listener's deliveries, ever; what is pending is the difference.
CREATE TABLE listener_counts (
    org_id TEXT NOT NULL,
    listener_id TEXT NOT NULL,
    series INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    discarded INTEGER NOT NULL,
    PRIMARY KEY (org_id, listener_id, series)
) STRICT, WITHOUT ROWID;

CREATE TABLE liveness (
    org_id TEXT NOT NULL,
    listener_id TEXT NOT NULL,
    success_count INTEGER NOT NULL,
    failure_count INTEGER NOT NULL,
    recent TEXT NOT NULL,
    checked_at INTEGER,
    PRIMARY KEY (org_id, listener_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage_events (
    org_id TEXT NOT NULL,
    id TEXT NOT NULL,  -- carries the time
    series INTEGER NOT NULL,  -- the series of running totals that counts it
    kind INTEGER NOT NULL,
    api_key_id TEXT,
    queue_id TEXT,
    listener_id TEXT,
    message_id TEXT,
    name TEXT,
    PRIMARY KEY (org_id, id)
) STRICT, WITHOUT ROWID;
-- Events of keys, queues and listeners are few among those of messages: found without reading past them.
CREATE INDEX usage_events_rare ON usage_events (org_id, id) WHERE kind < 9;

CREATE TABLE usage_totals (
    org_id TEXT NOT NULL,
    series INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    events INTEGER NOT NULL,
    api_key_added INTEGER NOT NULL,
    api_key_updated INTEGER NOT NULL,
    api_key_deleted INTEGER NOT NULL,
    queue_added INTEGER NOT NULL,
    queue_updated INTEGER NOT NULL,
    queue_deleted INTEGER NOT NULL,
    listener_added INTEGER NOT NULL,
    listener_updated INTEGER NOT NULL,
    listener_deleted INTEGER NOT NULL,
    message_added INTEGER NOT NULL,
    message_published_ok INTEGER NOT NULL,
    message_published_not_ok INTEGER NOT NULL,
    PRIMARY KEY (org_id, series, started_at)
) STRICT, WITHOUT ROWID;
