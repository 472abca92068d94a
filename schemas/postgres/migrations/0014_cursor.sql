-- Import cursors: up to which position a tenant has imported the data of another system. A cursor moves in the commit
-- that saves the imported records, so an interrupted import neither loses nor repeats data. The table is managed like
-- any other: each move is checked against the version of the cursor, so one of two concurrent imports gets a conflict,
-- and each move is recorded as an event.

CREATE TABLE storekit.cursor (
    tenant_id uuid NOT NULL DEFAULT storekit.current_tenant(),
    id uuid NOT NULL DEFAULT storekit.new_id(),
    ref_id text COLLATE "C" NOT NULL DEFAULT storekit.new_ref_id()
        CHECK (ref_id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
    version bigint NOT NULL DEFAULT 1,
    created_on timestamptz NOT NULL DEFAULT storekit.now(),
    created_by text NOT NULL DEFAULT storekit.current_actor(),
    updated_on timestamptz,
    updated_by text,
    name text NOT NULL,
    "position" text NOT NULL DEFAULT '',
    parts_live boolean NOT NULL GENERATED ALWAYS AS (true) STORED,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, ref_id),
    CONSTRAINT cursor_natural_key UNIQUE (tenant_id, name)
);

SELECT storekit.manage('storekit.cursor');
