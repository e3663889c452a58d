-- insert_live_source: a new one
INSERT INTO live_sources (org_id, id, name, kind, secret, status, salt, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- find_live_source: one by id, whoever's it is
SELECT org_id, id, name, kind, secret, status, salt, created_at, updated_at FROM live_sources WHERE id = $1;

-- list_live_sources: all of an organization, oldest first
SELECT org_id, id, name, kind, secret, status, salt, created_at, updated_at
FROM live_sources WHERE org_id = $1 ORDER BY id;

-- hold_live_source: nobody else changes it before the commit
SELECT id FROM live_sources WHERE org_id = $1 AND id = $2;

-- present_live_source: a row if it is there, where it then stays until the commit
SELECT id FROM live_sources WHERE org_id = $1 AND id = $2;

-- update_live_source: what may change of one
UPDATE live_sources SET name = $3, secret = $4, status = $5, updated_at = $6 WHERE org_id = $1 AND id = $2;

-- delete_live_source: for good
DELETE FROM live_sources WHERE org_id = $1 AND id = $2;

-- begin_live_period: it takes events in from now on; also when it stopped in this very millisecond
INSERT INTO live_periods (org_id, source_id, began_at, name) VALUES ($1, $2, $3, $4)
ON CONFLICT (org_id, source_id, began_at) DO UPDATE SET ended_at = NULL, name = excluded.name;

-- end_live_period: it takes none in any more
UPDATE live_periods SET ended_at = $3 WHERE org_id = $1 AND source_id = $2 AND ended_at IS NULL;

-- list_live_periods: of all live sources that an organization ever had
SELECT name, began_at, ended_at FROM live_periods WHERE org_id = $1 ORDER BY began_at, source_id;

-- add_live_counts: what one commit adds
INSERT INTO live_counts (org_id, source_id, stripe, accepted, duplicates, ignored, rejected, last_event_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (org_id, source_id, stripe) DO UPDATE SET
    accepted = live_counts.accepted + excluded.accepted,
    duplicates = live_counts.duplicates + excluded.duplicates,
    ignored = live_counts.ignored + excluded.ignored,
    rejected = live_counts.rejected + excluded.rejected,
    last_event_at = CASE
        WHEN excluded.last_event_at > live_counts.last_event_at THEN excluded.last_event_at
        ELSE live_counts.last_event_at
    END;

-- list_live_counts: of every live source of an organization
SELECT source_id, CAST(sum(accepted) AS BIGINT), CAST(sum(duplicates) AS BIGINT), CAST(sum(ignored) AS BIGINT),
    CAST(sum(rejected) AS BIGINT), max(last_event_at)
FROM live_counts WHERE org_id = $1 GROUP BY source_id;

-- delete_live_counts: with their source
DELETE FROM live_counts WHERE org_id = $1 AND source_id = $2;

-- find_live_room: what was seen of a room
SELECT people, created, invited FROM live_rooms WHERE org_id = $1 AND source_id = $2 AND room = $3;

-- write_live_room: what was seen of a room by now
INSERT INTO live_rooms (org_id, source_id, room, people, created, invited) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (org_id, source_id, room) DO UPDATE SET
    people = excluded.people, created = excluded.created, invited = excluded.invited;

-- delete_live_rooms: with their source
DELETE FROM live_rooms WHERE org_id = $1 AND source_id = $2;
