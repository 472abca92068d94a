-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TABLE storekit.managed (
    entity text NOT NULL,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    mutable boolean NOT NULL,
    soft_delete boolean NOT NULL,
    scope text NOT NULL,
    reason_required boolean NOT NULL,
    CONSTRAINT managed_pkey PRIMARY KEY (entity),
    CONSTRAINT managed_schema_name_table_name_key UNIQUE (schema_name, table_name),
    CONSTRAINT managed_scope CHECK (scope = ANY (ARRAY['tenant'::text, 'global'::text, 'self'::text]))
);

ALTER TABLE storekit.managed OWNER TO storekit_owner;
GRANT SELECT ON storekit.managed TO storekit_worker;
