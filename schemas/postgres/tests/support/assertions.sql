-- Assertions of these tests besides pgTAP's own; loaded into schema `tap` after pgTAP.

-- A function has the signature, written out in full, the return type, security and volatility, the
-- settings and the roles that may call it. 'storekit path' and 'catalog path' are the two search paths, and 'pinned'
-- are the settings of the functions for the app and the worker; the body of a function that is 'bound' was resolved
-- when it was created.
CREATE FUNCTION tap.function_is(
    p_signature text, p_returns text, p_kind text, p_settings text,
    p_callers text DEFAULT 'nobody', p_owner text DEFAULT 'storekit_owner'
) RETURNS text LANGUAGE sql AS $$
    SELECT is(max(concat_ws(E'\n',
        pg_get_function_result(p.oid),
        concat(CASE WHEN p.prosecdef THEN 'definer' ELSE 'invoker' END, ' ',
               CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END),
        replace(replace(replace(coalesce(array_to_string(p.proconfig, ', '), CASE WHEN p.prosqlbody IS NOT NULL THEN 'bound' END),
            'search_path=pg_catalog, storekit, pg_temp', 'storekit path'),
            'search_path=pg_catalog, pg_temp', 'catalog path'),
            'TimeZone=UTC, standard_conforming_strings=on, row_security=on, enable_seqscan=off, enable_sort=on, '
            'plan_cache_mode=auto, jit=off', 'pinned'),
        coalesce((SELECT string_agg(replace(who, 'storekit_', ''), ', ' ORDER BY n)
                  FROM unnest('{public,storekit_app,storekit_worker,storekit_auditor,storekit_reporter,storekit_reports}'::text[])
                       WITH ORDINALITY AS role (who, n)
                  WHERE who <> p_owner AND has_function_privilege(who, p.oid, 'EXECUTE')), 'nobody'),
        pg_get_userbyid(p.proowner))),
        concat_ws(E'\n', p_returns, p_kind, p_settings, p_callers, p_owner), p_signature)
    FROM pg_proc AS p
    WHERE concat(p.pronamespace::regnamespace, '.', p.proname, '(', pg_get_function_arguments(p.oid), ')') = p_signature;
$$;

CREATE FUNCTION tap.policy_is(p_table regclass, p_policy text, p_definition text) RETURNS text LANGUAGE sql AS $$
    SELECT is(max(concat(
        'FOR ', CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                              WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
        ' TO ', (SELECT string_agg(coalesce(r.rolname, 'PUBLIC'), ', ' ORDER BY r.rolname)
                 FROM unnest(p.polroles) AS role LEFT JOIN pg_roles AS r ON r.oid = role),
        ' USING (' || pg_get_expr(p.polqual, p.polrelid, true) || ')',
        ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid, true) || ')')),
        p_definition, format('policy %s of %s', p_policy, p_table))
    FROM pg_policy AS p
    WHERE p.polrelid = p_table AND p.polname = p_policy AND p.polpermissive;
$$;

-- The rights of a role on a table: 'SELECT, INSERT (a, b)'.
CREATE FUNCTION tap.grants_are(p_table regclass, p_role text, p_grants text) RETURNS text LANGUAGE sql AS $$
    WITH granted AS (
        SELECT g.privilege_type, g.grantee, NULL::name AS attname, 0 AS attnum
        FROM pg_class AS c, aclexplode(c.relacl) AS g WHERE c.oid = p_table
        UNION ALL
        SELECT g.privilege_type, g.grantee, a.attname, a.attnum
        FROM pg_attribute AS a, aclexplode(a.attacl) AS g WHERE a.attrelid = p_table
    ), privilege AS (
        SELECT concat(privilege_type, ' (' || string_agg(attname, ', ' ORDER BY attnum) || ')') AS text,
               position(left(privilege_type, 1) IN 'SIUDTR') AS place
        FROM granted
        WHERE CASE grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(grantee) END = p_role
        GROUP BY privilege_type, attname IS NULL
    )
    SELECT is(coalesce(string_agg(p.text, ', ' ORDER BY p.place), 'nothing'), p_grants, format('%s may on %s', p_role, p_table))
    FROM privilege AS p;
$$;

-- A statement is refused with this SQLSTATE and a message that matches.
CREATE FUNCTION tap.refused(p_statement text, p_code text, p_reason text, p_description text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    v_error text := 'nothing: it was let through';
BEGIN
    BEGIN
        EXECUTE p_statement;
    EXCEPTION WHEN OTHERS THEN
        v_error := concat(SQLSTATE, ' ', SQLERRM);
    END;
    RETURN ok(v_error ~ concat('^', p_code, ' .*', p_reason), p_description) || E'\n' || diag('error: ' || v_error);
END
$$;

-- When a trigger fires and what it calls: 'BEFORE UPDATE ROW storekit.touch(...)'.
CREATE FUNCTION tap.trigger_does(p_table text, p_trigger text, p_what text) RETURNS text LANGUAGE sql AS $$
    SELECT is(string_agg(concat_ws(' ', t.action_timing, t.event_manipulation, t.action_orientation,
            replace(t.action_statement, 'EXECUTE FUNCTION ', '')), '; '), p_what, format('%s of %s', p_trigger, p_table))
    FROM information_schema.triggers AS t
    WHERE t.event_object_table = p_table AND t.trigger_name = p_trigger;
$$;
