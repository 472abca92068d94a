-- The trigger functions that all entity tables share; Postgres compiles each once per table.

-- Arguments: whether the table has updated_on and updated_by.
CREATE FUNCTION storekit.touch() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp AS $$
BEGIN
    IF (NEW.tenant_id, NEW.id, NEW.ref_id) IS DISTINCT FROM (OLD.tenant_id, OLD.id, OLD.ref_id) THEN
        RAISE EXCEPTION '% %: tenant_id, id and ref_id never change', TG_TABLE_NAME, OLD.ref_id USING ERRCODE = 'SK001';
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

-- Arguments: entity, its part fields. An append-only row stays as it was, but for a ref that goes (its part expired
-- or was erased) and a soft delete; it goes only with a parent whose key says CASCADE.
-- No WHEN names the columns: a migration could not alter or drop one that a trigger stands on.
CREATE FUNCTION storekit.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' AS $$
#variable_conflict use_variable
DECLARE
    v_free text[] := '{version,deleted_on,deleted_by}';
BEGIN
    IF TG_OP = 'UPDATE' THEN
        v_free := v_free || ARRAY(
            SELECT field || '_expired_on' FROM unnest(TG_ARGV[1:]) AS field
            UNION ALL
            SELECT field || '_ref' FROM unnest(TG_ARGV[1:]) AS field WHERE to_jsonb(NEW) -> (field || '_ref') = 'null');
        -- as text: 1.0 and 1.00 are equal numbers and different values
        IF (to_jsonb(OLD) - v_free)::text = (to_jsonb(NEW) - v_free)::text THEN
            RETURN NULL;
        END IF;
    END IF;
    RAISE EXCEPTION '% is append-only: % may not be %', TG_ARGV[0], OLD.ref_id, lower(TG_OP) || 'd'
        USING ERRCODE = 'SK405', HINT = 'derive the class from Mutable, or save another record';
END
$$;

-- Arguments: entity and its state field. Called only when the state changes, or begins where it may not.
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

-- Events of changed rows --------------------------------------------------------------------------------

-- Arguments of the three: the entity's name, its state field or '', then its part fields. A table's columns may be
-- called as PL/pgSQL's variables are (tg_argv): the bare name means the variable.
CREATE FUNCTION storekit.record_insert() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET row_security = on AS $$
#variable_conflict use_variable
BEGIN
    INSERT INTO storekit.event_inbox (tenant_id, entity, ref_id, version, type, after)
    SELECT _new.tenant_id, TG_ARGV[0], _new.ref_id, _new.version, TG_ARGV[0] || '.created', to_jsonb(_new) - 'parts_live'
    FROM new_rows AS _new  -- no field can be called so; an alias that is also a column's name means the column
    ORDER BY _new.ref_id;
    RETURN NULL;
END
$$;

-- Old and new rows meet by UNION ALL and GROUP BY: a join here would keep the plan of the first, small
-- statement for ever and make every later batch quadratic.
CREATE FUNCTION storekit.record_update() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET row_security = on AS $$
#variable_conflict use_variable
DECLARE
    v_dropped uuid[];
BEGIN
    WITH image AS (
        SELECT _old.tenant_id, _old.ref_id, 0 AS version, to_jsonb(_old) AS before, NULL::jsonb AS after FROM old_rows AS _old
        UNION ALL
        SELECT _new.tenant_id, _new.ref_id, _new.version, NULL, to_jsonb(_new) FROM new_rows AS _new
    ), pair AS (
        SELECT i.tenant_id, i.ref_id, max(i.version) AS version,
               (array_agg(i.before) FILTER (WHERE i.before IS NOT NULL))[1] AS before,
               (array_agg(i.after) FILTER (WHERE i.after IS NOT NULL))[1] AS after
        FROM image AS i
        GROUP BY i.tenant_id, i.ref_id
    ), change AS MATERIALIZED (
        SELECT p.tenant_id, p.ref_id, p.version, coalesce(d.before, '{}') AS before, coalesce(d.after, '{}') AS after
        FROM pair AS p CROSS JOIN LATERAL (
            SELECT jsonb_object_agg(a.key, p.before -> a.key) AS before, jsonb_object_agg(a.key, a.value) AS after
            FROM jsonb_each(p.after) AS a
            WHERE p.before -> a.key <> a.value AND a.key NOT IN ('version', 'updated_on', 'updated_by')
        ) AS d
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
SET search_path = pg_catalog, storekit, pg_temp SET timezone = 'UTC' SET row_security = on AS $$
#variable_conflict use_variable
DECLARE
    v_dropped uuid[];
BEGIN
    WITH gone AS MATERIALIZED (
        SELECT _old.tenant_id, _old.ref_id, _old.version, to_jsonb(_old) - 'parts_live' AS before FROM old_rows AS _old
    ), recorded AS (
        -- One past the last version, so that an entity's events always climb.
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

-- How long what no row points at any more stays in the queue of the purge: as long as the longest URL that S3
-- signs, so none that was handed out dies early, whatever a service allows itself.
CREATE FUNCTION storekit.purge_delay() RETURNS interval LANGUAGE sql IMMUTABLE
RETURN interval '7 days';

-- Queue parts that no row points at any more. The purge itself asks again for fences, holds and retention.
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
        RAISE EXCEPTION 'rows with parts are changed for one tenant at a time' USING ERRCODE = 'SK004',
            HINT = 'set storekit.tenant in this transaction';
    END IF;
END
$$;
