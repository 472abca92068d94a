"""Outreach: move leads through a pipeline, record how they react to mails, and compare subject lines."""

import sys
from enum import StrEnum
from itertools import pairwise
from typing import Annotated
from uuid import uuid4

from storekit import Entity, Mutable, Store, in_, index, moves

Stage = StrEnum("Stage", "RAW ENRICHED VERIFIED SCORED READY IN_SEQUENCE REPLIED BOOKED CLOSED")
FREE = {"stage": Stage.READY, "owner": None}  # leads that can be assigned
STATISTICS = """
SELECT l.subject, count(DISTINCT l.email) FILTER (WHERE e.kind = 'open'),
       count(DISTINCT l.email) FILTER (WHERE e.kind = 'reply')
FROM leads AS l JOIN engagements AS e USING (tenant_id, email) GROUP BY l.subject ORDER BY l.subject
"""


class Lead(Entity, Mutable, table="leads", natural_key=["email"], indexes=[index("-score", where=FREE)]):
    email: str
    score: int = 0
    owner: str | None = None
    subject: str | None = None
    stage: Annotated[Stage, moves({one: [other] for one, other in pairwise(Stage)})] = Stage.RAW


class Engagement(Entity, table="engagements", natural_key=["event"], indexes=[index("email", "-created_on")]):
    event: str
    email: str
    kind: str


with Store.embedded(sys.argv[1], entities=[Lead, Engagement]) as store:
    scope = store.scope(tenant=uuid4(), actor="outreach")
    leads, engagements = scope.repository(Lead), scope.repository(Engagement)
    emails = [f"{name}@example.com" for name in ("ada", "ben", "cem", "dora", "eve", "frida")]
    leads.insert_ignore(Lead(email=email) for email in emails)
    found = leads.upsert(Lead(email=email, score=len(email)) for email in emails)  # writes only the score
    for stage in list(Stage)[1:5]:
        leads.update_many({lead.ref_id: {"stage": stage} for lead in found})

    best = leads.find(FREE, order_by="-score", limit=4)
    for n, lead in enumerate(best):
        lead.owner, lead.subject, lead.stage = "user:jane", f"Subject {n % 2}", Stage.IN_SEQUENCE
    leads.save_many(best)  # raises Conflict if another process has taken one of them

    sent = [(f"evt_{n}", lead.email, "open") for n, lead in enumerate(best)]
    for batch in (sent, [*sent, ("evt_9", best[0].email, "reply")]):  # events are delivered at least once
        answered = {"email": in_(*[email for _, email, kind in batch if kind == "reply"])}
        with scope.transaction() as tx:
            tx.insert_ignore(Engagement(event=event, email=email, kind=kind) for event, email, kind in batch)
            for lead in leads.find({**answered, "stage": Stage.IN_SEQUENCE}, limit=len(batch)):
                tx.update(Lead, lead.ref_id, {"stage": Stage.REPLIED})
    history = engagements.find({"email": best[0].email}, order_by="-created_on", limit=10)
    print(best[0].email, *(each.kind for each in history))
    with scope.transaction() as tx:  # your own SQL sees only this tenant
        for subject, opens, replies in tx.connection.execute(STATISTICS):
            print(subject, opens, "opened,", replies, "replied")
    print(leads.count({"stage": Stage.REPLIED}), "replied,", engagements.count(), "engagements")
