"""Rules about roles, and about the cluster and the database. Each returns what is wrong, and the remedy."""

from __future__ import annotations

# The tenant is set for a transaction. Set for a session, it would apply to the next borrower of a connection.
_SETTINGS = r"""
SELECT DISTINCT format('%s of %s is set for whole sessions', split_part(setting, '=', 1),
    CASE s.setrole WHEN 0 THEN 'the database' ELSE pg_get_userbyid(s.setrole)::text END),
    format('ALTER %s RESET %s', CASE s.setrole WHEN 0 THEN 'DATABASE or ROLE ALL'
           ELSE 'ROLE ' || quote_ident(pg_get_userbyid(s.setrole)) END, split_part(setting, '=', 1))
FROM pg_db_role_setting AS s, unnest(s.setconfig) AS setting
WHERE setting ~ '^(storekit\.|session_replication_role)'
  AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
  AND (s.setrole = 0 OR s.setrole IN (SELECT oid FROM member))
"""

_ROLES = """
SELECT format('role %s of %s has %s', rolname, grp, word), format('ALTER ROLE %I NO%s', rolname, word)
FROM member, LATERAL (
    VALUES ('SUPERUSER', rolsuper), ('BYPASSRLS', rolbypassrls), ('CREATEROLE', rolcreaterole),
           ('REPLICATION', rolreplication)
) AS attribute (word, held)
WHERE held
UNION
SELECT format('role %s of %s can SET ROLE %s', member.rolname, grp, owner_role.rolname),
       format('REVOKE %I FROM %I', owner_role.rolname, member.rolname)
FROM member, owner_role
WHERE NOT rolsuper AND pg_has_role(member.oid, owner_role.oid, 'MEMBER')
"""

# The policies of one group show the rows of all tenants, so a login of the app must not be in another group.
_TWO_GROUPS = """
SELECT format('login %s is a member of %s', rolname, string_agg(DISTINCT grp, ' and ' ORDER BY grp)),
       format('use one login for each: REVOKE %I FROM %I', max(grp), rolname)
FROM member WHERE rolcanlogin
GROUP BY rolname HAVING count(DISTINCT grp) > 1
"""

_OWN_ROLES = """
SELECT format('role %s %s', r.rolname, fault), format('ALTER ROLE %I %s', r.rolname, remedy)
FROM pg_roles AS r, LATERAL (
    VALUES ('can log in', 'NOLOGIN', r.rolcanlogin), ('has SUPERUSER', 'NOSUPERUSER', r.rolsuper),
           ('has BYPASSRLS', 'NOBYPASSRLS', r.rolbypassrls), ('has CREATEROLE', 'NOCREATEROLE',
               r.rolcreaterole),
           ('has CREATEDB', 'NOCREATEDB', r.rolcreatedb), ('has REPLICATION', 'NOREPLICATION',
               r.rolreplication)
) AS attribute (fault, remedy, held)
WHERE held AND (r.rolname IN ('storekit_owner', 'storekit_reports') OR fault = 'can log in' AND r.rolname IN (
    'storekit_app', 'storekit_worker', 'storekit_auditor', 'storekit_reporter'))
"""

_OWNER_MEMBERS = """
, owning (oid, role) AS (
    WITH RECURSIVE reach (oid, role) AS (
        SELECT oid, rolname FROM owner_role
        UNION
        SELECT m.member, r.role FROM reach AS r JOIN pg_auth_members AS m ON m.roleid = r.oid
        WHERE m.member NOT IN (SELECT oid FROM trusted)
    )
    SELECT oid, role FROM reach
)
SELECT format('role %s is a member of %s, which owns all tables', r.rolname, o.role),
       format('REVOKE %I FROM %I', o.role, r.rolname)
FROM owning AS o JOIN pg_roles AS r USING (oid)
WHERE r.rolname <> o.role AND r.oid NOT IN (SELECT oid FROM member)
"""

_GRANTERS = """
SELECT format('role %s may grant %s to others (ADMIN OPTION)', r.rolname, g.rolname),
       format('REVOKE ADMIN OPTION FOR %I FROM %I', g.rolname, r.rolname)
FROM pg_auth_members AS m JOIN pg_roles AS g ON g.oid = m.roleid JOIN pg_roles AS r ON r.oid = m.member
WHERE m.admin_option AND r.oid NOT IN (SELECT oid FROM trusted)
  AND g.rolname IN ('storekit_owner', 'storekit_reports', 'storekit_app', 'storekit_worker',
      'storekit_auditor',
                    'storekit_reporter')
"""

# Roles whose privileges go beyond all grants: they read reports, write events, or reach the server's files.
_ABOVE = """
, above (oid, role) AS (
    WITH RECURSIVE reach (oid, role) AS (
        SELECT oid, rolname FROM pg_roles
        WHERE rolname IN ('pg_read_all_data', 'pg_write_all_data', 'pg_execute_server_program',
                          'pg_read_server_files', 'pg_write_server_files', 'pg_maintain',
                              'pg_create_subscription')
        UNION
        SELECT m.member, r.role FROM reach AS r JOIN pg_auth_members AS m ON m.roleid = r.oid
    )
    SELECT oid, role FROM reach
)
SELECT format('login %s is a member of %s', r.rolname, a.role), format('REVOKE %I FROM %I', a.role, r.rolname)
FROM above AS a JOIN pg_roles AS r USING (oid) WHERE r.rolcanlogin AND NOT r.rolsuper
UNION
SELECT format('login %s has REPLICATION, with which it can copy the whole cluster', r.rolname),
       format('ALTER ROLE %I NOREPLICATION', r.rolname)
FROM pg_roles AS r WHERE r.rolreplication AND r.rolcanlogin AND NOT r.rolsuper
    AND r.oid NOT IN (SELECT oid FROM member)
"""

# Roles belong to the cluster: a right to connect that is not given to a login by name admits the logins of
# other databases.
_CONNECT = """
, others (n) AS (
    SELECT count(DISTINCT d.oid) FROM pg_database AS d, aclexplode(d.datacl) AS g
    WHERE g.grantee = 'storekit_owner'::regrole AND d.datname <> current_database()
)
SELECT format('%s may connect to the database %I', w.who, d.datname),
       format('GRANT CONNECT ON DATABASE %I to each login, then REVOKE CONNECT ON DATABASE %1$I FROM %s',
              d.datname, CASE g.grantee WHEN 0 THEN w.who ELSE quote_ident(w.who) END)
FROM others, pg_database AS d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS g, LATERAL (
    SELECT CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END AS who) AS w
WHERE d.datname = current_database() AND g.privilege_type = 'CONNECT'
  AND (g.grantee = 0 OR others.n > 0 AND g.grantee IN (SELECT oid FROM member WHERE NOT rolcanlogin))
"""

# Row-level security does not apply to what logical replication reads and writes.
_REPLICATION = """
SELECT format('publication %I sends the rows of all tenants%s', p.pubname, CASE WHEN p.puballtables
              THEN ': it is FOR ALL TABLES' ELSE ' of ' || string_agg(DISTINCT c.name,
                  ', ' ORDER BY c.name) END),
       format('DROP PUBLICATION %I', p.pubname)
FROM pg_publication AS p LEFT JOIN LATERAL pg_get_publication_tables(p.pubname) AS t ON true
     LEFT JOIN base AS c ON c.oid = t.relid
WHERE p.puballtables OR c.oid IS NOT NULL
GROUP BY p.pubname, p.puballtables
UNION
SELECT format('subscription %I writes rows without triggers and policies', s.subname),
       format('DROP SUBSCRIPTION %I', s.subname)
FROM pg_subscription AS s
WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION
SELECT format('replication slot %I sends the changes of all tenants of this database', s.slot_name),
       format('SELECT pg_drop_replication_slot(%L)', s.slot_name)
FROM pg_replication_slots AS s WHERE s.slot_type = 'logical' AND s.database = current_database()
"""

_EVENT_TRIGGERS = """
SELECT format('event trigger %I runs %s at each %s, also during migrations', e.evtname,
    e.evtfoid::regprocedure, e.evtevent),
       format('DROP EVENT TRIGGER %I', e.evtname)
FROM pg_event_trigger AS e
WHERE e.evtenabled <> 'D' AND NOT EXISTS (
    SELECT FROM pg_depend AS d
    WHERE d.classid = 'pg_event_trigger'::regclass AND d.objid = e.oid AND d.deptype = 'e')
"""

ROLES = (
    _ROLES, _TWO_GROUPS, _OWN_ROLES, _OWNER_MEMBERS, _GRANTERS, _ABOVE, _CONNECT, _REPLICATION,
        _EVENT_TRIGGERS,
    _SETTINGS,
)  # fmt: skip
