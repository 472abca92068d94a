-- Helpers of these tests; loaded into schema `tap`. The default tenant is 'acme'.

-- The same uuid7, or ULID, for the same name in one transaction.
CREATE FUNCTION tap.id(p_name text) RETURNS uuid LANGUAGE sql STABLE
RETURN concat(lpad(to_hex((extract(epoch FROM transaction_timestamp()) * 1000)::bigint), 12, '0'),
    '7', left(md5(p_name), 3), '8', substr(md5(p_name), 4, 15))::uuid;

CREATE FUNCTION tap.ref(p_name text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN '0' || upper(left(md5(p_name), 25));

-- Act as one of the roles, in a tenant or in none.
CREATE FUNCTION tap.be(p_role text, p_tenant text DEFAULT '') RETURNS void LANGUAGE sql AS $$
    SELECT set_config('role', 'storekit_' || p_role, true),
           set_config('storekit.tenant', CASE p_tenant WHEN '' THEN '' ELSE id(p_tenant)::text END, true);
$$;

-- Move the clock for the rest of the transaction.
CREATE FUNCTION tap.later(p_shift interval) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    EXECUTE format('CREATE OR REPLACE FUNCTION storekit.now() RETURNS timestamptz LANGUAGE sql STABLE
                    RETURN transaction_timestamp() + %L::interval', p_shift);
END
$$;

CREATE FUNCTION tap.at(p_name text, p_row jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql IMMUTABLE
RETURN p_row || jsonb_build_object('ref_id', ref(p_name));

-- One op of a commit: its columns and refs are the keys of its first row.
CREATE FUNCTION tap.op(p_op text, p_entity text, VARIADIC p_rows jsonb[]) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'op', p_op, 'entity', p_entity,
        'columns', coalesce(jsonb_agg(key) FILTER (WHERE key !~ '_ref$' AND key NOT IN ('ref_id', 'expected_version')), '[]'),
        'refs', coalesce(jsonb_agg(left(key, -4)) FILTER (WHERE key ~ '_ref$'), '[]'),
        'rows', (SELECT jsonb_agg(CASE p_op WHEN 'insert' THEN jsonb_build_object('id', id(r ->> 'ref_id')) ELSE '{}' END || r)
                 FROM unnest(p_rows) AS r))
    FROM jsonb_object_keys(p_rows[1]) AS key;
$$;

CREATE FUNCTION tap.run(p_name text) RETURNS jsonb LANGUAGE sql STABLE
RETURN op('insert', 'activity_runs', at(p_name, '{"activity": "research", "agent": "scout"}'));

-- A part for stage; its name contains row and field: 'call.payload'.
CREATE FUNCTION tap.part(p_entity text, p_name text, p_more jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql STABLE
RETURN jsonb_build_object(
    'part_id', id(p_name), 'entity', p_entity, 'ref_id', ref(split_part(p_name, '.', 1)),
    'field', split_part(p_name, '.', 2), 'size', 2, 'sha256', sha256('hi')) || p_more;

CREATE FUNCTION tap.uploaded(VARIADIC p_names text[]) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_agg(jsonb_build_object('part_id', id(name), 'version_id', 'v1')) FROM unnest(p_names) AS name;
$$;

CREATE FUNCTION tap.stage(p_write text, VARIADIC p_parts jsonb[]) RETURNS jsonb LANGUAGE sql
RETURN storekit.stage_v1(id('acme'), 'agent:test', id(p_write), NULL, NULL, '1 minute', to_jsonb(p_parts), '[]');

CREATE FUNCTION tap.commit(p_write text, VARIADIC p_ops jsonb[]) RETURNS jsonb LANGUAGE sql
RETURN storekit.commit_v1(id('acme'), 'agent:test', id(p_write), NULL, NULL, '[]', to_jsonb(p_ops));

-- Save a run and a tool call with a payload as the app, for acme.
CREATE FUNCTION tap.save_call(p_name text) RETURNS void LANGUAGE sql AS $$
    SELECT stage(p_name, part('tool_calls', p_name || '.payload', jsonb_build_object('expires_on', now() + interval '1 day')));
    SELECT storekit.commit_v1(id('acme'), 'agent:test', id(p_name), NULL, NULL, uploaded(p_name || '.payload'), jsonb_build_array(
        run(p_name || '_run'),
        op('insert', 'tool_calls', at(p_name, jsonb_build_object(
            'run_id', id(ref(p_name || '_run')), 'name', 'search', 'method', 'GET', 'payload_ref', id(p_name || '.payload'))))));
$$;
