-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.enter(p_tenant uuid, p_actor text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'storekit', 'pg_temp'
AS $function$
DECLARE
    v_set text;
BEGIN
    IF p_tenant IS NULL OR coalesce(p_actor, '') = '' THEN
        RAISE EXCEPTION 'a tenant and an actor are required' USING ERRCODE = 'SK400';
    ELSIF storekit.current_tenant() <> p_tenant THEN
        RAISE EXCEPTION 'this transaction belongs to another tenant' USING ERRCODE = 'SK004';
    ELSIF current_setting('session_replication_role') = 'replica' THEN
        RAISE EXCEPTION 'no triggers run in this session, because session_replication_role is replica' USING ERRCODE = 'SK412';
    ELSIF p_tenant = storekit.nil() AND NOT pg_has_role(session_user, 'storekit_owner', 'MEMBER') THEN
        RAISE EXCEPTION 'only the admin may write global records' USING ERRCODE = 'SK403';
    END IF;
    -- An assignment in place of PERFORM: Postgres evaluates its expression without starting a query.
    v_set := set_config('storekit.tenant', p_tenant::text, true) || set_config('storekit.actor', p_actor, true);
END
$function$;

ALTER FUNCTION storekit.enter(uuid,text) OWNER TO storekit_owner;
