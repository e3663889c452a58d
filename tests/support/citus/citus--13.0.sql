-- Stands in for Citus in tests on one PostgreSQL: the functions that turn tables into distributed and reference
-- tables, which change nothing but the catalogue, and refuse what Citus' documentation says that it refuses:
-- https://docs.citusdata.com/en/stable/develop/reference_ddl.html
-- Where Citus allows more if its coordinator is in the metadata, this refuses. The real cluster is tried elsewhere.

CREATE SCHEMA citus;

CREATE TABLE citus.pg_dist_partition (
    logicalrelid regclass PRIMARY KEY,
    partmethod "char" NOT NULL,
    partkey text,
    colocationid integer NOT NULL,
    repmodel "char" NOT NULL
);
ALTER TABLE citus.pg_dist_partition SET SCHEMA pg_catalog;
GRANT SELECT ON pg_dist_partition TO public;

-- What was called, in order.
CREATE TABLE citus.calls (
    number integer GENERATED ALWAYS AS IDENTITY,
    call text NOT NULL
);

CREATE FUNCTION column_to_column_name(table_name regclass, column_var_text text) RETURNS text
LANGUAGE sql STRICT AS 'SELECT column_var_text';

CREATE FUNCTION citus.kind(relation oid) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(
        (SELECT CASE partmethod WHEN 'h' THEN 'distributed' ELSE 'reference' END
         FROM pg_dist_partition WHERE logicalrelid = relation),
        'local')
$$;

-- The place of the distribution column among the columns of a key; null if it is not there.
CREATE FUNCTION citus.place_of_column(relation oid, columns smallint[]) RETURNS integer LANGUAGE sql AS $$
    SELECT array_position(columns, a.attnum) FROM pg_dist_partition AS p
    JOIN pg_attribute AS a ON a.attrelid = p.logicalrelid AND a.attname = p.partkey
    WHERE p.logicalrelid = relation
$$;

CREATE FUNCTION citus.check_foreign_keys() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    key record;
BEGIN
    FOR key IN
        SELECT conrelid::regclass AS of, confrelid::regclass AS referenced,
            citus.kind(conrelid) AS from_kind, citus.kind(confrelid) AS to_kind,
            citus.place_of_column(conrelid, conkey) AS from_place,
            citus.place_of_column(confrelid, confkey) AS to_place,
            f.colocationid AS from_group, t.colocationid AS to_group
        FROM pg_constraint
        LEFT JOIN pg_dist_partition AS f ON f.logicalrelid = conrelid
        LEFT JOIN pg_dist_partition AS t ON t.logicalrelid = confrelid
        WHERE contype = 'f'
    LOOP
        IF key.from_kind = key.to_kind AND key.from_kind IN ('local', 'reference')
            OR key.from_kind = 'distributed' AND key.to_kind = 'reference' THEN
            CONTINUE;
        END IF;
        IF key.from_kind = 'distributed' AND key.to_kind = 'distributed' AND key.from_group = key.to_group
            AND key.from_place = key.to_place THEN
            CONTINUE;
        END IF;
        RAISE EXCEPTION 'cannot create foreign key constraint: % (%) to % (%)',
            key.of, key.from_kind, key.referenced, key.to_kind;
    END LOOP;
END
$$;

CREATE FUNCTION citus.check_unique_keys() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    refused text;
BEGIN
    SELECT indexrelid::regclass INTO refused FROM pg_index
    WHERE indisunique AND citus.kind(indrelid) = 'distributed'
    AND citus.place_of_column(indrelid, indkey::smallint[]) IS NULL LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the unique key % does not include the partition column', refused;
    END IF;
END
$$;

CREATE FUNCTION citus.take_in(relation regclass, method "char", key text, colocation integer, model "char")
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF relation::text = current_setting('standin.fails_at', true) THEN
        RAISE EXCEPTION 'a node is out of reach';
    END IF;
    IF citus.kind(relation) <> 'local' THEN
        RAISE EXCEPTION 'table "%" is already distributed', relation;
    END IF;
    INSERT INTO pg_dist_partition VALUES (relation, method, key, colocation, model);
    PERFORM citus.check_unique_keys();
    PERFORM citus.check_foreign_keys();
END
$$;

CREATE FUNCTION create_reference_table(table_name regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO citus.calls (call) VALUES ('reference ' || table_name::text);
    PERFORM citus.take_in(table_name, 'n', NULL, 1, 't');
END
$$;

CREATE FUNCTION create_distributed_table(
    table_name regclass, distribution_column text, distribution_type text DEFAULT 'hash',
    colocate_with text DEFAULT 'default', shard_count integer DEFAULT NULL
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    colocation integer;
BEGIN
    INSERT INTO citus.calls (call) VALUES ('distributed ' || table_name::text);
    PERFORM FROM pg_attribute WHERE attrelid = table_name AND attname = distribution_column AND attnotnull;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'column "%" of relation "%" does not exist', distribution_column, table_name;
    END IF;
    IF colocate_with = 'none' THEN
        SELECT max(c) + 1 INTO colocation FROM (SELECT 1 UNION SELECT colocationid FROM pg_dist_partition) AS t (c);
    ELSE
        SELECT colocationid INTO STRICT colocation FROM pg_dist_partition
        WHERE logicalrelid = colocate_with::regclass;
    END IF;
    PERFORM citus.take_in(table_name, 'h', distribution_column, colocation, 's');
END
$$;

-- There are no shards, so that the rows are where they were, and stay.
CREATE FUNCTION truncate_local_data_after_distributing_table(function_name regclass) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO citus.calls (call) VALUES ('truncated ' || function_name::text);
    IF citus.kind(function_name) = 'local' THEN
        RAISE EXCEPTION 'supplied parameter is not a distributed relation';
    END IF;
    PERFORM FROM pg_constraint
    WHERE contype = 'f' AND confrelid = function_name AND citus.kind(conrelid) = 'local';
    IF FOUND THEN
        RAISE EXCEPTION 'cannot truncate a table referenced in a foreign key constraint by a local table';
    END IF;
END
$$;

CREATE FUNCTION citus.check_definitions() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM citus.check_unique_keys();
    PERFORM citus.check_foreign_keys();
END
$$;
CREATE EVENT TRIGGER citus_definitions ON ddl_command_end
    WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE', 'CREATE INDEX') EXECUTE FUNCTION citus.check_definitions();
