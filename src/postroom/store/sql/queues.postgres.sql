-- present_queue: a row if there is such a queue, and is until the commit
SELECT org_id, id FROM queues WHERE org_id = $1 AND id = $2 FOR KEY SHARE;

-- hold_queue: nobody else changes what its listeners are owed before the commit
SELECT id FROM queues WHERE org_id = $1 AND id = $2 FOR UPDATE;
