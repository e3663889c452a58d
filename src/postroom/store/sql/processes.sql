-- list_series: every series that was ever written
SELECT number FROM series ORDER BY number;

-- hold_series: a row while the series is still its holder's, as it took it; nobody takes it before the commit
SELECT 1 FROM series WHERE number = $1 AND holder = $2 AND term = $3;

-- hold_taking: nobody else takes a series before the commit; the row is one that nobody ever changes
SELECT number FROM migrations WHERE number = 1;

-- take_series: one that was the holder's before, or is nobody's by now; a dead one may still have a commit to end
UPDATE series SET holder = $1, expires_at = $3, term = term + 1 WHERE number = (
    SELECT number FROM series WHERE holder = $1 OR holder IS NULL OR expires_at < $2
    ORDER BY CASE WHEN holder = $1 THEN 0 WHEN holder IS NULL THEN 1 ELSE 2 END, number LIMIT 1
) AND (holder = $1 OR holder IS NULL OR expires_at < $2) RETURNING number, term;

-- add_series: a new one, or no row where one is free, or a program that takes without holding was quicker
INSERT INTO series (number, holder, expires_at)
SELECT coalesce(max(number) + 1, 0), $1, $3 FROM series
HAVING count(CASE WHEN holder IS NULL OR expires_at < $2 THEN 1 END) = 0
ON CONFLICT (number) DO NOTHING RETURNING number, term;

-- renew_series: those of a holder stay its own for longer
UPDATE series SET expires_at = $2 WHERE holder = $1;

-- release_series: those of a holder are free
UPDATE series SET holder = NULL WHERE holder = $1;

-- bump_revision: keys, queues or listeners have changed; a row while the series is still its holder's
UPDATE series SET revision = revision + 1 WHERE number = $1 AND holder = $2 AND term = $3 RETURNING number;

-- list_revisions: numbers that grow with every change of keys, queues or listeners, by who made it
SELECT holder, revision FROM series;

-- renew_process: it will serve until its time has passed; a row while it was known to serve
UPDATE processes SET expires_at = $2 WHERE id = $1 RETURNING id;

-- add_process: it serves, and will until its time has passed
INSERT INTO processes (id, expires_at) VALUES ($1, $2);

-- delete_process: it serves no more
DELETE FROM processes WHERE id = $1;

-- delete_dead_processes: those whose time has passed
DELETE FROM processes WHERE expires_at < $1;

-- list_processes: all that serve
SELECT id FROM processes ORDER BY id;

-- list_slots: who holds which
SELECT slot, holder FROM slots ORDER BY slot;

-- hold_slots: nobody else takes any before the commit
SELECT slot FROM slots WHERE slot = 0;

-- take_slot: a row while it is still whose it was; null is nobody's
UPDATE slots SET holder = $2 WHERE slot = $1 AND holder IS NOT DISTINCT FROM $3 RETURNING slot;

-- release_slot: for others to take
UPDATE slots SET holder = NULL WHERE slot = $1 AND holder = $2;

-- release_slots: all of a holder
UPDATE slots SET holder = NULL WHERE holder = $1;
