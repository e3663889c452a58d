-- What changes deliveries asks for `state < 1`, not `= 0`: so PostgreSQL, whose statistics of the hot table are
-- always old, cannot take the index of what is pending for the better one, and finds each row by its key.

-- insert_delivery: owed from now on
INSERT INTO deliveries (org_id, message_id, listener_id, state, attempts, due_at) VALUES ($1, $2, $3, 0, 0, $4);

-- retry_delivery: a failed attempt that another one follows; the row only while it waited for this one
UPDATE deliveries SET attempts = $4, due_at = $5
WHERE org_id = $1 AND message_id = $2 AND listener_id = $3 AND state < 1 AND attempts = $4 - 1
RETURNING message_id, listener_id;

-- end_delivery: delivered or failed for good; the row only while it waited for this attempt
UPDATE deliveries SET attempts = $4, state = $5, ended_at = $6
WHERE org_id = $1 AND message_id = $2 AND listener_id = $3 AND state < 1 AND attempts = $4 - 1
RETURNING message_id, listener_id;

-- insert_attempt: one request made
INSERT INTO attempts (org_id, message_id, listener_id, number, at, duration, status, error, answer)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- find_attempt: one that was written before
SELECT message_id, listener_id, at FROM attempts
WHERE org_id = $1 AND message_id = $2 AND listener_id = $3 AND number = $4;

-- list_attempts: for a message, in the order made
SELECT listener_id, number, at, duration, status, error, answer FROM attempts
WHERE org_id = $1 AND message_id = $2 ORDER BY at, listener_id, number;

-- due_deliveries: of one listener, those due since $6, the longest due first, with what is to be sent where that is short
SELECT d.message_id, d.attempts, (
    SELECT CASE WHEN length(m.data) <= $5 THEN m.data END FROM messages AS m WHERE m.org_id = $1 AND m.id = d.message_id
), d.due_at
FROM deliveries AS d
WHERE d.org_id = $1 AND d.listener_id = $2 AND d.state = 0 AND d.due_at BETWEEN $6 AND $3
ORDER BY d.due_at, d.message_id LIMIT $4;

-- next_due: when a listener's next delivery after a time is due
SELECT due_at FROM deliveries WHERE org_id = $1 AND listener_id = $2 AND state = 0 AND due_at > $3
ORDER BY due_at LIMIT 1;

-- hasten_deliveries: some that wait for a later time become due
UPDATE deliveries SET due_at = $3
WHERE org_id = $1 AND listener_id = $2 AND state < 1 AND message_id IN (
    SELECT message_id FROM deliveries
    WHERE org_id = $1 AND listener_id = $2 AND state = 0 AND due_at > $3 ORDER BY due_at LIMIT $4
) RETURNING message_id;

-- discard_of_message: whoever still waits for it waits no more
UPDATE deliveries SET state = 3, ended_at = $3 WHERE org_id = $1 AND message_id = $2 AND state < 1
RETURNING listener_id;

-- missed: the newest deliveries of a listener whose schedule is used up
SELECT message_id FROM deliveries
WHERE org_id = $1 AND listener_id = $2 AND state = 2 ORDER BY message_id DESC LIMIT $3;

-- discard_some_deliveries: a few of a deleted listener
UPDATE deliveries SET state = 3, ended_at = $3
WHERE org_id = $1 AND listener_id = $2 AND state < 1 AND message_id IN (
    SELECT message_id FROM deliveries
    WHERE org_id = $1 AND listener_id = $2 AND state = 0 ORDER BY due_at LIMIT $4
) RETURNING message_id;

-- count_pending: of every listener of an organization; without its message, a delivery is none
SELECT d.listener_id, count(*) FROM deliveries AS d
WHERE d.org_id = $1 AND d.state = 0
AND (SELECT m.id FROM messages AS m WHERE m.org_id = $1 AND m.id = d.message_id) IS NOT NULL
GROUP BY d.listener_id;
