"""Webhooks are delivered at least once; each is counted exactly once, despite crashes and reruns."""

import sys
from contextlib import suppress
from uuid import uuid4

from storekit import Entity, Mutable, Scope, Store

EVENTS = [(f"evt_{n}", f"acct_{n % 7}", n) for n in range(1000)]
FEED = [*EVENTS[:600], *EVENTS[550:], *EVENTS[:50]]  # the other system sends some events twice
ADD = """
INSERT INTO balances (account, cents) VALUES (%s, %s)
ON CONFLICT (tenant_id, account) DO UPDATE SET cents = balances.cents + excluded.cents
"""


class Payment(Entity, table="payments", natural_key=["external_id"]):
    external_id: str
    account: str
    cents: int


class Balance(Entity, Mutable, table="balances", natural_key=["account"]):
    account: str
    cents: int = 0


def synchronise(scope: Scope, name: str = "payments", crash_after: int | None = None) -> None:
    """Continue from the cursor. New payments, their balances and the cursor's move are one commit."""
    cursor = scope.cursor(name)
    at = int(cursor.read() or 0)
    while page := FEED[at : at + 200]:
        at += len(page)
        payments = [Payment(external_id=event, account=whose, cents=cents) for event, whose, cents in page]
        with scope.transaction() as tx:
            tx.insert_ignore(payments)
            sql = tx.connection.cursor()  # now new payments have a version, repeated ones do not
            sql.executemany(ADD, [(each.account, each.cents) for each in payments if each.version])
            tx.advance(cursor, str(at))
            if at == crash_after:
                raise KeyboardInterrupt


def state(scope: Scope) -> tuple[int, int, str]:
    """Return the number of payments, the sum of all balances, and the balances with their versions."""
    balances = scope.repository(Balance).find(order_by="account", limit=1000)
    return scope.repository(Payment).count(), sum(each.cents for each in balances), str(balances.items)


with Store.embedded(sys.argv[1], entities=[Payment, Balance]) as store:
    scope = store.scope(tenant=uuid4(), actor="webhooks")
    with suppress(KeyboardInterrupt):
        synchronise(scope, crash_after=600)
    print("crashed in its third page: payments and cents", *state(scope)[:2])
    synchronise(scope)
    first = state(scope)
    print("run to the end: payments and cents", *first[:2])
    synchronise(scope)
    synchronise(scope, "from the start")
    print("run again, and from the start:", "nothing changed" if state(scope) == first else "changed")
