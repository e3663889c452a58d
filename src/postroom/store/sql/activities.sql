-- find_activity_secret: what keys the hashes of an organization; null where nothing was taken in yet
SELECT activity_secret FROM organizations WHERE id = $1;

-- set_activity_secret: for good
UPDATE organizations SET activity_secret = $2 WHERE id = $1 AND activity_secret IS NULL;

-- add_activity_head: an organization's first activity
INSERT INTO activity_heads (org_id) VALUES ($1) ON CONFLICT (org_id) DO NOTHING;

-- hold_activity_head: the next numbers, which nobody else gives away before the commit
UPDATE activity_heads SET people = people WHERE org_id = $1 RETURNING people, spaces;

-- set_activity_head: the next numbers
UPDATE activity_heads SET people = $2, spaces = $3 WHERE org_id = $1;

-- list_sources: the names under which an organization's activity is kept
SELECT name, number FROM sources WHERE org_id = $1 ORDER BY name;

-- insert_source: another one
INSERT INTO sources (org_id, number, name) VALUES ($1, $2, $3);

-- find_person: the number that stands for one
SELECT id, number FROM people WHERE org_id = $1 AND id = $2;

-- insert_person: a new one
INSERT INTO people (org_id, id, number) VALUES ($1, $2, $3);

-- find_space: the number that stands for one
SELECT id, number FROM spaces WHERE org_id = $1 AND id = $2;

-- insert_space: a new one
INSERT INTO spaces (org_id, id, number) VALUES ($1, $2, $3);

-- insert_activity: the row where it was not known; a deletion that came first stays
INSERT INTO activities (
    org_id, id, day, source, at, person, space, traits, files, file_bytes, files_of_unknown_size
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (org_id, id) DO UPDATE SET
    day = excluded.day, source = excluded.source, at = excluded.at, person = excluded.person,
    space = excluded.space, traits = excluded.traits, files = excluded.files, file_bytes = excluded.file_bytes,
    files_of_unknown_size = excluded.files_of_unknown_size
WHERE activities.day < 0
RETURNING id;

-- delete_activity: its id, and the day on which it was sent, or -1 where that is not known yet; no row where it was deleted before
INSERT INTO activities (
    org_id, id, day, source, at, space, traits, files, file_bytes, files_of_unknown_size, deleted_at
) VALUES ($1, $2, -1, $3, 0, 0, 0, 0, 0, 0, $4)
ON CONFLICT (org_id, id) DO UPDATE SET deleted_at = excluded.deleted_at WHERE activities.deleted_at IS NULL
RETURNING id, day;

-- add_duplicates: what was taken in again
INSERT INTO activity_duplicates (org_id, day, source, count) VALUES ($1, $2, $3, $4)
ON CONFLICT (org_id, day, source) DO UPDATE SET count = activity_duplicates.count + excluded.count;

-- mark_day: its totals are older than its facts
INSERT INTO dirty_days (org_id, day, writer, changes) VALUES ($1, $2, $3, 1)
ON CONFLICT (org_id, day, writer) DO UPDATE SET changes = dirty_days.changes + 1;
