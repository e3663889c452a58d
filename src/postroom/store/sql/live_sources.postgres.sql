-- hold_live_source: nobody else changes it before the commit
SELECT id FROM live_sources WHERE org_id = $1 AND id = $2 FOR UPDATE;

-- keep_live_source: nobody deletes it before the commit
SELECT id FROM live_sources WHERE org_id = $1 AND id = $2 FOR KEY SHARE;
