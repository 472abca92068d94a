-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.exchanged_rows(p_table regclass, p_key_columns text[], p_predicate text, p_name text, p_changed jsonb, p_restored jsonb, p_inserted jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
 SET extra_float_digits TO '1'
AS $function$
DECLARE
    v_columns text := (SELECT string_agg(format('_row.%I AS c%s', name, n), ', ')
                       FROM unnest(p_key_columns) WITH ORDINALITY AS k(name, n));
    v_places  text := (SELECT string_agg('k.c' || n, ', ') FROM generate_subscripts(p_key_columns, 1) AS n);
    v_found   jsonb;
BEGIN
    -- No column begins with _, so no column hides a table's alias.
    EXECUTE format($find$
        SELECT jsonb_object_agg(g.holder, g.value) FROM (
            SELECT max(k.ref_id) FILTER (WHERE k.holds) AS holder,
                   (array_agg(k.value) FILTER (WHERE k.holds))[1] AS value,
                   min(k.ref_id) FILTER (WHERE NOT k.holds) AS first,
                   max(k.ref_id) FILTER (WHERE NOT k.holds) AS last
            FROM (
                SELECT _row.ref_id, true AS holds, to_jsonb(_row.%1$I) AS value, %2$s
                FROM %3$s AS _row
                WHERE _row.tenant_id = storekit.current_tenant() AND _row.ref_id = ANY ($1) AND (%4$s)
                UNION ALL
                SELECT _row.ref_id, false, NULL, %2$s
                FROM (
                    SELECT _new.* FROM %3$s AS _old
                    CROSS JOIN LATERAL jsonb_populate_record(_old, $3 -> _old.ref_id) AS _new
                    WHERE _old.tenant_id = storekit.current_tenant() AND _old.ref_id = ANY ($2)
                ) AS _row
                WHERE (%4$s)
                UNION ALL
                SELECT _row.ref_id, false, NULL, %2$s
                FROM (
                    SELECT _new.* FROM jsonb_each($4) AS _item
                    CROSS JOIN LATERAL jsonb_populate_record(NULL::%3$s, _item.value) AS _new
                ) AS _row
                WHERE (%4$s)
            ) AS k
            WHERE num_nulls(%5$s) = 0
            GROUP BY %5$s
        ) AS g
        WHERE g.holder <> g.first OR g.holder <> g.last $find$,
        p_name, v_columns, p_table, p_predicate, v_places)
    INTO v_found
    USING ARRAY(SELECT jsonb_object_keys(p_changed)),
          ARRAY(SELECT jsonb_object_keys(p_changed || p_restored)), p_changed || p_restored, p_inserted;
    RETURN v_found;
END
$function$;

ALTER FUNCTION storekit.exchanged_rows(regclass,text[],text,text,jsonb,jsonb,jsonb) OWNER TO storekit_owner;
