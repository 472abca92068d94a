-- What migrations declare: part fields and look-up columns, managed tables, and allowed changes of state.

-- One row per part field or look-up column, written by the migration that creates the table of the entity.
CREATE TABLE storekit.field (
    table_name text     NOT NULL,
    field      text     NOT NULL CHECK (field ~ '^[a-z][a-z0-9_]{0,49}$'),
    kind       text     NOT NULL CHECK (kind IN ('column', 'blob', 'document')),
    ttl        interval CHECK (ttl > interval '0'),
    links      text[]   NOT NULL DEFAULT '{}',
    collection text     CHECK (collection ~ '^[a-z][a-z0-9_]*$'),
    PRIMARY KEY (table_name, field),
    CONSTRAINT field_document CHECK (
        (kind = 'document') = (collection IS NOT NULL) AND (kind = 'document' OR (ttl IS NULL AND links = '{}')))
);

-- The tenant of global rows.
CREATE FUNCTION storekit.nil() RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN '00000000-0000-0000-0000-000000000000'::uuid;

-- One row per entity table, written by storekit.manage(). The rows of a `global` table belong to the nil tenant, and
-- every tenant may read them. In a `self` table each row is a tenant: its tenant_id is its id.
CREATE TABLE storekit.managed (
    entity      text    PRIMARY KEY,
    schema_name text    NOT NULL,
    table_name  text    NOT NULL,
    mutable     boolean NOT NULL,
    soft_delete boolean NOT NULL,
    scope       text    NOT NULL CONSTRAINT managed_scope CHECK (scope IN ('tenant', 'global', 'self')),
    -- Whether each change needs a reason.
    reason_required boolean NOT NULL,
    UNIQUE (schema_name, table_name)
);

CREATE TABLE storekit.event_type (
    type   text PRIMARY KEY,
    entity text NOT NULL REFERENCES storekit.managed
);

-- The changes of state that a state machine allows. A from_state of '' means that a new row may have to_state.
CREATE TABLE storekit.move (
    entity     text NOT NULL,
    field      text NOT NULL,
    from_state text NOT NULL,
    to_state   text NOT NULL CHECK (to_state <> ''),
    PRIMARY KEY (entity, from_state, to_state)
);
GRANT SELECT ON storekit.move TO storekit_app, storekit_worker;
GRANT SELECT ON storekit.field, storekit.managed, storekit.event_type TO storekit_worker;

-- Reading the declarations ------------------------------------------------------------------------------

-- The name of an entity in the ledger: `tool_calls` for a table in public, else `schema.name`.
CREATE FUNCTION storekit.entity_name(p_name text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN CASE WHEN starts_with(p_name, 'public.') THEN substr(p_name, 8) ELSE p_name END;

CREATE FUNCTION storekit.find_managed(p_name text) RETURNS storekit.managed
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_found storekit.managed;
BEGIN
    SELECT * INTO v_found FROM storekit.managed AS m WHERE m.entity = storekit.entity_name(p_name);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'table % %', coalesce(p_name, 'null'),
            CASE WHEN EXISTS (
                SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                WHERE storekit.entity_name(concat(n.nspname, '.', c.relname)) = storekit.entity_name(p_name))
            THEN 'is not managed by storekit' ELSE 'does not exist' END
            USING ERRCODE = 'SK424', HINT = 'run migrate; the migration that creates the table must call storekit.manage()';
    END IF;
    RETURN v_found;
END
$$;

-- Find a table for writing. Transactions of the nil tenant can write only global tables, and all others only tables of
-- tenants.
CREATE FUNCTION storekit.find_writable(p_name text) RETURNS storekit.managed
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_table storekit.managed := storekit.find_managed(p_name);
BEGIN
    IF (v_table.scope = 'global') <> (storekit.current_tenant() = storekit.nil()) THEN
        RAISE EXCEPTION 'table % is of scope %, the tenant of this transaction is %',
            v_table.entity, v_table.scope, storekit.current_tenant() USING ERRCODE = 'SK403';
    END IF;
    RETURN v_table;
END
$$;

-- The column that holds a table's state, or NULL. A table has at most one state machine.
CREATE FUNCTION storekit.state_field(p_entity text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, storekit, pg_temp AS $$
DECLARE
    v_fields text[] := ARRAY(SELECT DISTINCT m.field FROM storekit.move AS m WHERE m.entity = p_entity ORDER BY 1);
BEGIN
    IF cardinality(v_fields) > 1 THEN
        RAISE EXCEPTION 'table % has the state fields %; at most one is allowed', p_entity, v_fields
            USING ERRCODE = 'SK400';
    END IF;
    RETURN v_fields[1];
END
$$;
