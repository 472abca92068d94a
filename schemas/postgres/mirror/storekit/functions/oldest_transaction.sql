-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE OR REPLACE FUNCTION storekit.oldest_transaction(OUT since timestamp with time zone, OUT pid integer, OUT role text, OUT application text, OUT state text, OUT unknown text)
 RETURNS record
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    PERFORM pg_stat_clear_snapshot();
    -- Sessions first, prepared transactions second: one that is being prepared leaves the sessions only when it is among
    -- the prepared ones.
    SELECT least(a.xact_start, CASE WHEN a.state IN ('active', 'fastpath function call') THEN a.query_start END),
           a.pid, a.usename, a.application_name, a.state
    INTO since, pid, role, application, state
    FROM pg_stat_activity AS a
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_type <> 'autovacuum worker'
    ORDER BY 1 LIMIT 1;
    IF since IS NULL THEN
        pid := NULL; role := NULL; application := NULL; state := NULL;
    END IF;
    unknown := CASE
        WHEN NOT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') THEN
            'the role ' || current_user || ' is not a member of pg_read_all_stats'
        WHEN EXISTS (
            SELECT FROM pg_stat_activity AS a
            WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.state = 'disabled') THEN
            'a session has track_activities off'
        ELSE (
            SELECT format('the transaction %s, prepared by %s, has not ended', quote_literal(p.gid), p.owner)
            FROM pg_prepared_xacts AS p WHERE p.database = current_database() ORDER BY p.prepared LIMIT 1)
    END;
END
$function$;

ALTER FUNCTION storekit.oldest_transaction() OWNER TO storekit_owner;
GRANT EXECUTE ON FUNCTION storekit.oldest_transaction() TO storekit_worker;
