-- hold_queue: nobody else changes what its listeners are owed before the commit
SELECT id FROM queues WHERE org_id = $1 AND id = $2 FOR UPDATE;
