-- insert_message: accepted
INSERT INTO messages (org_id, id, queue_id, name, data) VALUES ($1, $2, $3, $4, $5);

-- find_message: one by id, in its queue
SELECT org_id, id, queue_id, name, data FROM messages WHERE org_id = $1 AND id = $2 AND queue_id = $3;

-- list_messages: of the queues that exist, newest first, from below a cursor
SELECT m.id, m.name, m.queue_id FROM messages AS m
WHERE m.org_id = $1 AND m.id < $2
AND (SELECT q.id FROM queues AS q WHERE q.org_id = $1 AND q.id = m.queue_id) IS NOT NULL
ORDER BY m.id DESC LIMIT $3;

-- list_messages_of_queue: newest first, from below a cursor
SELECT id, name, queue_id FROM messages
WHERE org_id = $1 AND id < $2 AND queue_id = $4 ORDER BY id DESC LIMIT $3;

-- rename_message: its name is all that can change
UPDATE messages SET name = $3 WHERE org_id = $1 AND id = $2;

-- delete_deliveries_of_message: with their attempts
DELETE FROM deliveries WHERE org_id = $1 AND message_id = $2;

-- delete_message: whose deliveries are deleted
DELETE FROM messages WHERE org_id = $1 AND id = $2;

-- delete_some_messages_of_queue: a few of a deleted queue; their deliveries are to be deleted
DELETE FROM messages WHERE org_id = $1 AND id IN (
    SELECT id FROM messages WHERE org_id = $1 AND queue_id = $2 ORDER BY id LIMIT $3
) RETURNING id;

-- some_old_messages: after a cursor, before a time, with when the last delivery ended; null while one is pending
SELECT m.id, CASE WHEN count(d.state) FILTER (WHERE d.state = 0) = 0 THEN coalesce(max(d.ended_at), 0) END
FROM (
    SELECT org_id, id FROM messages WHERE org_id = $1 AND id > $2 AND id < $3 ORDER BY id LIMIT $4
) AS m
LEFT JOIN deliveries AS d ON d.org_id = $1 AND d.message_id = m.id
GROUP BY m.org_id, m.id ORDER BY m.id;

-- message_data: what is to be sent
SELECT data FROM messages WHERE org_id = $1 AND id = $2;
