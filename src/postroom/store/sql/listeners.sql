-- insert_listener: a new listener, or no row where the name is taken
INSERT INTO listeners (org_id, id, queue_id, name, notify_url, liveness_url, secret, status, slot, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (org_id, name) DO NOTHING RETURNING id;

-- find_listener: one by id
SELECT org_id, id, queue_id, name, notify_url, liveness_url, secret, status, slot, created_at
FROM listeners WHERE org_id = $1 AND id = $2;

-- list_listeners: all of an organization, oldest first
SELECT org_id, id, queue_id, name, notify_url, liveness_url, secret, status, slot, created_at
FROM listeners WHERE org_id = $1 ORDER BY id;

-- list_listeners_of_queue: oldest first
SELECT org_id, id, queue_id, name, notify_url, liveness_url, secret, status, slot, created_at
FROM listeners WHERE org_id = $1 AND queue_id = $2 ORDER BY id;

-- list_listeners_of_slot: of all organizations
SELECT org_id, id, queue_id, name, notify_url, liveness_url, secret, status, slot, created_at
FROM listeners WHERE slot = $1;

-- list_every_listener: of all organizations
SELECT org_id, id, queue_id, name, notify_url, liveness_url, secret, status, slot, created_at
FROM listeners ORDER BY org_id, id;

-- recipients: of a queue, the listeners that a message accepted now goes to
SELECT org_id, queue_id, id FROM listeners WHERE org_id = $1 AND queue_id = $2 ORDER BY id;

-- present_listener: a row if it still is a listener of this queue, which none of the two ceases before the commit
SELECT l.org_id, l.id FROM queues AS q
JOIN listeners AS l ON l.org_id = q.org_id AND l.queue_id = q.id
WHERE q.org_id = $1 AND q.id = $2 AND l.id = $3;

-- update_listener: no row where the name is taken by another one
UPDATE listeners SET name = $3, notify_url = $4, liveness_url = $5, status = $6
WHERE org_id = $1 AND id = $2
AND NOT EXISTS (SELECT 1 FROM listeners AS other WHERE other.org_id = $1 AND other.name = $3 AND other.id <> $2)
RETURNING id;

-- set_listener_status: after the receiver answered that it is gone
UPDATE listeners SET status = $3 WHERE org_id = $1 AND id = $2;

-- delete_listener: for good
DELETE FROM listeners WHERE org_id = $1 AND id = $2;

-- insert_removal: rows of this queue or listener are to be removed
INSERT INTO removals (org_id, id, kind) VALUES ($1, $2, $3);

-- list_removals: what is being removed
SELECT org_id, id, kind FROM removals;

-- delete_removal: all is removed
DELETE FROM removals WHERE org_id = $1 AND id = $2;

-- add_listener_counts: what one commit adds
INSERT INTO listener_counts (org_id, listener_id, series, accepted, delivered, failed, discarded)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (org_id, listener_id, series) DO UPDATE SET
    accepted = listener_counts.accepted + excluded.accepted,
    delivered = listener_counts.delivered + excluded.delivered,
    failed = listener_counts.failed + excluded.failed,
    discarded = listener_counts.discarded + excluded.discarded;

-- read_listener_counts: of one listener, over all series
SELECT CAST(sum(accepted) AS BIGINT), CAST(sum(delivered) AS BIGINT), CAST(sum(failed) AS BIGINT),
    CAST(sum(discarded) AS BIGINT)
FROM listener_counts WHERE org_id = $1 AND listener_id = $2;

-- list_listener_counts: of every listener of an organization, the deleted ones too
SELECT listener_id, CAST(sum(accepted) AS BIGINT), CAST(sum(delivered) AS BIGINT), CAST(sum(failed) AS BIGINT),
    CAST(sum(discarded) AS BIGINT)
FROM listener_counts WHERE org_id = $1 GROUP BY listener_id ORDER BY listener_id;

-- read_liveness: what the probes of a listener found
SELECT success_count, failure_count, recent, checked_at FROM liveness WHERE org_id = $1 AND listener_id = $2;

-- list_liveness: what the probes found, of every listener
SELECT org_id, listener_id, success_count, failure_count, recent, checked_at FROM liveness;

-- list_liveness_like: what the probes found, of every listener whose last results are like these
SELECT org_id, listener_id, success_count, failure_count, recent, checked_at FROM liveness WHERE recent LIKE $1;

-- write_liveness: what the probes of a listener found by now
INSERT INTO liveness (org_id, listener_id, success_count, failure_count, recent, checked_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (org_id, listener_id) DO UPDATE SET
    success_count = excluded.success_count, failure_count = excluded.failure_count,
    recent = excluded.recent, checked_at = excluded.checked_at;

-- delete_liveness: with its listener
DELETE FROM liveness WHERE org_id = $1 AND listener_id = $2;

-- waiting_listeners: of all organizations, those that are owed something
SELECT org_id, listener_id FROM listener_counts
GROUP BY org_id, listener_id HAVING sum(accepted - delivered - failed - discarded) > 0;

-- unfinished_listeners: of all organizations, those with something pending or failed
SELECT org_id, listener_id FROM listener_counts
GROUP BY org_id, listener_id HAVING sum(accepted - delivered - discarded) > 0;
