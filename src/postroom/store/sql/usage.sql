-- insert_usage_event: one counted fact
INSERT INTO usage_events (org_id, id, series, kind, api_key_id, queue_id, listener_id, message_id, name)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- newest_segment: an organization's totals in one series so far
SELECT org_id, started_at, last_at, events, api_key_added, api_key_updated, api_key_deleted, queue_added,
    queue_updated, queue_deleted, listener_added, listener_updated, listener_deleted, message_added,
    message_published_ok, message_published_not_ok
FROM usage_totals WHERE org_id = $1 AND series = $2 AND started_at = (
    SELECT max(last.started_at) FROM usage_totals AS last WHERE last.org_id = $1 AND last.series = $2
);

-- newest_of_each_series: what tells whether an organization's totals have changed
SELECT t.series, t.started_at, t.last_at, t.events FROM series AS s
CROSS JOIN usage_totals AS t
WHERE t.org_id = $1 AND t.series = s.number AND t.started_at = (
    SELECT max(last.started_at) FROM usage_totals AS last WHERE last.org_id = $1 AND last.series = s.number
) ORDER BY t.series;

-- write_segment: a new segment, or the newest one extended
INSERT INTO usage_totals (org_id, series, started_at, last_at, events, api_key_added, api_key_updated,
    api_key_deleted, queue_added, queue_updated, queue_deleted, listener_added, listener_updated, listener_deleted,
    message_added, message_published_ok, message_published_not_ok)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
ON CONFLICT (org_id, series, started_at) DO UPDATE SET
    last_at = excluded.last_at, events = excluded.events,
    api_key_added = excluded.api_key_added, api_key_updated = excluded.api_key_updated,
    api_key_deleted = excluded.api_key_deleted, queue_added = excluded.queue_added,
    queue_updated = excluded.queue_updated, queue_deleted = excluded.queue_deleted,
    listener_added = excluded.listener_added, listener_updated = excluded.listener_updated,
    listener_deleted = excluded.listener_deleted, message_added = excluded.message_added,
    message_published_ok = excluded.message_published_ok,
    message_published_not_ok = excluded.message_published_not_ok;

-- segments_before: of each series, the last segment that started before each of four edges
SELECT e.edge, t.series, t.started_at, t.last_at, t.events, t.api_key_added, t.api_key_updated, t.api_key_deleted,
    t.queue_added, t.queue_updated, t.queue_deleted, t.listener_added, t.listener_updated, t.listener_deleted,
    t.message_added, t.message_published_ok, t.message_published_not_ok
FROM (
    SELECT 0 AS edge, CAST($2 AS BIGINT) AS at UNION ALL SELECT 1, CAST($3 AS BIGINT)
    UNION ALL SELECT 2, CAST($4 AS BIGINT) UNION ALL SELECT 3, CAST($5 AS BIGINT)
) AS e
CROSS JOIN series AS s
CROSS JOIN usage_totals AS t
WHERE t.org_id = $1 AND t.series = s.number AND t.started_at = (
    SELECT max(last.started_at) FROM usage_totals AS last
    WHERE last.org_id = $1 AND last.series = s.number AND last.started_at < e.at
);

-- next_event: the first one at or after an id
SELECT id FROM usage_events WHERE org_id = $1 AND id >= $2 ORDER BY id LIMIT 1;

-- count_events: of one series, by kind, from one id up to before another one
SELECT kind, count(*) FROM usage_events
WHERE org_id = $1 AND id >= $2 AND id < $3 AND series = $4 GROUP BY kind;

-- list_usage_events: after a cursor, oldest first
SELECT e.id, e.kind, e.api_key_id, e.queue_id, e.listener_id, e.message_id,
    coalesce(e.name, (SELECT m.name FROM messages AS m WHERE m.org_id = $1 AND m.id = e.message_id)),
    (SELECT q.name FROM queues AS q WHERE q.org_id = $1 AND q.id = e.queue_id),
    (SELECT l.name FROM listeners AS l WHERE l.org_id = $1 AND l.id = e.listener_id)
FROM usage_events AS e
WHERE e.org_id = $1 AND e.id > $2 AND e.kind BETWEEN $4 AND $5 ORDER BY e.id LIMIT $3;

-- list_rare_usage_events: of keys, queues and listeners, after a cursor, oldest first
SELECT e.id, e.kind, e.api_key_id, e.queue_id, e.listener_id, e.message_id,
    coalesce(e.name, (SELECT m.name FROM messages AS m WHERE m.org_id = $1 AND m.id = e.message_id)),
    (SELECT q.name FROM queues AS q WHERE q.org_id = $1 AND q.id = e.queue_id),
    (SELECT l.name FROM listeners AS l WHERE l.org_id = $1 AND l.id = e.listener_id)
FROM usage_events AS e
WHERE e.org_id = $1 AND e.id > $2 AND e.kind < 9 AND e.kind BETWEEN $4 AND $5 ORDER BY e.id LIMIT $3;

-- last_segment_start: when the latest segment of all organizations began
SELECT max(started_at) FROM usage_totals;

-- last_event_time: the latest time that was counted in a segment that began at or after a time
SELECT max(last_at) FROM usage_totals WHERE started_at >= $1;

-- delete_some_usage_events: a few of the oldest, before an id
DELETE FROM usage_events WHERE org_id = $1 AND id IN (
    SELECT id FROM usage_events WHERE org_id = $1 AND id < $2 ORDER BY id LIMIT $3
) RETURNING id;

-- thin_some_totals: of a stretch of time, delete a few segments that are not the last of their step
DELETE FROM usage_totals WHERE org_id = $1 AND series = $2 AND started_at IN (
    SELECT t.started_at FROM usage_totals AS t
    WHERE t.org_id = $1 AND t.series = $2 AND t.started_at >= $3 AND t.started_at < $4 AND (
        SELECT min(later.started_at) FROM usage_totals AS later
        WHERE later.org_id = $1 AND later.series = $2 AND later.started_at > t.started_at
    ) < (t.started_at / $5 + 1) * $5 ORDER BY t.started_at LIMIT $6
) RETURNING started_at;
