-- hold_series: a row while the series is still its holder's, as it took it; nobody takes it before the commit
SELECT 1 FROM series WHERE number = $1 AND holder = $2 AND term = $3 FOR SHARE;

-- hold_taking: nobody else takes a series before the commit; the row is one that nobody ever changes
SELECT number FROM migrations WHERE number = 1 FOR UPDATE;

-- hold_slots: nobody else takes any before the commit
SELECT slot FROM slots WHERE slot = 0 FOR UPDATE;

-- begun_in_time: a row if the transaction began by this time, ms
SELECT 1 FROM (SELECT CAST(extract(epoch FROM now()) * 1000 AS BIGINT) AS at) AS begun WHERE begun.at <= $1;

-- settled_time: what was or will be written with an earlier time than this, ms, is there by now; clocks are rounded
SELECT CAST(floor(extract(epoch FROM least(clock_timestamp(), min(xact_start))) * 1000) AS BIGINT) - 2 - $1
FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'postroom' AND state <> 'idle' AND pid <> pg_backend_pid();

-- database_time: now, in ms
SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT);
