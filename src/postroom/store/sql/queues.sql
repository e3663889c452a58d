-- insert_queue: a new queue, or no row where the name is taken
INSERT INTO queues (org_id, id, name, schema_id, created_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (org_id, name) DO NOTHING RETURNING id;

-- insert_schema: one version of a queue's schema, kept for good
INSERT INTO schemas (org_id, queue_id, id, body) VALUES ($1, $2, $3, $4)
ON CONFLICT (org_id, queue_id, id) DO NOTHING;

-- find_schema: one version of a queue's schema
SELECT body FROM schemas WHERE org_id = $1 AND queue_id = $2 AND id = $3;

-- find_queue: one by id, with its schema
SELECT q.org_id, q.id, q.name, q.schema_id, s.body, q.created_at FROM queues AS q
LEFT JOIN schemas AS s ON s.org_id = q.org_id AND s.queue_id = q.id AND s.id = q.schema_id
WHERE q.org_id = $1 AND q.id = $2;

-- find_queue_by_name: one by name, with its schema
SELECT q.org_id, q.id, q.name, q.schema_id, s.body, q.created_at FROM queues AS q
LEFT JOIN schemas AS s ON s.org_id = q.org_id AND s.queue_id = q.id AND s.id = q.schema_id
WHERE q.org_id = $1 AND q.name = $2;

-- list_queues: all of an organization, oldest first
SELECT q.org_id, q.id, q.name, q.schema_id, s.body, q.created_at FROM queues AS q
LEFT JOIN schemas AS s ON s.org_id = q.org_id AND s.queue_id = q.id AND s.id = q.schema_id
WHERE q.org_id = $1 ORDER BY q.id;

-- update_queue: no row where the name is taken by another one
UPDATE queues SET name = $3, schema_id = $4
WHERE org_id = $1 AND id = $2
AND NOT EXISTS (SELECT 1 FROM queues AS other WHERE other.org_id = $1 AND other.name = $3 AND other.id <> $2)
RETURNING id;

-- share_queue: a row if there is such a queue; it stays, and so do its listeners, until the commit
SELECT org_id, id, version FROM queues WHERE org_id = $1 AND id = $2;

-- unchanged_queue: the same, of a queue that has had the same listeners since it had this version
SELECT 1 FROM queues WHERE org_id = $1 AND id = $2 AND version = $3;

-- change_queue: its listeners are not the same any more
UPDATE queues SET version = version + 1 WHERE org_id = $1 AND id = $2;

-- hold_queue: nobody else changes what its listeners are owed before the commit
SELECT id FROM queues WHERE org_id = $1 AND id = $2;

-- delete_queue: with its schemas and listeners
DELETE FROM queues WHERE org_id = $1 AND id = $2;
