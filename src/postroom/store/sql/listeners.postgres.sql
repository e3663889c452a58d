-- present_listener: a row if it still is a listener of this queue, which none of the two ceases before the commit
SELECT l.org_id, l.id FROM queues AS q
JOIN listeners AS l ON l.org_id = q.org_id AND l.queue_id = q.id
WHERE q.org_id = $1 AND q.id = $2 AND l.id = $3 FOR KEY SHARE OF q, l;
