"""Rules about tables, views, policies and triggers. Each returns what is wrong, and the remedy."""

from __future__ import annotations

# Tables without row-level security, other than those that hold no tenant's rows.
_UNFORCED = """
, configuration (name, holds) AS (VALUES
    ('storekit.migration', 'applied migrations'),
    ('storekit.field', 'declared parts'),
    ('storekit.managed', 'managed tables'),
    ('storekit.event_type', 'event types'),
    ('storekit.move', 'allowed state transitions'),
    ('storekit.event_head', 'position of the sequencer'),
    ('storekit.lease', 'which process does the work of all')
)
SELECT format('table %s does not %s row level security', name,
              CASE WHEN relrowsecurity THEN 'force' ELSE 'enable' END),
       format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name)
FROM base
WHERE NOT (relrowsecurity AND relforcerowsecurity)
  AND (tenanted OR name NOT IN (SELECT name FROM configuration))
"""

_WITHOUT_POLICY = """
SELECT format('table %s has no policy for its tenants', name),
       format('SELECT storekit.manage(%L)', name)
FROM base
WHERE tenanted AND NOT relispartition
  AND NOT EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = base.oid AND p.polpermissive)
"""

# Allowed exceptions: worker, auditor and reports read all tenants by their role; every role reads global
# rows; the owner, as which functions run, writes the events of a backfill and reads the row of a digest.
_WIDE_POLICIES = """
, policy AS (
    SELECT p.polname, c.name, c.scope, c.entity, p.polcmd, p.polroles, e.seen, e.written
    FROM pg_policy AS p JOIN base AS c ON c.oid = p.polrelid,
         pg_get_expr(p.polqual, p.polrelid, true) AS qual,
         pg_get_expr(p.polwithcheck, p.polrelid, true) AS given,
         LATERAL (SELECT coalesce(qual, given), coalesce(given, qual)) AS e (seen, written)
    WHERE p.polpermissive AND c.tenanted
), narrow (expression) AS (VALUES ('tenant_id = storekit.current_tenant()'))
SELECT format('policy %I of %s is not limited to the tenant: %s', polname, name,
              CASE seen WHEN expression THEN written ELSE seen END),
       format('DROP POLICY %I ON %s%s', polname, name,
              CASE polname WHEN 'tenant' THEN ', then SELECT storekit.manage(''' || name || ''')' END)
FROM policy, narrow
WHERE NOT (seen = expression AND written = expression)
  AND NOT polroles <@ ARRAY(
      SELECT oid FROM pg_roles
      WHERE rolname = 'storekit_reports' OR entity IS NULL AND rolname IN ('storekit_worker',
          'storekit_auditor'))
  AND NOT (scope = 'global' AND polcmd = 'r')
  AND NOT (polroles = ARRAY['storekit_owner'::regrole::oid] AND CASE polcmd
      WHEN 'a' THEN name = 'storekit.event_inbox'
      WHEN 'r' THEN seen LIKE '% = NULLIF(current_setting(''storekit.lookup''::text, true), ''''::text)'
      ELSE false END)
"""

# A key across tenants reveals values of other tenants: a duplicate is refused. A global table has one tenant,
# and positions of events are unique in the database.
_KEYS = """
, positions (name, attname) AS (VALUES ('storekit.event_inbox', 'id'), ('storekit.domain_event', 'pos'))
SELECT format('key %s of %s does not begin with tenant_id', i.indexrelid::regclass, c.name),
       'create it with tenant_id as its first column'
FROM pg_index AS i JOIN base AS c ON c.oid = i.indrelid
     LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
     LEFT JOIN pg_inherits AS h ON h.inhrelid = c.oid
WHERE c.tenanted AND c.scope <> 'global' AND (i.indisunique OR i.indisexclusion)
  AND a.attname IS DISTINCT FROM 'tenant_id'
  AND NOT EXISTS (SELECT FROM positions AS p
                  WHERE p.name = coalesce(h.inhparent::regclass::text, c.name) AND p.attname = a.attname)
UNION
SELECT format('foreign key %I of %s does not begin with tenant_id', k.conname, c.name),
       'create it with tenant_id as its first column'
FROM pg_constraint AS k JOIN base AS c ON c.oid = k.conrelid JOIN base AS t ON t.oid = k.confrelid
     JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
     JOIN pg_attribute AS b ON b.attrelid = t.oid AND b.attnum = k.confkey[1]
WHERE k.contype = 'f' AND c.tenanted AND t.tenanted AND t.scope <> 'global'
  AND (a.attname <> 'tenant_id' OR b.attname <> 'tenant_id')
"""

# Views of any schema that read one of the tables.
_VIEWS = """
, view AS (
    SELECT v.oid::regclass::text AS name, v.relkind, v.relowner, v.relacl,
           array_to_string(v.reloptions, ',') ~ 'security_invoker=(true|on|yes|1)' AS invoker,
           v.relnamespace = 'report'::regnamespace AND v.relowner = 'storekit_reports'::regrole AS report
    FROM pg_class AS v
    WHERE v.relkind IN ('v', 'm') AND EXISTS (
        SELECT FROM pg_rewrite AS r
        JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                           AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> v.oid
        JOIN relation AS c ON c.oid = d.refobjid
        WHERE r.ev_class = v.oid)
), reader AS (
    SELECT v.*, g.grantee,
           CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END AS who
    FROM view AS v, aclexplode(v.relacl) AS g
    WHERE g.grantee <> v.relowner
)
SELECT format('view %s reads as its owner', name),
       format('ALTER VIEW %s SET (security_invoker = true)', name)
FROM view WHERE relkind = 'v' AND NOT report AND invoker IS NOT TRUE
UNION
SELECT format('materialized view %s, to which no policy applies, is granted to %s', name, who),
       format('REVOKE ALL ON %s FROM %s', name, quote_ident(who))
FROM reader
WHERE relkind = 'm' AND (grantee = 0 OR grantee IN (SELECT oid FROM member WHERE grp = 'storekit_app'))
UNION
SELECT format('report %s is granted to %s', name, who),
       format('only report.read_v1 may read it: REVOKE ALL ON %s FROM %s', name, quote_ident(who))
FROM reader WHERE report
"""

_TRIGGERS = """
SELECT format('trigger %I of %s is disabled', t.tgname, c.name),
    format('ALTER TABLE %s ENABLE TRIGGER %I', c.name, t.tgname)
FROM pg_trigger AS t JOIN base AS c ON c.oid = t.tgrelid
WHERE t.tgenabled NOT IN ('O', 'A')
"""

# What `manage` creates for a table. Postgres prints triggers in one way, so their texts can be compared.
_MANAGED_TRIGGERS = """
, managed AS (
    SELECT c.oid, c.name, c.entity, c.mutable, c.reason_required,
           storekit.state_field(c.entity) AS state, EXISTS (
               SELECT FROM pg_attribute AS a
               WHERE a.attrelid = c.oid AND a.attname = 'parts_live' AND NOT a.attisdropped) AS parts, ARRAY(
               SELECT f.field FROM storekit.field AS f
               WHERE f.table_name = c.entity AND f.kind <> 'column' ORDER BY f.field) AS fields, ARRAY(
               SELECT m.to_state FROM storekit.move AS m
               WHERE m.entity = c.entity AND m.from_state = '' ORDER BY 1) AS first
    FROM base AS c WHERE c.entity IS NOT NULL
), argued AS (
    SELECT m.*, (SELECT string_agg(quote_literal(a), ', ')
                 FROM unnest(ARRAY[entity, coalesce(state, '')] || fields) AS a) AS recorded,
           (SELECT string_agg(quote_literal(a), ', ') FROM unnest(entity || fields) AS a) AS kept
    FROM managed AS m
), wanted (oid, name, tgname, texts) AS (
    SELECT oid, name, 'storekit_touch', ARRAY[format(
        'BEFORE UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION storekit.touch(%L, %L)', name, mutable, parts)]
    FROM argued
    UNION ALL
    SELECT oid, name, 'storekit_insert', ARRAY[format('AFTER INSERT ON %s REFERENCING NEW TABLE AS new_rows '
        'FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_insert(%s)', name, recorded)] FROM argued
    UNION ALL
    SELECT oid, name, 'storekit_update', ARRAY[format('AFTER UPDATE ON %s REFERENCING OLD TABLE AS old_rows '
        'NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_update(%s)', name,
            recorded)]
    FROM argued
    UNION ALL
    SELECT oid, name, 'storekit_delete', ARRAY[format('AFTER DELETE ON %s REFERENCING OLD TABLE AS old_rows '
        'FOR EACH STATEMENT EXECUTE FUNCTION storekit.record_delete(%s)', name, recorded)] FROM argued
    UNION ALL
    SELECT oid, name, 'storekit_append_only', ARRAY[format(
        'AFTER UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION storekit.refuse_change(%s)', name, kept)]
    FROM argued WHERE NOT mutable
    UNION ALL
    SELECT oid, name, 'storekit_keep', ARRAY[format('BEFORE DELETE ON %s FOR EACH ROW '
        'WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION storekit.refuse_change(%s)', name, kept)]
    FROM argued WHERE NOT mutable
    UNION ALL
    SELECT oid, name, 'storekit_move', ARRAY[format('BEFORE UPDATE ON %s FOR EACH ROW '
        'WHEN (old.%I IS DISTINCT FROM new.%2$I) EXECUTE FUNCTION storekit.check_move(%L, %L)',
        name, state, entity, state)] FROM argued WHERE state IS NOT NULL
    UNION ALL
    SELECT oid, name, 'storekit_begin', ARRAY(SELECT format('BEFORE INSERT ON %s FOR EACH ROW '
        'WHEN (new.%I%s <> ALL (%L::text[])) EXECUTE FUNCTION storekit.check_move(%L, %L)',
        name, state, as_text, first, entity, state) FROM unnest(ARRAY['::text', '']) AS as_text)
    FROM argued WHERE state IS NOT NULL AND first <> '{}'
    UNION ALL
    SELECT oid, name, 'storekit_reason', ARRAY[format('BEFORE INSERT OR DELETE OR UPDATE ON %s FOR EACH ROW '
        'WHEN (NULLIF(current_setting(''storekit.reason''::text, true), ''''::text) IS NULL) '
        'EXECUTE FUNCTION storekit.refuse_without_reason(%L)', name, entity)]
    FROM argued WHERE reason_required
)
SELECT format('trigger %s of %s %s', w.tgname, w.name, CASE WHEN t.oid IS NULL THEN 'is missing'
              ELSE 'is not the one that storekit.manage() created' END),
       format('SELECT storekit.manage(%L)', w.name)
FROM wanted AS w LEFT JOIN pg_trigger AS t ON t.tgrelid = w.oid AND t.tgname = w.tgname
WHERE t.oid IS NULL
   OR replace(pg_get_triggerdef(t.oid, true), format('CREATE TRIGGER %s ', w.tgname), '') <> ALL (w.texts)
"""

# A ref must be a foreign key to a live part: without it a row can refer to content that does not exist.
_REF_KEYS = """
SELECT format('table %s has no foreign key %s_ref_live, so a ref may point to missing content', c.name,
    f.field),
       format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I, then SELECT storekit.manage(%L)',
              c.name, f.field || '_ref_live', c.name)
FROM storekit.field AS f JOIN base AS c ON c.entity = f.table_name
WHERE f.kind <> 'column' AND NOT EXISTS (
    SELECT FROM pg_constraint AS k
    WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.convalidated AND NOT k.condeferrable
      AND k.confrelid = 'storekit.part'::regclass
      AND pg_get_constraintdef(k.oid, true) = format(
          'FOREIGN KEY (tenant_id, %I, parts_live) REFERENCES storekit.part(tenant_id, part_id, live)',
          f.field || '_ref'))
"""

_SCOPE_CHECKS = """
SELECT format('table %s of scope %s has no check that its rows belong to the right tenant', c.name, c.scope),
       format('SELECT storekit.manage(%L)', c.name)
FROM base AS c
WHERE c.entity IS NOT NULL AND c.scope <> 'tenant' AND NOT EXISTS (
    SELECT FROM pg_constraint AS k
    WHERE k.conrelid = c.oid AND k.conname = 'storekit_scope' AND k.contype = 'c' AND k.convalidated
      AND pg_get_expr(k.conbin, k.conrelid, true) = CASE c.scope WHEN 'self' THEN 'tenant_id = id'
          ELSE format('tenant_id = %L::uuid', storekit.nil()) END)
"""

# The write API runs as the owner of the tables, and so does a trigger that another role created.
_FOREIGN_TRIGGERS = """
SELECT format('trigger %I of %s runs %s, which belongs to %s', t.tgname, c.name, p.oid::regprocedure,
              pg_get_userbyid(p.proowner)),
       format('DROP TRIGGER %I ON %s, or ALTER FUNCTION %s OWNER TO storekit_owner',
              t.tgname, c.name, p.oid::regprocedure)
FROM pg_trigger AS t JOIN base AS c ON c.oid = t.tgrelid JOIN pg_proc AS p ON p.oid = t.tgfoid
     JOIN pg_roles AS r ON r.oid = p.proowner
WHERE NOT t.tgisinternal AND NOT r.rolsuper AND r.oid NOT IN (SELECT oid FROM owner_role)
"""

_RULES = """
SELECT format('rule %I of %s rewrites statements', r.rulename, c.name),
       format('DROP RULE %I ON %s', r.rulename, c.name)
FROM pg_rewrite AS r JOIN base AS c ON c.oid = r.ev_class
"""

TABLES = (
    _UNFORCED, _WITHOUT_POLICY, _WIDE_POLICIES, _KEYS, _VIEWS, _TRIGGERS, _MANAGED_TRIGGERS, _REF_KEYS,
    _SCOPE_CHECKS, _FOREIGN_TRIGGERS, _RULES,
)  # fmt: skip
