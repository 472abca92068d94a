-- storekit.manage('table'): its requirements and its effects.
SELECT plan(53);
SELECT be('owner');

CREATE SCHEMA shop;
CREATE FUNCTION pg_temp.make(p_more text DEFAULT '') RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        EXECUTE format('DROP TABLE IF EXISTS shop.orders; CREATE TABLE shop.orders (
            tenant_id uuid NOT NULL DEFAULT storekit.current_tenant(), id uuid NOT NULL DEFAULT storekit.new_id(),
            ref_id text COLLATE "C" NOT NULL DEFAULT storekit.new_ref_id(), version bigint NOT NULL DEFAULT 1,
            created_on timestamptz NOT NULL DEFAULT storekit.now(), created_by text NOT NULL DEFAULT storekit.current_actor(),
            title text, PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, ref_id)%s)', p_more);
    END $$;
SELECT pg_temp.make();

-- check_columns
SELECT lives_ok($$SELECT storekit.check_columns('shop.orders', 'shop.orders')$$, 'a table with the base columns is accepted');
CREATE FUNCTION pg_temp.lacks(p_change text) RETURNS text LANGUAGE sql AS $$
    SELECT refused(format('ALTER TABLE shop.orders %s; SELECT storekit.check_columns(''shop.orders'', ''shop.orders'')',
    p_change),
        'SK400', 'lacks columns of storekit', p_change) $$;
SELECT pg_temp.lacks(change) FROM unnest(ARRAY['ALTER tenant_id DROP DEFAULT', 'ALTER version DROP NOT NULL',
    'ALTER version SET DEFAULT 0',
    'RENAME created_by TO made_by', 'ALTER ref_id TYPE text COLLATE "default"', 'ADD updated_on timestamptz',
    'ADD deleted_by text']) AS change;
SELECT pg_temp.make(', updated_on timestamptz, updated_by text, deleted_on timestamptz, deleted_by text');
SELECT lives_ok($$SELECT storekit.check_columns('shop.orders', 'shop.orders')$$,
    'the columns of Mutable and SoftDelete come in pairs');
INSERT INTO storekit.field (table_name, field, kind, ttl, collection) VALUES ('shop.orders', 'note', 'document', '1 day',
    'notes');
SELECT pg_temp.lacks(change) FROM unnest(ARRAY['ADD note_ref uuid', 'ADD note_ref uuid, ADD note_expired_on timestamptz',
    'ADD note_ref text, ADD note_expired_on timestamptz,
        ADD parts_live boolean NOT NULL GENERATED ALWAYS AS (true) STORED']) AS change;
ALTER TABLE shop.orders ADD note_ref uuid, ADD note_expired_on timestamptz;
ALTER TABLE shop.orders ADD parts_live boolean NOT NULL GENERATED ALWAYS AS (true) STORED;
SELECT lives_ok($$SELECT storekit.check_columns('shop.orders', 'shop.orders')$$,
    'a part has a ref, an expiry and the constant of its key');

-- check_keys
SELECT lives_ok($$SELECT storekit.check_keys('shop.orders')$$, 'a table with both keys is accepted');
ALTER TABLE shop.orders DROP CONSTRAINT orders_tenant_id_ref_id_key;
SELECT refused($$SELECT storekit.check_keys('shop.orders')$$, 'SK400', 'lacks keys of storekit',
    'a table without the key of ref_id is refused');
ALTER TABLE shop.orders ADD UNIQUE (ref_id);
SELECT refused($$SELECT storekit.check_keys('shop.orders')$$, 'SK400', 'lacks keys of storekit',
    'a key without the tenant does not count');
ALTER TABLE shop.orders DROP CONSTRAINT orders_ref_id_key, ADD UNIQUE (tenant_id, ref_id);

-- plain_columns
ALTER TABLE shop.orders ADD price numeric, ADD double numeric GENERATED ALWAYS AS (price * 2) STORED,
    ADD n bigint GENERATED ALWAYS AS IDENTITY;
SELECT is(storekit.plain_columns('shop.orders', 'shop.orders'), '{title,price}',
    'it returns the entity''s own columns, without generated columns and parts');

-- key_refs
ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT storekit.key_refs('shop.orders', '{note}');
SELECT fk_ok('shop', 'orders', '{tenant_id,note_ref,parts_live}'::name[], 'storekit', 'part',
    '{tenant_id,part_id,live}'::name[]);
SELECT has_index('shop', 'orders', 'orders_note_ref_tenant_id_idx', '{note_ref,tenant_id}'::name[],
    'each ref has an index for the purge');
SELECT lives_ok($$SELECT storekit.key_refs('shop.orders', '{note}')$$, 'a second call changes nothing');
SELECT is((SELECT relforcerowsecurity FROM pg_class WHERE oid = 'shop.orders'::regclass), true, 'FORCE is set again');

-- add_key
SELECT storekit.add_key('shop.orders', 'CONSTRAINT priced CHECK (price > 0)');
SELECT is((SELECT convalidated FROM pg_constraint WHERE conname = 'priced'), true,
    'storekit.add_key() adds a checked constraint');
RESET ROLE;
INSERT INTO shop.orders (tenant_id, title) VALUES (id('acme'), 'x');
SELECT be('owner');
SELECT refused($$SELECT storekit.add_key('shop.orders',
    'CONSTRAINT made_by FOREIGN KEY (tenant_id, id) REFERENCES public.activity_runs (tenant_id, id)')$$,
    '23503', 'made_by', 'a foreign key is checked over rows that the owner cannot see');
SELECT refused($$SELECT storekit.add_key('shop.orders', 'CONSTRAINT titled CHECK (title <> ''x'')')$$, '23514', 'titled',
    'a constraint is checked over rows that the owner cannot see');
SELECT is((SELECT relforcerowsecurity FROM pg_class WHERE oid = 'shop.orders'::regclass), true, 'FORCE is set again');

-- manage: all steps, on a table with rows
SELECT function_is('storekit.manage(p_table regclass)', 'void', 'invoker volatile', 'storekit path');
SELECT function_is('storekit.manage(p_table regclass, p_scope text, p_reason_required boolean DEFAULT NULL::boolean)', 'void', 'invoker volatile',
    'catalog path, standard_conforming_strings=on, quote_all_identifiers=off, DateStyle=ISO, MDY, IntervalStyle=postgres, '
    'TimeZone=UTC, extra_float_digits=1');
SELECT storekit.manage('shop.orders');
SELECT results_eq($$SELECT schema_name, table_name, mutable, soft_delete, scope
    FROM storekit.managed WHERE entity = 'shop.orders'$$,
    $$VALUES ('shop', 'orders', true, true, 'tenant')$$, 'the properties of the table are recorded');
SELECT set_eq($$SELECT type FROM storekit.event_type WHERE entity = 'shop.orders'$$,
    '{shop.orders.created,shop.orders.updated,shop.orders.deleted,shop.orders.restored}'::text[],
    'the event types of the table are recorded');
SELECT triggers_are('shop', 'orders', '{storekit_touch,storekit_insert,storekit_update,storekit_delete}'::name[]);
SELECT policies_are('shop', 'orders', '{tenant,report}'::name[]);
SELECT has_function('storekit', 'write_shop.orders', 'storekit.manage() composes the writer');
SELECT lives_ok($$SELECT storekit.manage('shop.orders')$$, 'it can be called again');
ALTER TABLE shop.orders DROP updated_on, DROP updated_by;
SELECT storekit.manage('shop.orders');
SELECT triggers_are('shop', 'orders', '{storekit_touch,storekit_insert,storekit_update,storekit_delete,
    storekit_append_only,storekit_keep}'::name[]);
SELECT grants_are('shop.orders', 'storekit_app', 'SELECT, INSERT (title, price)');
TRUNCATE shop.orders;
SELECT storekit.manage('shop.orders', 'self');
SELECT is((storekit.find_managed('shop.orders')).scope, 'self', 'a scope is changed by passing it');
SELECT storekit.manage('shop.orders');
SELECT is((storekit.find_managed('shop.orders')).scope, 'self', 'a scope is kept if it is not passed');
SELECT storekit.manage('shop.orders', 'tenant');
CREATE TABLE shop."Orders" (LIKE shop.orders INCLUDING ALL);
SELECT refused($$SELECT storekit.manage('shop."Orders"')$$, 'SK400', 'must have a name of a-z', 'a table name must be plain');
RESET ROLE;
ALTER TABLE shop.orders OWNER TO postgres;
SELECT refused($$SELECT storekit.manage('shop.orders')$$, 'SK400', 'belong to storekit_owner',
    'the table must belong to the owner');
ALTER TABLE shop.orders OWNER TO storekit_owner;

-- protect, for each scope
SELECT be('owner');
ALTER TABLE shop.orders NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY, ALTER tenant_id SET STATISTICS 9;
SELECT storekit.protect('shop.orders', 'shop', '{title,price}', true, 'tenant');
SELECT is(relrowsecurity AND relforcerowsecurity, true, 'policies are forced') FROM pg_class WHERE oid = 'shop.orders'::regclass;
SELECT is(attstattarget::int, 0, 'no tenant is ever taken for empty')
    FROM pg_attribute WHERE attrelid = 'shop.orders'::regclass AND attname = 'tenant_id';
SELECT grants_are('shop.orders', 'storekit_app', 'SELECT, INSERT (title, price), UPDATE (title, price), DELETE');
SELECT grants_are('shop.orders', 'storekit_reports', 'SELECT');
SELECT policy_is('shop.orders', 'tenant', 'FOR ALL TO PUBLIC USING (tenant_id = storekit.current_tenant())');
SELECT policy_is('shop.orders', 'report', 'FOR SELECT TO storekit_reports USING (true)');
SELECT storekit.protect('shop.orders', 'shop', '{title,price}', true, 'self');
SELECT col_has_check('shop', 'orders', '{tenant_id,id}'::name[], 'with scope self a row is its own tenant');
SELECT storekit.protect('shop.orders', 'shop', '{title,price}', true, 'global');
SELECT grants_are('shop.orders', 'storekit_app', 'SELECT');
SELECT policy_is('shop.orders', 'everybody', 'FOR SELECT TO PUBLIC USING (true)');
INSERT INTO storekit.field (table_name, field, kind) VALUES ('shop.orders', 'title', 'column');
SELECT storekit.protect('shop.orders', 'shop', '{title,price}', true, 'tenant');
SELECT policies_are('shop', 'orders', '{tenant,report,lookup}'::name[]);
SELECT policy_is('shop.orders', 'lookup',
    'FOR SELECT TO storekit_owner USING (title = NULLIF(current_setting(''storekit.lookup''::text, true), ''''::text))');
GRANT ALL ON shop.orders TO PUBLIC, storekit_app;
SELECT storekit.protect('shop.orders', 'shop', NULL, false, 'tenant');
SELECT grants_are('shop.orders', 'storekit_app', 'SELECT');
SELECT grants_are('shop.orders', 'public', 'nothing');

-- add_triggers
SELECT storekit.add_triggers('shop.orders', 'shop.orders', '{note,pdf}', true, 'title');
SELECT matches(pg_get_triggerdef(oid), 'storekit.record_update\(''shop.orders'', ''title'', ''note'', ''pdf''\)',
    'a trigger has entity, state field and parts as arguments')
    FROM pg_trigger WHERE tgrelid = 'shop.orders'::regclass AND tgname = 'storekit_update';

SELECT * FROM finish();
