-- share_queue: a row if there is such a queue; it stays, and so do its listeners, until the commit
SELECT org_id, id, version FROM queues WHERE org_id = $1 AND id = $2 FOR SHARE;

-- unchanged_queue: the same, of a queue that has had the same listeners since it had this version
SELECT 1 FROM queues WHERE org_id = $1 AND id = $2 AND version = $3 FOR SHARE;

-- hold_queue: nobody else changes what its listeners are owed before the commit
SELECT id FROM queues WHERE org_id = $1 AND id = $2 FOR UPDATE;
