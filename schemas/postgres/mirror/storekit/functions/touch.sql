-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.touch()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
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
$function$;

ALTER FUNCTION storekit.touch() OWNER TO storekit_owner;
