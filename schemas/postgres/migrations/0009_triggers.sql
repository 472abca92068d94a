-- The trigger functions that all entity tables share; Postgres compiles each once per table.

-- Before each update: increment the version and record who changed the row. The identity of a row never changes:
-- events and parts refer to it, and record_update matches old and new rows by it.
-- An update that leaves every column as it is, byte by byte, is no version: the row keeps its version, updated_on and
-- updated_by, and record_update writes no event. Only a transition to the current state is one, because it was asked for.
-- Version -1 means that a commit exchanges keys: free_keys() gives the row a temporary value, which is not a change.
-- Only the owner may do this: any other role could hide a change in this way.
-- Arguments: whether the table has updated_on and updated_by, and whether it has parts_live.
CREATE FUNCTION storekit.touch() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
BEGIN
    IF (NEW.tenant_id, NEW.id, NEW.ref_id) IS DISTINCT FROM (OLD.tenant_id, OLD.id, OLD.ref_id) THEN
        RAISE EXCEPTION '% %: tenant_id, id and ref_id never change', TG_TABLE_NAME, OLD.ref_id USING ERRCODE = 'SK001';
    END IF;
    IF NEW.version = -1 THEN
        IF current_user = (SELECT pg_get_userbyid(c.relowner) FROM pg_class AS c WHERE c.oid = TG_RELID) THEN
            NEW.version := OLD.version;
            RETURN NEW;
        END IF;
    END IF;
    IF TG_ARGV[1]::boolean THEN
        NEW.parts_live := OLD.parts_live;  -- Postgres generates it later; here it is NULL
    END IF;
    IF NEW OPERATOR(pg_catalog.*=) OLD THEN
        IF coalesce(current_setting('storekit.asked', true), '') = '' THEN
            RETURN NEW;
        END IF;
    END IF;
    NEW.version := OLD.version + 1;
    IF TG_ARGV[0]::boolean THEN
        NEW.updated_on := storekit.now();
        NEW.updated_by := storekit.current_actor();
    END IF;
    RETURN NEW;
END
$$;

-- Append-only tables and state machines -----------------------------------------------------------------

-- Raise an error for a change of an append-only row. Allowed are a soft delete, and a ref that becomes NULL because
-- its part expired or was erased. An append-only row is deleted only together with a parent, by ON DELETE CASCADE. The
-- columns are compared here and not in WHEN, because Postgres does not alter or drop columns that a WHEN uses.
-- Arguments: entity, its part fields.
CREATE FUNCTION storekit.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET extra_float_digits = 1 AS $$
#variable_conflict use_variable
DECLARE
    v_free text[] := '{version,deleted_on,deleted_by}';
BEGIN
    IF TG_OP = 'UPDATE' THEN
        v_free := v_free || ARRAY(
            SELECT field || '_expired_on' FROM unnest(TG_ARGV[1:]) AS field
            UNION ALL
            SELECT field || '_ref' FROM unnest(TG_ARGV[1:]) AS field WHERE to_jsonb(NEW) -> (field || '_ref') = 'null');
        -- Compared as text: 1.0 and 1.00 are equal as numbers, but the stored value would change.
        IF (to_jsonb(OLD) - v_free)::text = (to_jsonb(NEW) - v_free)::text THEN
            RETURN NULL;
        END IF;
    END IF;
    RAISE EXCEPTION '% is append-only: % may not be %', TG_ARGV[0], OLD.ref_id, lower(TG_OP) || 'd'
        USING ERRCODE = 'SK405', HINT = 'derive the class from Mutable, or save a new record';
END
$$;

-- Check a change of state. The WHEN of the triggers calls it only if the state changes, or if the state of a new row
-- is not an initial one.
-- Arguments: entity, its state field.
CREATE FUNCTION storekit.check_move() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, storekit, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    v_from text := '';
    v_to   text := to_jsonb(NEW) ->> TG_ARGV[1];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        v_from := to_jsonb(OLD) ->> TG_ARGV[1];
    END IF;
    IF NOT EXISTS (
        SELECT FROM storekit.move AS m WHERE m.entity = TG_ARGV[0] AND m.from_state = v_from AND m.to_state = v_to
    ) THEN
        PERFORM storekit.refuse_state(TG_ARGV[0], NEW.ref_id, v_from, v_to);
    END IF;
    RETURN NEW;
END
$$;

-- Raise an error for a change without a reason; the WHEN of the trigger calls it for no other. The temporary values of an
-- exchange (version -1) are no change; as in touch(), only the owner may write them.
-- Argument: entity.
CREATE FUNCTION storekit.refuse_without_reason() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.version = -1 THEN
            IF current_user = (SELECT pg_get_userbyid(c.relowner) FROM pg_class AS c WHERE c.oid = TG_RELID) THEN
                RETURN NEW;
            END IF;
        END IF;
    END IF;
    RAISE EXCEPTION 'each change of % needs a reason', TG_ARGV[0] USING ERRCODE = 'SK411',
        HINT = 'pass reason=..., or before SQL of your own: SELECT set_config(''storekit.reason'', ''...'', true)';
END
$$;

-- Events of changed rows --------------------------------------------------------------------------------

-- Record one event per changed row and statement, in the transaction of the change, also for hand-written SQL. The
-- three functions run as the owner, because the app may not write events. The settings are those
-- that to_jsonb uses.
-- Arguments of the three: entity, its state field or '', its part fields. A table may have a column `tg_argv`:
-- `use_variable` gives the bare name to the variable.
CREATE FUNCTION storekit.record_insert() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, MDY' SET intervalstyle = 'postgres'
SET bytea_output = 'hex' SET extra_float_digits = 1 SET row_security = on AS $$
#variable_conflict use_variable
BEGIN
    INSERT INTO storekit.event_inbox (tenant_id, entity, ref_id, version, type, after)
    SELECT _new.tenant_id, TG_ARGV[0], _new.ref_id, _new.version, TG_ARGV[0] || '.created', to_jsonb(_new) - 'parts_live'
    FROM new_rows AS _new  -- no field begins with _: a column with the name of an alias would hide the alias
    ORDER BY _new.ref_id;
    RETURN NULL;
END
$$;

-- Old and new rows are paired by UNION ALL and GROUP BY. A join would be planned once, for the first statement of the
-- session. If that changed one row, the plan would be a nested loop, and 1,000 rows would take 229 ms instead of 43
-- ms. The columns of a row are compared as text of json: jsonb compares 1 and 1.0 as equal, although it stores them as
-- they are.
CREATE FUNCTION storekit.record_update() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, MDY' SET intervalstyle = 'postgres'
SET bytea_output = 'hex' SET extra_float_digits = 1 SET row_security = on AS $$
#variable_conflict use_variable
DECLARE
    v_dropped uuid[];
BEGIN
    WITH image AS (
        SELECT _old.tenant_id, _old.ref_id, 0 AS version, to_json(_old) AS before, NULL::json AS after FROM old_rows AS _old
        UNION ALL
        SELECT _new.tenant_id, _new.ref_id, _new.version, NULL, to_json(_new) FROM new_rows AS _new
    ), pair AS (
        SELECT i.tenant_id, i.ref_id, max(i.version) AS version,
               (array_agg(i.before) FILTER (WHERE i.before IS NOT NULL))[1] AS before,
               (array_agg(i.after) FILTER (WHERE i.after IS NOT NULL))[1] AS after
        FROM image AS i
        GROUP BY i.tenant_id, i.ref_id
    ), change AS MATERIALIZED (
        SELECT p.tenant_id, p.ref_id, p.version, coalesce(d.before, '{}') AS before, coalesce(d.after, '{}') AS after
        FROM pair AS p CROSS JOIN LATERAL (
            SELECT jsonb_object_agg(key, b.value) AS before, jsonb_object_agg(key, a.value) AS after
            FROM json_each(p.before) AS b JOIN json_each(p.after) AS a USING (key)
            WHERE b.value::text <> a.value::text AND key NOT IN ('version', 'updated_on', 'updated_by')
        ) AS d
        WHERE p.version <> (p.before ->> 'version')::bigint  -- touch() keeps it if nothing changes
    ), recorded AS (
        INSERT INTO storekit.event_inbox (tenant_id, entity, ref_id, version, type, before, after)
        SELECT c.tenant_id, TG_ARGV[0], c.ref_id, c.version,
               TG_ARGV[0] || CASE WHEN c.before -> 'deleted_on' = 'null' THEN '.deleted'
                                  WHEN c.after -> 'deleted_on' = 'null' THEN '.restored'
                                  WHEN c.after ? TG_ARGV[1] THEN '.transitioned'
                                  ELSE '.updated' END,
               c.before, c.after
        FROM change AS c
        ORDER BY c.ref_id
    )
    SELECT array_agg((c.before ->> (field || '_ref'))::uuid) INTO v_dropped
    FROM change AS c, unnest(TG_ARGV[2:]) AS field
    WHERE c.before ->> (field || '_ref') IS NOT NULL;
    PERFORM storekit.supersede(v_dropped);
    RETURN NULL;
END
$$;

CREATE FUNCTION storekit.record_delete() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, MDY' SET intervalstyle = 'postgres'
SET bytea_output = 'hex' SET extra_float_digits = 1 SET row_security = on AS $$
#variable_conflict use_variable
DECLARE
    v_dropped uuid[];
BEGIN
    WITH gone AS MATERIALIZED (
        SELECT _old.tenant_id, _old.ref_id, _old.version, to_jsonb(_old) - 'parts_live' AS before FROM old_rows AS _old
    ), recorded AS (
        -- One more than the last version, so that the versions in the events of a row always increase.
        INSERT INTO storekit.event_inbox (tenant_id, entity, ref_id, version, type, before)
        SELECT g.tenant_id, TG_ARGV[0], g.ref_id, g.version + 1, TG_ARGV[0] || '.deleted', g.before
        FROM gone AS g
        ORDER BY g.ref_id
    )
    SELECT array_agg((g.before ->> (field || '_ref'))::uuid) INTO v_dropped
    FROM gone AS g, unnest(TG_ARGV[2:]) AS field
    WHERE g.before ->> (field || '_ref') IS NOT NULL;
    PERFORM storekit.supersede(v_dropped);
    RETURN NULL;
END
$$;

-- Parts that no row points at ---------------------------------------------------------------------------

-- How long a part stays readable after the last row stopped pointing to it: 7 days, the longest lifetime of a signed
-- S3 URL. So every signed URL works until it expires.
CREATE FUNCTION storekit.purge_delay() RETURNS interval LANGUAGE sql IMMUTABLE
RETURN interval '7 days';

-- Queue parts to which no row points any more for the purge, which checks signatures, legal holds and retention again.
-- One UPDATE by key for all parts: a statement for each field would be planned at each call. Row-level security shows
-- only the parts of the tenant of the transaction. If some parts are not found, the rows belong to another tenant, and
-- the bytes of these parts would never be removed.
CREATE FUNCTION storekit.supersede(p_parts uuid[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_marked bigint;
BEGIN
    IF p_parts IS NULL THEN
        RETURN;
    END IF;
    UPDATE storekit.part AS p SET
        superseded_on = coalesce(p.superseded_on, storekit.now()),
        purge_after = coalesce(p.purge_after, storekit.now() + storekit.purge_delay())
    WHERE p.tenant_id = storekit.current_tenant() AND p.part_id = ANY (p_parts);
    GET DIAGNOSTICS v_marked = ROW_COUNT;
    IF v_marked <> cardinality(p_parts) THEN
        RAISE EXCEPTION 'a statement that changes rows with parts must be for one tenant' USING ERRCODE = 'SK004',
            HINT = 'set storekit.tenant in this transaction, and change the rows of each tenant in its own';
    END IF;
END
$$;
