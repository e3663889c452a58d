-- unfinished_copies: into this database
SELECT source FROM copies WHERE finished_at IS NULL ORDER BY source;

-- begin_copy: rows of the source follow; from now on nobody may work on this database
INSERT INTO copies (source, started_at) VALUES ($1, $2)
ON CONFLICT (source) DO UPDATE SET started_at = excluded.started_at, finished_at = NULL;

-- finish_copy: all rows are here
UPDATE copies SET finished_at = $2 WHERE source = $1;

-- serving_processes: those whose time has not passed
SELECT id, expires_at FROM processes WHERE expires_at >= $1 ORDER BY id;
