-- hold_api_key: nobody else changes it before the commit
SELECT id FROM api_keys WHERE org_id = $1 AND id = $2 FOR UPDATE;
