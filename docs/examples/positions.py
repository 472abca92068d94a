"""Trades and positions: reading the current position takes one look-up, whatever the number of trades."""

import sys
from collections import Counter
from decimal import Decimal
from time import perf_counter
from uuid import uuid4

from storekit import Entity, Mutable, Store, index, listen

SYMBOLS = [f"SYM{n:03}" for n in range(500)]


class Trade(Entity, table="trades", natural_key=["number"], indexes=[index("symbol", "-number")]):
    number: int
    symbol: str
    quantity: int
    price: Decimal


class Position(Entity, Mutable, table="positions", natural_key=["symbol"]):
    symbol: str
    quantity: int
    price: Decimal


def trade(n: int) -> Trade:
    """Return the n-th trade of a fixed sequence."""
    price = Decimal(1000 + n * 7919 % 997) / 10
    return Trade(number=n, symbol=SYMBOLS[n * 31 % len(SYMBOLS)], quantity=n % 19 - 8, price=price)


many = int(sys.argv[2]) if len(sys.argv) > 2 else 600_000
with Store.embedded(sys.argv[1], entities=[Trade, Position]) as store:
    scope = store.scope(tenant=uuid4(), actor="importer")
    trades, positions = scope.repository(Trade), scope.repository(Position)
    quantity, price = Counter[str](), dict[str, Decimal]()
    began = perf_counter()
    for start in range(0, many, 10_000):
        batch = [trade(n) for n in range(start, min(start + 10_000, many))]
        for each in batch:
            quantity[each.symbol] += each.quantity
            price[each.symbol] = each.price
        moved = {each.symbol for each in batch}
        with scope.transaction() as tx:  # trades and positions in one commit
            tx.save_many(batch)
            tx.upsert(Position(symbol=s, quantity=quantity[s], price=price[s]) for s in moved)
    seconds = perf_counter() - began
    print(f"{many:,} trades and {len(quantity)} positions in {seconds:.1f} s: {many / seconds:,.0f} rows/s")

    steps: list[str] = []
    with listen(lambda step, phase: steps.append(step) if phase == "started" else None):
        (position,) = positions.find({"symbol": "SYM042"})
        print("the position in SYM042:", position.quantity, "at", position.price, "by", *steps)
    newest = trades.find({"symbol": "SYM042"}, order_by="-number", limit=3)
    print("its newest trades:", *(each.number for each in newest))
    with scope.transaction() as tx:
        counted = tx.connection.execute("SELECT sum(quantity) FROM trades WHERE symbol = 'SYM042'").fetchone()
    print("all of them added up:", *counted or ())
