-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.commit_parts(p_tenant uuid, p_write_id uuid, p_parts jsonb, p_ops jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
DECLARE
    v_parts   jsonb;  -- what was uploaded, by part id
    v_refs    jsonb;  -- the row and field that names it, by part id
    v_named   bigint;
    v_flipped bigint := 0;
BEGIN
    SELECT jsonb_object_agg(item ->> (field || '_ref'),
               jsonb_build_array(storekit.entity_name(op ->> 'entity'), item -> 'ref_id', field)), count(*)
    INTO v_refs, v_named
    FROM jsonb_array_elements(p_ops) AS op,
         jsonb_array_elements_text(op -> 'refs') AS field,
         jsonb_array_elements(op -> 'rows') AS item
    WHERE item ->> (field || '_ref') IS NOT NULL;
    IF p_parts <> '[]' THEN
        SELECT jsonb_object_agg(part ->> 'part_id', part) INTO v_parts FROM jsonb_array_elements(p_parts) AS part;
        -- Looked up by key in jsonb, not joined: a join whose plan was cached for one part would read all parts for
        -- each part.
        UPDATE storekit.part AS p SET
            state = 'committed',
            version_id = v_parts -> p.part_id::text ->> 'version_id',
            size = coalesce(p.size, (v_parts -> p.part_id::text ->> 'size')::bigint),
            sha256 = coalesce(p.sha256, (v_parts -> p.part_id::text ->> 'sha256')::bytea)
        WHERE p.tenant_id = p_tenant AND p.write_id = p_write_id AND v_parts ? p.part_id::text
          AND v_refs -> p.part_id::text = jsonb_build_array(p.entity, p.ref_id, p.field);
        GET DIAGNOSTICS v_flipped = ROW_COUNT;
    END IF;
    IF v_flipped <> v_named OR v_flipped <> jsonb_array_length(p_parts) OR EXISTS (
        SELECT FROM storekit.part AS p
        WHERE p.tenant_id = p_tenant AND p.write_id = p_write_id AND p.state = 'pending'
    ) THEN
        RAISE EXCEPTION 'write %: its rows name % parts, % were uploaded, and % of these belong to the row and field '
            'that names them', p_write_id, v_named, jsonb_array_length(p_parts), v_flipped USING ERRCODE = 'SK400';
    END IF;
END
$function$;

ALTER FUNCTION storekit.commit_parts(uuid,uuid,jsonb,jsonb) OWNER TO storekit_owner;
