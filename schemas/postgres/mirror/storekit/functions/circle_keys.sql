-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.circle_keys(p_ops jsonb)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
    SELECT string_agg(format('%I.%I', n.nspname, k.conname), ', ')
    FROM (SELECT DISTINCT op ->> 'entity' AS name FROM jsonb_array_elements(p_ops) AS op) AS o
    CROSS JOIN LATERAL storekit.find_managed(o.name) AS m
    JOIN pg_namespace AS n ON n.nspname = m.schema_name
    JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = m.table_name
    JOIN pg_constraint AS k ON k.conrelid = c.oid AND k.contype = 'f' AND k.condeferrable;
$function$;

ALTER FUNCTION storekit.circle_keys(jsonb) OWNER TO storekit_owner;
