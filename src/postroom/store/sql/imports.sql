-- find_unfinished_import: of those of an export, the one that came furthest
SELECT id, state FROM imports WHERE org_id = $1 AND fingerprint = $2 AND finished_at IS NULL
ORDER BY records DESC, id LIMIT 1;

-- insert_import: nothing was taken in yet
INSERT INTO imports (org_id, id, runner, platform, source, fingerprint, started_at, records, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8);

-- claim_import: from now on somebody else keeps how far it is
UPDATE imports SET runner = $3 WHERE org_id = $1 AND id = $2;

-- keep_import: how far it is, if it is still this runner's
UPDATE imports SET records = $4, state = $5
WHERE org_id = $1 AND id = $2 AND runner = $3 AND finished_at IS NULL;

-- finish_imports: everything of the export is taken in, whoever began to
UPDATE imports SET finished_at = $3, first_day = $4, last_day = $5
WHERE org_id = $1 AND fingerprint = $2 AND finished_at IS NULL;

-- list_import_days: of which source and days each import is, and when it began and was finished
SELECT source, started_at, finished_at, first_day, last_day FROM imports WHERE org_id = $1;
