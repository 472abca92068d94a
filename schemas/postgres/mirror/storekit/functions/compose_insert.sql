-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.compose_insert(p_table regclass, p_columns text[], p_fields text[])
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
    SELECT format($insert$
    WHEN 'insert' THEN
        WITH done AS (
            INSERT INTO %s AS t (tenant_id, id, ref_id%s)
            SELECT storekit.current_tenant(), r.id, r.ref_id%s
            FROM jsonb_to_recordset(p_rows) AS r(id uuid, ref_id text%s)
            ORDER BY %s
            RETURNING t.ref_id, t.version)
        SELECT jsonb_object_agg(d.ref_id, d.version) INTO v_done FROM done AS d;$insert$,
        p_table,
        string_agg(format(', %I', c.name), '' ORDER BY c.place),
        string_agg(CASE WHEN c.preset IS NULL THEN format(', r.%I', c.name)
            ELSE format(', CASE WHEN %L = ANY (p_columns) THEN r.%I ELSE %s END', c.sent, c.name, c.preset) END,
            '' ORDER BY c.place),
        string_agg(format(', %I %s', c.name, c.type), '' ORDER BY c.place),
        storekit.insert_order(p_table))
    FROM storekit.writer_columns(p_table, p_columns, p_fields) AS c;
$function$;

ALTER FUNCTION storekit.compose_insert(regclass,text[],text[]) OWNER TO storekit_owner;
