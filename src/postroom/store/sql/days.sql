-- activity_stamp: equal while no fold, and no new fact of days up to this one, changes an answer about them
SELECT revision, -2 AS day, '' AS writer, 0 AS changes FROM activity_heads WHERE org_id = $1
UNION ALL
SELECT 0, day, writer, changes FROM dirty_days WHERE org_id = $1 AND day <= $2;

-- list_dirty_days: days whose totals are older than their facts, with what makes them so
SELECT day, writer, changes FROM dirty_days WHERE org_id = $1 AND day BETWEEN $2 AND $3 ORDER BY day, writer;

-- list_dirty_organizations: those that have such days
SELECT org_id FROM dirty_days WHERE day BETWEEN 0 AND $1 GROUP BY org_id;

-- unmark_day: the totals hold these changes, where no more have come
DELETE FROM dirty_days WHERE org_id = $1 AND day = $2 AND writer = $3 AND changes = $4;

-- note_fold: a row unless somebody else has folded in the meantime
UPDATE activity_heads SET revision = revision + 1 WHERE org_id = $1 AND revision = $2 RETURNING revision;

-- note_change: an answer about past days changes though no fact does
UPDATE activity_heads SET revision = revision + 1 WHERE org_id = $1;

-- fold_counts: a day's facts by source and part; the lowest two bits of traits are the client
SELECT source, traits >> 6, CASE WHEN deleted_at IS NULL THEN 0 ELSE 1 END, count(*),
    CAST(sum(CASE WHEN (traits & 3) = 1 THEN 1 ELSE 0 END) AS BIGINT),
    CAST(sum(CASE WHEN (traits & 3) = 2 THEN 1 ELSE 0 END) AS BIGINT),
    CAST(sum(CASE WHEN (traits & 3) = 3 THEN 1 ELSE 0 END) AS BIGINT),
    CAST(sum((traits >> 3) & 1) AS BIGINT), CAST(sum((traits >> 4) & 1) AS BIGINT),
    CAST(sum((traits >> 5) & 1) AS BIGINT),
    CAST(sum(files) AS BIGINT), CAST(sum(file_bytes) AS BIGINT), CAST(sum(files_of_unknown_size) AS BIGINT)
FROM activities WHERE org_id = $1 AND day = $2 GROUP BY 1, 2, 3;

-- fold_people: who sent something on a day, by source and part
SELECT DISTINCT source, traits >> 6, CASE WHEN deleted_at IS NULL THEN 0 ELSE 1 END, person
FROM activities WHERE org_id = $1 AND day = $2 AND person IS NOT NULL;

-- fold_spaces: where something was sent on a day, by source and part, and whether directly
SELECT DISTINCT source, traits >> 6, CASE WHEN deleted_at IS NULL THEN 0 ELSE 1 END, (traits >> 2) & 1, space
FROM activities WHERE org_id = $1 AND day = $2;

-- forget_day: its totals, to be replaced
DELETE FROM day_totals WHERE org_id = $1 AND day = $2;

-- write_cell: a day's totals of one source and part
INSERT INTO day_totals (
    org_id, day, source, part, messages, desktop, mobile, other, video, audio, recording, files, file_bytes,
    files_of_unknown_size, people, groups, directs
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17);

-- list_cells: the totals of days
SELECT day, source, part, messages, desktop, mobile, other, video, audio, recording, files, file_bytes,
    files_of_unknown_size, people, groups, directs
FROM day_totals WHERE org_id = $1 AND day BETWEEN $2 AND $3 ORDER BY day, source, part;

-- next_day: the first one after a day on which there was activity, or for which totals are kept
SELECT min(days.day) FROM (
    SELECT min(day) AS day FROM activities WHERE org_id = $1 AND day > $2
    UNION ALL SELECT min(day) FROM day_totals WHERE org_id = $1 AND day > $2
) AS days;

-- list_duplicates: what was taken in again, by day and source
SELECT day, source, count FROM activity_duplicates WHERE org_id = $1 AND day BETWEEN $2 AND $3;
