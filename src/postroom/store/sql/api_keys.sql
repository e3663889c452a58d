-- insert_api_key: a new key, or no row where the name is taken
INSERT INTO api_keys (org_id, id, name, digest, prefix, status, scopes, created_at, updated_at, encoding)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)
ON CONFLICT (org_id, name) DO NOTHING RETURNING id;

-- find_api_key_by_digest: whose secret this is
SELECT org_id, id, name, prefix, status, scopes, created_at, updated_at, last_used_at, digest, encoding
FROM api_keys WHERE digest = $1;

-- find_api_key: one by id
SELECT org_id, id, name, prefix, status, scopes, created_at, updated_at, last_used_at, digest, encoding
FROM api_keys WHERE org_id = $1 AND id = $2;

-- list_api_keys: all of an organization, oldest first
SELECT org_id, id, name, prefix, status, scopes, created_at, updated_at, last_used_at, digest, encoding
FROM api_keys WHERE org_id = $1 ORDER BY id;

-- update_api_key: no row where the name is taken by another one
UPDATE api_keys SET name = $3, status = $4, scopes = $5, updated_at = $6, encoding = $7
WHERE org_id = $1 AND id = $2
AND NOT EXISTS (SELECT 1 FROM api_keys AS other WHERE other.org_id = $1 AND other.name = $3 AND other.id <> $2)
RETURNING id;

-- hold_api_key: nobody else changes it before the commit
SELECT id FROM api_keys WHERE org_id = $1 AND id = $2;

-- mark_api_key_used: when a key was used last
UPDATE api_keys SET last_used_at = $3
WHERE org_id = $1 AND id = $2 AND (last_used_at IS NULL OR last_used_at < $3);

-- delete_api_key: for good
DELETE FROM api_keys WHERE org_id = $1 AND id = $2;
