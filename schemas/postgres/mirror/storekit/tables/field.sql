-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE TABLE storekit.field (
    table_name text NOT NULL,
    field text NOT NULL,
    kind text NOT NULL,
    ttl interval,
    links text[] NOT NULL DEFAULT '{}'::text[],
    collection text,
    CONSTRAINT field_pkey PRIMARY KEY (table_name, field),
    CONSTRAINT field_collection_check CHECK (collection ~ '^[a-z][a-z0-9_]*$'::text),
    CONSTRAINT field_document CHECK ((kind = 'document'::text) = (collection IS NOT NULL) AND (kind = 'document'::text OR ttl IS NULL AND links = '{}'::text[])),
    CONSTRAINT field_field_check CHECK (field ~ '^[a-z][a-z0-9_]{0,49}$'::text),
    CONSTRAINT field_kind_check CHECK (kind = ANY (ARRAY['column'::text, 'blob'::text, 'document'::text])),
    CONSTRAINT field_ttl_check CHECK (ttl > '00:00:00'::interval)
);

ALTER TABLE storekit.field OWNER TO storekit_owner;
GRANT SELECT ON storekit.field TO storekit_worker;
