-- More than one process: who writes which series of running totals, and who delivers what.

-- A series of running totals, written by its holder alone, until its lease expires and another takes it over.
-- Its revision counts the changes of keys, queues and listeners that were counted in it, its term how often it was
-- taken.
ALTER TABLE processes RENAME TO series;
ALTER TABLE series RENAME COLUMN series TO number;
ALTER TABLE series DROP COLUMN seen_at;
ALTER TABLE series ADD COLUMN holder TEXT;
ALTER TABLE series ADD COLUMN expires_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE series ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE series ADD COLUMN term INTEGER NOT NULL DEFAULT 0;

-- Counts how often listeners were added to a queue or taken away: who remembers them knows by it that they are the same.
ALTER TABLE queues ADD COLUMN version INTEGER NOT NULL DEFAULT 0;

-- Processes that serve; one whose time has passed is dead.
CREATE TABLE processes (
    id TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who makes the deliveries of the listeners in a slot.
CREATE TABLE slots (
    slot INTEGER PRIMARY KEY,
    holder TEXT
) STRICT;
WITH RECURSIVE numbers (slot) AS (SELECT 0 UNION ALL SELECT slot + 1 FROM numbers WHERE slot < 255)
INSERT INTO slots (slot) SELECT slot FROM numbers;

CREATE INDEX listeners_by_slot ON listeners (slot);

-- Databases whose content was copied into this one; until one is finished, nothing may serve.
CREATE TABLE copies (
    source TEXT PRIMARY KEY,
    started_at INTEGER NOT NULL,
    finished_at INTEGER
) STRICT, WITHOUT ROWID;

-- The latest time that was ever counted is read by all organizations' newest totals.
CREATE INDEX usage_totals_by_time ON usage_totals (started_at);
