-- Written by `storekit schema mirror`: make changes in a migration, then run it again.

CREATE VIEW storekit.event WITH (security_invoker=true) AS
 SELECT domain_event.pos,
    domain_event.seq,
    domain_event.id,
    domain_event.event_id,
    domain_event.tenant_id,
    domain_event.entity,
    domain_event.ref_id,
    domain_event.version,
    domain_event.type,
    domain_event.before::jsonb AS before,
    domain_event.after::jsonb AS after,
    domain_event.actor,
    domain_event.on_behalf_of,
    domain_event.login,
    domain_event.write_id,
    domain_event.occurred_on,
    domain_event.sequenced_on,
    domain_event.reason,
    domain_event.context::jsonb AS context,
    domain_event.prev_hash,
    domain_event.hash
   FROM storekit.domain_event
UNION ALL
 SELECT NULL::bigint AS pos,
    NULL::bigint AS seq,
    event_inbox.id,
    event_inbox.event_id,
    event_inbox.tenant_id,
    event_inbox.entity,
    event_inbox.ref_id,
    event_inbox.version,
    event_inbox.type,
    event_inbox.before,
    event_inbox.after,
    event_inbox.actor,
    event_inbox.on_behalf_of,
    event_inbox.login,
    event_inbox.write_id,
    event_inbox.occurred_on,
    NULL::timestamp with time zone AS sequenced_on,
    event_inbox.reason,
    event_inbox.context,
    NULL::bytea AS prev_hash,
    NULL::bytea AS hash
   FROM storekit.event_inbox;

ALTER VIEW storekit.event OWNER TO storekit_owner;
GRANT SELECT ON storekit.event TO storekit_app;
GRANT SELECT ON storekit.event TO storekit_auditor;
GRANT SELECT ON storekit.event TO storekit_worker;
