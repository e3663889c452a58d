-- hold_live_source: nobody else changes it before the commit
SELECT id FROM live_sources WHERE org_id = $1 AND id = $2 FOR UPDATE;

-- present_live_source: a row if it is there, where it then stays until the commit
SELECT id FROM live_sources WHERE org_id = $1 AND id = $2 FOR KEY SHARE;
