-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.write_rows(p_op jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
DECLARE
    v_table   storekit.managed := storekit.find_writable(p_op ->> 'entity');
    v_op      text   := p_op ->> 'op';
    v_rows    jsonb  := p_op -> 'rows';
    v_columns text[] := ARRAY(SELECT jsonb_array_elements_text(p_op -> 'columns'));
    v_refs    text[] := ARRAY(SELECT jsonb_array_elements_text(p_op -> 'refs'));
    v_keys    text[] := v_columns || ARRAY(SELECT r || '_ref' FROM unnest(v_refs) AS r)
                        || CASE WHEN v_op = 'insert' THEN '{ref_id,id}' ELSE '{ref_id}' END::text[];
    v_ids     text[];
    v_made    jsonb := '{}';
    v_done    jsonb;
    v_refused jsonb;
BEGIN
    IF coalesce(v_op, '') NOT IN ('insert', 'update', 'delete', 'restore', 'transition', 'check')
       OR v_op IN ('update', 'transition') AND NOT v_table.mutable
       OR v_op = 'transition' AND v_columns || v_refs IS DISTINCT FROM ARRAY[storekit.state_field(v_table.entity)]
       OR v_op = 'delete' AND NOT (v_table.mutable OR v_table.soft_delete)
       OR v_op = 'restore' AND NOT v_table.soft_delete
       OR v_op IN ('delete', 'restore', 'check') AND cardinality(v_columns || v_refs) > 0 THEN
        RAISE EXCEPTION 'table % does not support %', v_table.entity, v_op USING ERRCODE = 'SK400';
    END IF;
    IF EXISTS (
        SELECT FROM jsonb_array_elements(v_rows) AS r
        WHERE NOT r ?& v_keys OR r - v_keys - 'expected_version'::text <> '{}'
           OR v_op = 'insert' AND r ->> 'expected_version' IS NOT NULL
    ) THEN
        RAISE EXCEPTION 'each row for % must have exactly the keys %', v_table.entity, v_keys USING ERRCODE = 'SK400';
    END IF;
    SELECT array_agg(DISTINCT r ->> 'ref_id') INTO v_ids FROM jsonb_array_elements(v_rows) AS r;
    IF cardinality(v_ids) <> jsonb_array_length(v_rows) THEN
        RAISE EXCEPTION 'the batch names a row of % more than once', v_table.entity USING ERRCODE = 'SK400';
    END IF;

    IF v_op = 'check' THEN
        -- Locked, so that the versions stay as they are until the commit.
        EXECUTE format('SELECT storekit.%I(''lock'', ''{}'', ''{}'', ''[]'', $1)', 'write_' || v_table.entity) USING v_ids;
        v_done := '{}';
    ELSIF v_op = 'delete' AND NOT v_table.soft_delete THEN
        v_done := storekit.delete_rows(v_table.entity, v_rows, v_ids);
    ELSIF v_op = 'transition' THEN
        v_made := storekit.made_moves(v_table, v_columns[1], v_rows);
        -- A declared move from a state to itself changes no column, and is a version and an event all the same.
        PERFORM set_config('storekit.asked', 'on', true);
        EXECUTE format('SELECT storekit.%I(''update'', $1, $2, $3, $4)', 'write_' || v_table.entity)
        INTO v_done USING v_columns, v_refs,
            to_jsonb(ARRAY(SELECT r FROM jsonb_array_elements(v_rows) AS r WHERE NOT v_made ? (r ->> 'ref_id'))),
            ARRAY(SELECT id FROM unnest(v_ids) AS id WHERE NOT v_made ? id);
        PERFORM set_config('storekit.asked', '', true);
        v_done := v_made || v_done;
    ELSE
        EXECUTE format('SELECT storekit.%I($1, $2, $3, $4, $5)', 'write_' || v_table.entity)
        INTO v_done USING v_op, v_columns, v_refs, v_rows, v_ids;
    END IF;

    IF NOT v_done ?& v_ids THEN
        v_refused := storekit.first_refused(v_table.entity, v_op, v_rows, ARRAY(SELECT jsonb_object_keys(v_done)));
        IF v_op = 'check' AND v_refused IS NULL THEN
            RETURN '[]';  -- the rows are as expected, and nothing was written
        END IF;
        PERFORM storekit.refuse_row(v_table.entity, coalesce(v_refused, '{}'));
    END IF;
    -- In the order of the request, not of the locks: a caller that replays the write matches its rows by their
    -- position.
    RETURN (
        SELECT coalesce(jsonb_agg(jsonb_build_array(v_table.entity, r.item -> 'ref_id', v_done -> (r.item ->> 'ref_id'))
                   ORDER BY r.n), '[]')
        FROM jsonb_array_elements(v_rows) WITH ORDINALITY AS r(item, n));
END
$function$;

ALTER FUNCTION storekit.write_rows(jsonb) OWNER TO storekit_owner;
