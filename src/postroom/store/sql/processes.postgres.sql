-- hold_series: a row while the series is still its holder's; nobody takes it over before the commit
SELECT 1 FROM series WHERE number = $1 AND holder = $2 FOR SHARE;

-- hold_slots: nobody else takes any before the commit
SELECT slot FROM slots WHERE slot = 0 FOR UPDATE;

-- database_time: now, in ms
SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT);
