-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.compose_sets(p_table regclass, p_entity text, p_columns text[], p_fields text[])
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
    SELECT concat_ws(', ',
        CASE count(*) WHEN 0 THEN 'version = t.version'
        ELSE format('(%s) = (SELECT %s FROM jsonb_to_record($3 -> t.ref_id) AS r(%s))',
            string_agg(format('%I', c.name), ', ' ORDER BY c.place),
            string_agg(format('CASE WHEN %L = ANY (%s) THEN r.%I ELSE t.%3$I END', c.sent, c.list, c.name),
                ', ' ORDER BY c.place),
            string_agg(format('%I %s', c.name, c.type), ', ' ORDER BY c.place)) END,
        (SELECT string_agg(format('%I = CASE WHEN %L <> ALL ($2) THEN t.%1$I END', f.field || '_expired_on', f.field),
                    ', ' ORDER BY f.field)
         FROM storekit.field AS f WHERE f.table_name = p_entity AND f.ttl IS NOT NULL))
    FROM storekit.writer_columns(p_table, p_columns, p_fields) AS c;
$function$;

ALTER FUNCTION storekit.compose_sets(regclass,text,text[],text[]) OWNER TO storekit_owner;
