-- newest_of_each_series: what tells whether an organization's totals have changed
SELECT t.series, t.started_at, t.last_at, t.events FROM series AS s
CROSS JOIN LATERAL (
    SELECT * FROM usage_totals AS last WHERE last.org_id = $1 AND last.series = s.number
    ORDER BY last.started_at DESC LIMIT 1
) AS t ORDER BY t.series;

-- segments_before: of each series, the last segment that started before each of four edges
SELECT e.edge, t.series, t.started_at, t.last_at, t.events, t.api_key_added, t.api_key_updated, t.api_key_deleted,
    t.queue_added, t.queue_updated, t.queue_deleted, t.listener_added, t.listener_updated, t.listener_deleted,
    t.message_added, t.message_published_ok, t.message_published_not_ok
FROM (VALUES (0, CAST($2 AS BIGINT)), (1, CAST($3 AS BIGINT)), (2, CAST($4 AS BIGINT)), (3, CAST($5 AS BIGINT)))
    AS e (edge, at)
CROSS JOIN series AS s
CROSS JOIN LATERAL (
    SELECT * FROM usage_totals AS last WHERE last.org_id = $1 AND last.series = s.number AND last.started_at < e.at
    ORDER BY last.started_at DESC LIMIT 1
) AS t;
